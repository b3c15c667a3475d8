"""A local folder of verified copies, shared by the processes of one machine."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from posology.core.artifacts.backend import failures_of
from posology.core.artifacts.local import LocalBackend
from posology.core.artifacts.manifest import File, Manifest, check_digest

if TYPE_CHECKING:
    from posology.core.artifacts.store import ArtifactStore


def materialize(store: "ArtifactStore", digest: str, into: Path) -> Path:
    """See ArtifactStore.materialize."""
    manifest = store.manifest(digest)
    target = into / check_digest(digest)
    with failures_of(f"caching {digest} in {into}"):
        into.mkdir(parents=True, exist_ok=True)
        with _alone(into / f".{target.name}.lock"):
            _remove_strangers(target, manifest)
            _complete(store, digest, manifest, target)
    return target


def _complete(store: "ArtifactStore", digest: str, manifest: Manifest, target: Path) -> None:
    scratch = target.with_name(f".{target.name}.partial")
    files = LocalBackend(target, scratch=scratch)
    try:
        for file in manifest.files:
            if not _is_sound(target / file.path, file):
                _fetch(store, digest, file, files)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # also what a killed process left


def _fetch(store: "ArtifactStore", digest: str, file: File, files: LocalBackend) -> None:
    with files.writing(file.path) as sink:
        store.read_into(digest, file, sink)
        sink.commit()


def _is_sound(path: Path, file: File) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest() == file.sha256


def _remove_strangers(target: Path, manifest: Manifest) -> None:
    """Whatever lies in the folder besides the artifact's files could change what a loader sees."""
    known = {target / file.path for file in manifest.files}
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(file.is_relative_to(path) for file in known):
                shutil.rmtree(path)
        elif path not in known:
            path.unlink()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time per artifact; a crash releases the lock."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
