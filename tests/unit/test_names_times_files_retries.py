"""Names, moments, files and pauses, each with one meaning for every service."""

import os
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from posology.core import names
from posology.core.errors import InvalidInput
from posology.core.files import write_atomically, write_once
from posology.core.retries import Backoff, retry_after
from posology.core.times import from_rfc3339, from_timestamp, readable, rfc3339, to_timestamp

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_name_is_read_back_as_it_was_written() -> None:
    name = names.ResourceName("team-a", "fineTuneRuns", "clinical.v1_2")
    assert names.parse(str(name), "fineTuneRuns") == name
    assert names.namespace_of_parent(names.parent_of("team-a")) == "team-a"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "namespaces/a",
        "namespaces/a/runs",
        "namespaces//runs/x",
        "namespaces/a/runs/",
        "namespaces/a/runs/x/y",
        "namespaces/A/runs/x",
        "namespaces/-/runs/x",
        "namespaces/a-/runs/x",
        "namespaces/../runs/x",
        "namespaces/a/runs/..",
        "namespaces/a/runs/x\n",
        "namespaces/a/runs/x y",
        f"namespaces/{'a' * 64}/runs/x",
        "namespaces/a/runs/\u0000",
    ],
)
def test_what_is_no_name_is_refused_with_its_field(name: str) -> None:
    with pytest.raises(InvalidInput, match="name: must be namespaces/"):
        names.parse(name)


def test_a_name_of_another_collection_is_refused() -> None:
    with pytest.raises(InvalidInput, match="namespaces/<namespace>/runs/<id>"):
        names.parse("namespaces/a/keys/x", "runs")


@pytest.mark.parametrize(
    "parent", ["", "a", "namespaces/", "namespaces/a/b", "namespaces/-", "namespaces/a\n", "namespaces/A"]
)
def test_a_parent_is_one_namespace_unless_a_call_allows_all(parent: str) -> None:
    with pytest.raises(InvalidInput):
        names.namespace_of_parent(parent)
    assert names.namespace_of_parent("namespaces/-", every=True) == names.EVERY


def test_a_moment_without_a_zone_is_refused_and_others_arrive_in_utc() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        to_timestamp(datetime(2026, 1, 31, 12))
    with pytest.raises(ValueError, match="no time zone"):
        from_rfc3339("2026-01-31T12:00:00")
    ahead = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert from_timestamp(to_timestamp(ahead)) == NOON
    assert rfc3339(ahead) == "2026-01-31T12:00:00Z"
    assert rfc3339(ahead, microseconds=True) == "2026-01-31T12:00:00.000000Z"
    assert from_rfc3339("2026-01-31T17:30:00+05:30") == NOON
    assert readable(ahead) == "2026-01-31 12:00:00 UTC"
    assert to_timestamp(None) is None


def test_readers_see_the_old_file_or_the_new_one_and_never_a_part(tmp_path: Path) -> None:
    path, wrong = tmp_path / "sub" / "file", []
    write_atomically(path, b"0" * 100_000)
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            content = path.read_bytes()
            if len(content) != 100_000 or len(set(content)) != 1:
                wrong.append(content[:10])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        write_atomically(path, str(number % 10).encode() * 100_000)
    stop.set()
    reader.join()
    assert not wrong
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "taken", "x")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_a_secret_file_is_private_from_its_first_byte_and_the_first_writer_wins(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert write_once(tmp_path / "key", "first", mode=0o600)
    finally:
        os.umask(before)
    assert not write_once(tmp_path / "key", "second", mode=0o600)
    assert (tmp_path / "key").read_text() == "first"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_pauses_double_up_to_the_longest_and_never_overflow() -> None:
    backoff = Backoff(first=0.5, longest=60)
    assert [backoff.pause(failures) for failures in (0, 1, 2, 3, 8, 10_000)] == [0.5, 0.5, 1, 2, 60, 60]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 7),
        ("3", 3),
        ("soon", 7),
        ("-1", 7),
        ("²", 7),
        ("Fri, 31 Jan 2020 12:00:00 GMT", 0),
        ("9" * 400, 999_999_999),
    ],
)
def test_retry_after_is_understood_or_ignored(header: str, seconds: float) -> None:
    assert retry_after(header, otherwise=7) == seconds
