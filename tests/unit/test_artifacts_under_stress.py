"""Crashes, full disks, lost servers and rivals: nothing half-written is ever visible, and a retry succeeds."""

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.servers import S3, s3_server

from posology.core.artifacts import ArtifactStore, Staging, cache_eviction, describe
from posology.core.errors import DataCorrupt, Exhausted, PosologyError, Unavailable

OPTIONS: dict[str, Any] = {"kind": "model", "producer": "test/1"}
MIB = 1 << 20
AT_ONCE = timedelta(seconds=-5)


def make(folder: Path, *sizes: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        (folder / f"part-{number}.bin").write_bytes(random.Random(number).randbytes(size))
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


# Forks one publisher after the other; the n-th is killed at its n-th operation on the store's files.
_KILLED_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
from posology.core.artifacts import ArtifactStore

folder, root = Path(sys.argv[1]), sys.argv[2]

def publish(step, url):
    seen = 0
    def watch(event, arguments):
        nonlocal seen
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.utime", "os.chmod") and url in str(arguments):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    ArtifactStore(url).publish(folder, kind="model", producer="test/1")

for step in range(1, 200):
    url = f"{root}/{step}"
    child = os.fork()
    if child == 0:
        publish(step, url)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        break
    print(step, flush=True)
"""


def test_a_publisher_killed_at_any_step_shows_nothing_and_a_retry_succeeds(tmp_path: Path) -> None:
    folder = make(tmp_path / "data", 3 * MIB, 100, 0)
    command = [sys.executable, "-c", _KILLED_AT_EACH_STEP, str(folder), str(tmp_path / "stores")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    steps = done.stdout.split()
    assert len(steps) > 15, "the hook saw too little to mean anything"
    whole = 0
    for step in steps:
        store = ArtifactStore(str(tmp_path / "stores" / step))
        visible = [digest for digest, _ in store.list()]
        whole += len(visible)
        for digest in visible:  # killed between the last rename and the end
            store.verify(digest)
        digest = store.publish(folder, **OPTIONS)
        store.verify(digest)
        store.gc({digest}, older_than=AT_ONCE)
        store.verify(digest)
        assert list((tmp_path / "stores" / step / ".partial").iterdir()) == []
    assert whole <= 3


_PUBLISH = """
import os, sys
from pathlib import Path
from posology.core.artifacts import ArtifactStore
url, key, secret, endpoint = sys.argv[2:]
store = ArtifactStore(url, options=dict(key=key, secret=secret, endpoint_url=endpoint))
list(store.list())
print("ready", flush=True)
store.publish(Path(sys.argv[1]), kind="model", producer="test/1")
"""


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.4, 0.8])
def test_a_publisher_to_s3_killed_at_any_time_shows_nothing(s3: S3, tmp_path: Path, seconds: float) -> None:
    folder, url = make(tmp_path / "data", 40 * MIB, 20 * MIB, 100), f"{s3.bucket()}/candidates"
    store = ArtifactStore(url, options=s3.options)
    command = [sys.executable, "-c", _PUBLISH, str(folder), url, s3.key, s3.secret, s3.endpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    for digest, _ in store.list():  # only if it was as fast as that
        store.verify(digest)
    digest = store.publish(folder, **OPTIONS)
    store.verify(digest)
    store.gc({digest}, older_than=AT_ONCE)
    store.verify(digest)
    assert list(store._backend.partial()) == []


def test_gc_ends_an_unfinished_upload_on_s3(s3: S3) -> None:
    store = ArtifactStore(f"{s3.bucket()}/candidates", options=s3.options)
    backend: Any = store._backend
    path = backend._path("blobs/aa/" + "a" * 64)
    bucket, _, key = path.partition("/")
    backend._files.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    assert store.gc([], older_than=timedelta(hours=1)).partial == ()
    assert len(store.gc([], older_than=AT_ONCE, dry_run=True).partial) == 1
    assert len(store.gc([], older_than=AT_ONCE).partial) == 1
    assert list(backend.partial()) == []


def test_a_full_disk_is_said_and_shows_nothing(small_disk: Path, tmp_path: Path) -> None:
    folder = make(tmp_path / "data", MIB, 6 * MIB)
    store = ArtifactStore(str(small_disk / "store"))
    with pytest.raises(Exhausted, match=r"no room left .* free some space"):
        store.publish(folder, **OPTIONS)
    assert list(store.list()) == []
    assert list(store._backend.partial()) == []
    store.publish(make(tmp_path / "small", MIB), **OPTIONS)


def test_a_full_cache_is_said_and_leaves_no_half_file(small_disk: Path, tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    digest = store.publish(make(tmp_path / "data", MIB, 6 * MIB), **OPTIONS)
    with pytest.raises(Exhausted, match="no room left"):
        store.materialize(digest, small_disk / "cache")
    files = [path.name for path in (small_disk / "cache").rglob("*.bin")]
    assert files == ["part-0.bin"]


def test_a_full_s3_server_shows_nothing(small_disk: Path, tmp_path: Path) -> None:
    with s3_server(small_disk) as server:
        store = ArtifactStore(f"{server.bucket()}/candidates", options={**server.options, **impatient()})
        with pytest.raises((Exhausted, Unavailable)):
            store.publish(make(tmp_path / "data", MIB, 6 * MIB), **OPTIONS)
        assert list(store.list()) == []


def test_a_lost_s3_server_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    folder = make(tmp_path / "data", 100)
    with s3_server(tmp_path / "s3") as server:
        options = {**server.options, **impatient()}
        store = ArtifactStore(f"{server.bucket()}/candidates", options=options)
        digest = store.publish(folder, **OPTIONS)
    for use in (lambda: store.publish(folder, **OPTIONS), lambda: store.manifest(digest), lambda: list(store.list())):
        with pytest.raises(Unavailable):
            use()


def test_wrong_credentials_are_said(s3: S3, tmp_path: Path) -> None:
    store = ArtifactStore(f"{s3.bucket()}/released", options={**s3.options, "secret": "wrong"})
    with pytest.raises(PosologyError, match="credentials"):
        store.publish(make(tmp_path / "data", 10), **OPTIONS)


def impatient() -> dict[str, Any]:
    return {"config_kwargs": {"connect_timeout": 1, "read_timeout": 5, "retries": {"max_attempts": 1}}}


_MATERIALIZE = """
import sys
from pathlib import Path
from posology.core.artifacts import ArtifactStore
sys.stdin.read(1)
print(ArtifactStore(sys.argv[1]).materialize(sys.argv[2], Path(sys.argv[3])))
"""


def test_processes_share_a_cache_even_if_some_are_killed(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    digest = store.publish(make(tmp_path / "data", 20 * MIB, 5 * MIB), **OPTIONS)
    command = [sys.executable, "-c", _MATERIALIZE, str(tmp_path / "store"), digest, str(tmp_path / "cache")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    time.sleep(0.5)
    started[0].kill()
    results = [process.communicate()[0].strip() for process in started]
    expected = tmp_path / "cache" / digest.removeprefix("sha256:")
    assert results[1:] == [str(expected)] * 3
    assert describe(expected) == store.manifest(digest).files
    assert [path.name for path in (tmp_path / "cache").glob(".*.partial")] == []


def test_in_a_full_cache_the_copy_that_was_used_longest_ago_makes_room(small_disk: Path, tmp_path: Path) -> None:
    store, cache = ArtifactStore(str(tmp_path / "store")), small_disk / "cache"
    sizes = enumerate((MIB, MIB + 1, MIB + 2, 3 * MIB // 2), start=1)
    *there, new = (store.publish(make(tmp_path / f"data-{n}", size), **OPTIONS) for n, size in sizes)
    for digest in there:
        with cache_eviction.in_use(digest, cache):
            cache_eviction.materialize(store, digest, cache)
    with cache_eviction.in_use(there[0], cache):  # the first is used again, so that it is the one used last
        cache_eviction.materialize(store, new, cache)
        kept = {path.name for path in cache.iterdir() if path.is_dir()}
    assert kept == {digest.removeprefix("sha256:") for digest in (there[0], there[2], new)}


def test_what_somebody_uses_stays_in_a_full_cache(small_disk: Path, tmp_path: Path) -> None:
    store, cache = ArtifactStore(str(tmp_path / "store")), small_disk / "cache"
    used, new = (store.publish(make(tmp_path / f"data-{size}", size), **OPTIONS) for size in (3 * MIB, 2 * MIB))
    with cache_eviction.in_use(used, cache):
        folder = cache_eviction.materialize(store, used, cache)
        with cache_eviction.in_use(new, cache), pytest.raises(Exhausted, match="no room left"):
            cache_eviction.materialize(store, new, cache)
        assert describe(folder) == store.manifest(used).files
    assert cache_eviction.materialize(store, new, cache)


def age(root: Path) -> None:
    """Make everything look two days old."""
    before = time.time() - 2 * 86400
    for path in [*(root / "blobs").rglob("*"), *(root / "manifests").rglob("*")]:
        if path.is_file():
            os.utime(path, (before, before))


def test_what_a_publisher_reuses_is_not_collected_under_its_feet(tmp_path: Path) -> None:
    """Old blobs that nothing refers to: gc wants to delete them just when a publisher wants them again."""
    store = ArtifactStore(str(tmp_path / "store"))
    folder = make(tmp_path / "data", 1000, 2000, 3000)
    stop = threading.Event()
    failed: list[BaseException] = []

    def collect() -> None:
        while not stop.is_set():
            try:
                store.gc([], older_than=timedelta(days=1))
            except BaseException as error:  # noqa: BLE001 - shown below
                failed.append(error)
                return

    collector = threading.Thread(target=collect)
    collector.start()
    for _ in range(60):
        digest = store.publish(folder, **OPTIONS)
        store.verify(digest)
        store.delete(digest)
        age(tmp_path / "store")
    stop.set()
    collector.join()
    assert failed == []


def test_a_file_that_changes_while_it_is_published_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "data", 1000)
    store = ArtifactStore(str(tmp_path / "store"))
    put: Callable[..., None] = store._put_blob

    def change_first(*arguments: Any) -> None:
        (folder / "part-0.bin").write_bytes(b"other")
        put(*arguments)

    monkeypatch.setattr(store, "_put_blob", change_first)
    with pytest.raises(PosologyError, match=r"part-0.bin is cut: 5 of 1000"):
        store.publish(folder, **OPTIONS)
    assert list(store.list()) == []


def test_a_large_altered_file_leaves_nothing_on_s3(s3: S3, tmp_path: Path) -> None:
    store = ArtifactStore(f"{s3.bucket()}/candidates", options=s3.options)
    staging = Staging(str(tmp_path / "staging"))
    (file,) = staging.upload(make(tmp_path / "data", 40 * MIB), "jobs/j1/1")
    with pytest.raises(DataCorrupt, match=r"part-0.bin was altered"):
        store.publish_staged(staging, "jobs/j1/1", [replace(file, sha256="0" * 64)], **OPTIONS)
    gc.collect()  # a forgotten upload would come back to life here
    assert list(store._backend.list("")) == []
    assert list(store._backend.partial()) == []


def test_gc_waits_for_a_publisher_between_its_blobs_and_its_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    folder = make(tmp_path / "data", 1000)
    put: Callable[..., None] = store._put
    collector = threading.Thread(target=lambda: store.gc([], older_than=AT_ONCE))

    def slowly(*arguments: Any) -> None:
        collector.start()
        collector.join(0.5)
        assert collector.is_alive()
        put(*arguments)

    monkeypatch.setattr(store, "_put", slowly)
    digest = store.publish(folder, **OPTIONS)
    collector.join()
    # AT_ONCE knows no young things, so the blob goes after all; with a real age it would stay.
    assert store.exists(digest)


def test_an_old_blob_is_written_anew_on_s3(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArtifactStore(f"{s3.bucket()}/candidates", options=s3.options)
    folder = make(tmp_path / "data", 1000)
    store.publish(folder, **OPTIONS)
    (before,) = store._backend.list("blobs")
    time.sleep(1.1)  # S3 tells whole seconds
    store.publish(folder, **OPTIONS)
    assert list(store._backend.list("blobs")) == [before]
    monkeypatch.setattr("posology.core.artifacts.store._RENEW_AFTER", timedelta(seconds=1))
    store.publish(folder, **OPTIONS)
    (after,) = store._backend.list("blobs")
    assert after.modified > before.modified


def test_a_large_artifact_travels_in_parts_over_s3(s3: S3, tmp_path: Path) -> None:
    store = ArtifactStore(f"{s3.bucket()}/candidates", options=s3.options)
    folder = make(tmp_path / "data", 16 * MIB - 1, 16 * MIB, 16 * MIB + 1, 33 * MIB)
    digest = store.publish(folder, **OPTIONS)
    assert describe(store.materialize(digest, tmp_path / "cache")) == describe(folder)
