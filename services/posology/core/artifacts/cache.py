"""A folder of verified copies, shared by the processes of one machine, or of several by a volume that has locks."""

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posology.core.artifacts.backend import failures_of
from posology.core.artifacts.local import LocalBackend
from posology.core.artifacts.manifest import File, Manifest, check_digest
from posology.core.artifacts.readable import Readable

log = logging.getLogger("posology.artifacts")


def materialize(store: Readable, digest: str, into: Path) -> Path:
    """See ArtifactStore.materialize."""
    manifest = store.manifest(digest)
    target = into / check_digest(digest)
    with failures_of(f"caching {digest} in {into}"):
        into.mkdir(parents=True, exist_ok=True)
        lock = into / f".{target.name}.lock"
        with locked(lock, fcntl.LOCK_SH):  # many may read at once, which takes minutes for large weights
            if _is_whole(target, manifest):
                return target
        with locked(lock, fcntl.LOCK_EX):
            _remove_strangers(target, manifest)
            _complete(store, digest, manifest, target)
    return target


def _is_whole(target: Path, manifest: Manifest) -> bool:
    """Whether every file, and nothing else, lies there as it was published."""
    if target.is_symlink() or not target.is_dir() or any(_strangers(target, manifest)):
        return False
    return all(_is_sound(target / file.path, file) for file in manifest.files)


def _complete(store: Readable, digest: str, manifest: Manifest, target: Path) -> None:
    scratch = target.with_name(f".{target.name}.partial")
    files = LocalBackend(target, scratch=scratch)
    try:
        for file in manifest.files:
            if not _is_sound(path := target / file.path, file):
                if os.path.lexists(path):
                    log.warning("%s was altered or damaged; it is thrown away and fetched anew", path)
                _fetch(store, digest, file, files)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # also what a killed process left


def _fetch(store: Readable, digest: str, file: File, files: LocalBackend) -> None:
    with files.writing(file.path) as sink:
        store.read_into(digest, file, sink)
        sink.commit()


def _is_sound(path: Path, file: File) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest() == file.sha256


def _strangers(target: Path, manifest: Manifest) -> Iterator[Path]:
    """Whatever lies in the folder besides the artifact's files and their folders, deepest first."""
    files = {target / file.path for file in manifest.files}
    folders = {folder for file in files for folder in file.parents}
    for path in sorted(target.rglob("*"), reverse=True):
        if path not in (folders if path.is_dir() and not path.is_symlink() else files):
            yield path


def _remove_strangers(target: Path, manifest: Manifest) -> None:
    """What does not belong there could change what a loader sees; a link could lead it elsewhere."""
    if target.is_symlink():
        log.warning("%s was made a link; it is removed", target)
        target.unlink()
    for path in _strangers(target, manifest):
        log.warning("%s does not belong there; it is removed", path)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@contextmanager
def locked(lock: Path, how: int) -> Iterator[None]:
    """Hold a file lock, `how` as in flock; a crash releases it. BlockingIOError where LOCK_NB says not to wait."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
