"""Artifacts are named by their content, visible whole or not at all, and verified on every way out."""

import json
import os
import stat
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.servers import S3

from posology.core.artifacts import ArtifactStore, File, Manifest, Staging, describe
from posology.core.errors import DataCorrupt, InvalidInput, NotFound

OPTIONS: dict[str, Any] = {"kind": "dataset", "producer": "test/1", "parameters": {"seed": 1, "rate": 2e-4}}
PARENT = "sha256:" + "a" * 64


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "folder":
        return ArtifactStore(f"file://{tmp_path}/store")
    server: S3 = request.getfixturevalue("s3")
    return ArtifactStore(f"{server.bucket()}/candidates", options=server.options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "data", {"train.jsonl": b'{"a":1}\n', "deep/er/card.json": b"{}", "empty.txt": b""})


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def spoil(store: ArtifactStore, digest: str, path: str, change: Callable[[bytes], bytes]) -> None:
    """Change stored bytes behind the store's back."""
    backend, sha256 = store._backend, store.manifest(digest).file(path).sha256
    key = f"blobs/{sha256[:2]}/{sha256}"
    with backend.open(key) as source:
        content = source.read()
    with backend.writing(key) as sink:
        sink.write(change(content))
        sink.commit()


def test_what_goes_in_comes_out(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    digest = store.publish(folder, parents=[PARENT], **OPTIONS)
    out = store.materialize(digest, tmp_path / "cache")
    assert describe(out) == describe(folder) == store.manifest(digest).files
    assert store.manifest(digest).parents == (PARENT,)
    assert store.open(digest, "train.jsonl").read() == b'{"a":1}\n'
    assert [name for name, _ in store.list()] == [digest]
    store.verify(digest)


def test_publishing_twice_gives_the_same_artifact(store: ArtifactStore, folder: Path) -> None:
    assert store.publish(folder, **OPTIONS) == store.publish(folder, **OPTIONS)
    assert len(list(store.list())) == 1


def test_publishers_at_the_same_time_agree(store: ArtifactStore, folder: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(store.publish(folder, **OPTIONS))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    store.verify(found[0])


def test_the_digest_depends_on_content_and_origin_only(tmp_path: Path, folder: Path) -> None:
    one, two = ArtifactStore(str(tmp_path / "one")), ArtifactStore(str(tmp_path / "two"))
    first = one.publish(folder, **OPTIONS)
    os.utime(folder / "train.jsonl", (0, 0))
    assert two.publish(folder.rename(tmp_path / "renamed"), **OPTIONS) == first
    assert two.publish(tmp_path / "renamed", **{**OPTIONS, "producer": "test/2"}) != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "train.jsonl is cut: 7 of 8 bytes"),
        (lambda content: content.replace(b"1", b"2"), "train.jsonl was altered"),
        (lambda content: content + b" ", "train.jsonl is longer than the 8 bytes"),
    ],
)
def test_a_damaged_file_is_found_by_name(
    store: ArtifactStore, folder: Path, tmp_path: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    digest = store.publish(folder, **OPTIONS)
    spoil(store, digest, "train.jsonl", change)
    for use in (
        lambda: store.open(digest, "train.jsonl"),
        lambda: store.materialize(digest, tmp_path / "cache"),
        lambda: store.verify(digest),
    ):
        with pytest.raises(DataCorrupt, match=message):
            use()
    assert not (tmp_path / "cache" / digest.removeprefix("sha256:") / "train.jsonl").exists()


def test_publishing_again_mends_a_damaged_file(tmp_path: Path, folder: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    digest = store.publish(folder, **OPTIONS)
    spoil(store, digest, "train.jsonl", lambda content: content.replace(b"1", b"2"))
    assert store.publish(folder, **OPTIONS) == digest
    store.verify(digest)


def test_a_missing_blob_is_found_by_name(store: ArtifactStore, folder: Path) -> None:
    digest = store.publish(folder, **OPTIONS)
    sha256 = store.manifest(digest).file("train.jsonl").sha256
    store._backend.delete(f"blobs/{sha256[:2]}/{sha256}")
    with pytest.raises(DataCorrupt, match=r"train.jsonl of sha256:.* is missing"):
        store.open(digest, "train.jsonl")


def test_an_altered_manifest_is_found(store: ArtifactStore, folder: Path) -> None:
    digest = store.publish(folder, **OPTIONS)
    body = json.loads(store.manifest(digest).to_bytes())
    with store._backend.writing(f"manifests/{digest.removeprefix('sha256:')}.json") as sink:
        sink.write(json.dumps({**body, "producer": "eve"}).encode())
        sink.commit()
    with pytest.raises(DataCorrupt, match=r"the manifest of sha256:.* was altered"):
        store.manifest(digest)


def test_what_was_never_published_is_not_found(store: ArtifactStore, folder: Path) -> None:
    digest = store.publish(folder, **OPTIONS)
    assert not store.exists(PARENT)
    with pytest.raises(NotFound, match=PARENT):
        store.manifest(PARENT)
    with pytest.raises(InvalidInput, match=r"no file 'nope'; it has deep/er/card.json"):
        store.open(digest, "nope")
    with pytest.raises(InvalidInput, match="is no digest"):
        store.exists("sha256:../../etc/passwd")


def test_a_staged_attempt_is_published_as_the_worker_described_it(
    store: ArtifactStore, folder: Path, tmp_path: Path
) -> None:
    staging = Staging(f"file://{tmp_path}/staging")
    files = staging.upload(folder, "jobs/j1/1")
    digest = store.publish_staged(staging, "jobs/j1/1", files, **OPTIONS)
    assert digest == store.publish(folder, **OPTIONS)
    staging.remove("jobs/j1/1")
    store.verify(digest)
    with pytest.raises(NotFound):
        staging.open("jobs/j1/1", "train.jsonl")


def test_staging_on_s3_is_published_too(s3: S3, folder: Path) -> None:
    staging = Staging(f"{s3.bucket()}/staging", s3.options)
    store = ArtifactStore(f"{s3.bucket()}/candidates", options=s3.options)
    digest = store.publish_staged(staging, "jobs/j1/1", staging.upload(folder, "jobs/j1/1"), **OPTIONS)
    store.verify(digest)
    staging.remove("jobs/j1/1")
    with pytest.raises(NotFound):
        staging.open("jobs/j1/1", "train.jsonl")


def test_files_already_in_staging_are_described_in_place(folder: Path, tmp_path: Path) -> None:
    staging = Staging(f"file://{tmp_path}")
    assert staging.upload(folder, "data") == describe(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize(
    ("claim", "message"),
    [({"size": 9}, "is cut: 8 of 9"), ({"size": 7}, "is longer than"), ({"sha256": "0" * 64}, "was altered")],
)
def test_a_staged_file_that_is_not_what_the_worker_said_is_not_published(
    store: ArtifactStore, folder: Path, tmp_path: Path, claim: dict[str, Any], message: str
) -> None:
    staging = Staging(f"file://{tmp_path}/staging")
    files = staging.upload(folder, "jobs/j1/1")
    lie = [File(**{**vars(file), **claim}) if file.path == "train.jsonl" else file for file in files]
    with pytest.raises(DataCorrupt, match=f"train.jsonl {message}"):
        store.publish_staged(staging, "jobs/j1/1", lie, **OPTIONS)
    assert list(store.list()) == []


def test_a_staged_link_does_not_lead_out(tmp_path: Path, folder: Path) -> None:
    secret = fill(tmp_path / "elsewhere", {"secret": b"s"})
    staging, store = Staging(f"file://{tmp_path}/staging"), ArtifactStore(str(tmp_path / "store"))
    (tmp_path / "staging/jobs/j1").mkdir(parents=True)
    (tmp_path / "staging/jobs/j1/1").symlink_to(secret)
    with pytest.raises(InvalidInput, match="symbolic link"):
        store.publish_staged(staging, "jobs/j1/1", describe(secret), **OPTIONS)
    with pytest.raises(InvalidInput, match="symbolic link"):
        staging.open("jobs/j1", "1/secret")


def test_a_release_is_the_same_artifact_in_another_store(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    released = ArtifactStore(f"file://{tmp_path}/released")
    digest = store.publish(folder, **OPTIONS)
    released.copy_from(store, digest)
    released.verify(digest)
    spoil(store, digest, "train.jsonl", lambda content: content.replace(b"1", b"2"))
    with pytest.raises(DataCorrupt, match=r"train.jsonl was altered"):
        ArtifactStore(f"file://{tmp_path}/other").copy_from(store, digest)


def test_stored_and_cached_files_are_read_only(folder: Path, tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    out = store.materialize(store.publish(folder, **OPTIONS), tmp_path / "cache")
    assert stat.S_IMODE((out / "train.jsonl").stat().st_mode) == 0o444
    blobs = [path for path in (tmp_path / "store/blobs").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in blobs} == {0o444}


def test_a_damaged_cache_is_mended_and_strangers_are_removed(
    store: ArtifactStore, folder: Path, tmp_path: Path
) -> None:
    digest = store.publish(folder, **OPTIONS)
    out = store.materialize(digest, tmp_path / "cache")
    (out / "train.jsonl").chmod(0o644)
    (out / "train.jsonl").write_bytes(b'{"a":2}\n')
    fill(out, {"deep/stranger.py": b"", "new/stranger.py": b""})
    (out / "link").symlink_to("/etc")
    assert store.materialize(digest, tmp_path / "cache") == out
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir()) == [
        "deep/er/card.json",
        "empty.txt",
        "train.jsonl",
    ]
    assert (out / "train.jsonl").read_bytes() == b'{"a":1}\n'


def test_gc_deletes_what_nothing_refers_to(store: ArtifactStore, tmp_path: Path) -> None:
    kept = store.publish(fill(tmp_path / "a", {"x": b"shared", "y": b"a"}), **OPTIONS)
    gone = store.publish(fill(tmp_path / "b", {"x": b"shared", "y": b"bb"}), **OPTIONS)
    assert store.gc({kept}, older_than=timedelta(hours=1)).artifacts == ()
    planned = store.gc({kept}, older_than=timedelta(seconds=-5), dry_run=True)
    assert store.exists(gone)
    done = store.gc({kept}, older_than=timedelta(seconds=-5))
    assert done == planned
    assert done.artifacts == (gone,)
    assert (len(done.blobs), done.size) == (1, 2)
    assert not store.exists(gone)
    store.verify(kept)
    assert store.gc({kept}, older_than=timedelta(seconds=-5)).blobs == ()


def test_a_deleted_artifact_is_invisible_and_others_keep_their_blobs(store: ArtifactStore, tmp_path: Path) -> None:
    kept = store.publish(fill(tmp_path / "a", {"x": b"shared"}), **OPTIONS)
    gone = store.publish(fill(tmp_path / "b", {"x": b"shared", "y": b"b"}), **OPTIONS)
    store.delete(gone)
    store.delete(gone)
    assert not store.exists(gone)
    store.verify(kept)


def test_gc_stops_at_a_manifest_that_it_cannot_read(tmp_path: Path, folder: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    digest = store.publish(folder, **OPTIONS)
    manifest = tmp_path / "store/manifests" / f"{digest.removeprefix('sha256:')}.json"
    manifest.chmod(0o644)
    manifest.write_text("{}")
    with pytest.raises(DataCorrupt, match="the manifest"):
        store.gc({digest}, older_than=timedelta(seconds=-5))
    assert len(list(store._backend.list("blobs"))) == 3


@pytest.mark.parametrize("path", ["", "/abs", "a/../b", "..", "a//b", "./a", "a\\b", "a\nb", "a\0b", "a/"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        File(path, "0" * 64, 1)


def test_every_problem_of_a_manifest_is_said_at_once() -> None:
    files = (File("A.txt", "0" * 64, 1), File("a.txt", "0" * 64, 1))
    with pytest.raises(InvalidInput) as caught:
        Manifest("poem", files, parents=("latest",))
    assert [violation.field for violation in caught.value.violations] == ["kind", "files", "parents"]


def test_an_empty_folder_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least one file"):
        ArtifactStore(str(tmp_path / "store")).publish(fill(tmp_path / "empty", {}), **OPTIONS)
