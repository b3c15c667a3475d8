"""Files on the worker's side: inputs and output."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from posology.core.artifacts import ArtifactStore, Staging
from posology.core.errors import NotFound
from posology.core.jobs.domain import StagedFile


def make_empty(folder: Path) -> None:
    """An empty folder, whatever was there; it may be a mount, which stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def fetch(digest: str, *, stores: Sequence[str], into: Path) -> Path:
    """A verified copy of an artifact below the cache folder `into`, from the first store that has it."""
    for url in stores:
        store = ArtifactStore(url)
        if store.exists(digest):
            return store.materialize(digest, into)
    raise NotFound(f"no artifact {digest} in {', '.join(stores) or 'any store, because none was given'}")


def stage(output: Path, *, url: str, prefix: str) -> tuple[StagedFile, ...]:
    """Put every file of `output` under `prefix` of the staging area `url`; what was put, with digests."""
    uploaded = Staging(url).upload(output, prefix)
    return tuple(StagedFile(file.path, file.sha256, file.size) for file in uploaded)
