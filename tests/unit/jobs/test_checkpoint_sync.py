"""Checkpoints that go through the staging area, because the next attempt may run on another node."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.servers import S3

from posology.core.jobs.worker.checkpoint_sync import CheckpointSync

PREFIX = "jobs/a.x.b/checkpoints"


class Nodes:
    """A workdir per attempt, over one store."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url

    def attempt(self, number: int) -> tuple[Path, CheckpointSync]:
        workdir = self.root / f"node-{number}"
        workdir.mkdir(exist_ok=True)
        return workdir, CheckpointSync(workdir, url=self.url, prefix=PREFIX, attempt=number)


@pytest.fixture(params=["folder", "s3"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    if request.param == "folder":
        return Nodes(tmp_path, f"file://{tmp_path}/staging")
    s3: S3 = request.getfixturevalue("s3")
    monkeypatch.setenv("TEST_STORAGE", json.dumps(s3.options))
    return Nodes(tmp_path, f"{s3.bucket()}/staging#env:TEST_STORAGE")


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_the_next_attempt_finds_the_newest_save_and_only_that(nodes: Nodes) -> None:
    first, handover = nodes.attempt(1)
    assert handover.take_over() == 0
    (first / "checkpoint-1").mkdir()
    (first / "checkpoint-1" / "state").write_text("one")
    (first / "journal").write_text("a")
    handover.save()
    (first / "checkpoint-1" / "state").unlink()
    (first / "checkpoint-2").mkdir()
    (first / "checkpoint-2" / "state").write_text("two")
    handover.save()
    (first / "journal").write_text("b, never saved")
    second, handover = nodes.attempt(2)
    (second / "stranger").write_text("x")
    assert handover.take_over() == 1
    assert content(second) == {"checkpoint-2/state": "two", "journal": "a"}


def test_an_attempt_that_died_before_its_first_save_hands_on_what_it_got(nodes: Nodes) -> None:
    first, handover = nodes.attempt(1)
    (first / "state").write_text("one")
    handover.save()
    nodes.attempt(2)[1].take_over()
    third, handover = nodes.attempt(3)
    assert handover.take_over() == 1
    assert content(third) == {"state": "one"}


def test_a_worker_that_was_believed_dead_does_not_change_what_its_successor_read(nodes: Nodes) -> None:
    first, late = nodes.attempt(1)
    (first / "state").write_text("one")
    late.save()
    second, handover = nodes.attempt(2)
    handover.take_over()
    (second / "state").write_text("two")
    handover.save()
    (first / "state").write_text("late")
    late.save()
    third, handover = nodes.attempt(3)
    assert handover.take_over() == 2
    assert content(third) == {"state": "two"}


def test_a_damaged_save_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, f"file://{tmp_path}/staging")
    for number in (1, 2):
        folder, handover = nodes.attempt(number)
        (folder / "state").write_text(f"of {number}")
        handover.save()
    [blob] = (tmp_path / "staging" / PREFIX / "2" / "blobs").iterdir()
    blob.chmod(0o644)
    blob.write_text("damage")
    third, handover = nodes.attempt(3)
    assert handover.take_over() == 1
    assert content(third) == {"state": "of 1"}
    blob.unlink()
    assert nodes.attempt(3)[1].take_over() == 1


def test_a_file_that_grows_while_it_is_handed_on_arrives_as_long_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(tmp_path, f"file://{tmp_path}/staging")
    folder, handover = nodes.attempt(1)
    (folder / "journal").write_text("one line\n")
    put = CheckpointSync._put

    def while_it_grows(self: CheckpointSync, found: Any) -> None:
        with (folder / "journal").open("a") as journal:
            journal.write("another")
        put(self, found)

    monkeypatch.setattr(CheckpointSync, "_put", while_it_grows)
    handover.save()
    second, handover = nodes.attempt(2)
    assert handover.take_over() == 1
    assert content(second) == {"journal": "one line\n"}
