"""Files on the worker's side: inputs, output, secrets."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from posology.core.artifacts import ArtifactStore, Staging
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound
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


def secret(reference: str, *, folder: Path | None, kept: str = "") -> str:
    """The secret called `reference`: a file of that name in `folder`, else POSOLOGY_SECRET_<NAME>. `kept` says
    where people put secrets, if not into that folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", reference):
        raise InvalidInput(f"{reference!r} is not the name of a secret: letters, digits, '.', '_' and '-'")
    if folder is not None and (folder / reference).is_file():
        return (folder / reference).read_text().strip()
    variable = "POSOLOGY_SECRET_" + re.sub(r"[^A-Z0-9]", "_", reference.upper())
    if variable in os.environ:
        return os.environ[variable].strip()
    place = f"the file {folder / reference} or " if folder else ""
    place = f"{reference!r} of {kept}" if kept else f"{place}the variable {variable}"
    raise FailedPrecondition(f"there is no secret {reference!r}; put it into {place}")
