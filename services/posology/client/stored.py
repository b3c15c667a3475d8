"""Reading what artifacts hold, from whichever store has them."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from posology.client.remote import RemoteArtifacts
from posology.core.artifacts import ArtifactStore, Manifest
from posology.core.errors import Exhausted, FailedPrecondition, InvalidInput, NotFound
from posology.core.settings import ServiceSettings


class Source(Protocol):
    """A store as readers see it: the artifact store itself, or the catalog that reads it for us."""

    url: str

    def exists(self, digest: str) -> bool:
        """Whether it has the artifact."""
        ...

    def manifest(self, digest: str) -> Manifest:
        """The manifest, verified; NotFound without one."""
        ...

    def open(self, digest: str, path: str) -> IO[bytes]:
        """One file, verified."""
        ...

    def verify(self, digest: str) -> None:
        """Read every file; DataCorrupt names the first that is not as published."""
        ...


class Stored:
    """The released and the candidate artifacts of an installation. Blocking; every byte is checked on its way out."""

    def __init__(self, *stores: Source) -> None:
        self.stores = stores

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Stored":
        """The stores that an installation's settings name."""
        return cls(ArtifactStore(settings.candidates_url), ArtifactStore(settings.released_url))

    def holding(self, digest: str) -> Source | None:
        """The first store that has the artifact."""
        return next((store for store in self.stores if store.exists(digest)), None)

    def manifest(self, digest: str) -> Manifest:
        """What the artifact is; NotFound if no store has it."""
        return self._require(digest).manifest(digest)

    def has(self, digest: str, path: str) -> bool:
        """Whether the artifact is there and has such a file."""
        store = self.holding(digest)
        return store is not None and any(file.path == path for file in store.manifest(digest).files)

    def read(self, digest: str, path: str) -> bytes:
        """One file, whole."""
        with self._require(digest).open(digest, path) as stored:
            return stored.read()

    def open(self, digest: str, path: str) -> IO[bytes]:
        """One file to read from, checked."""
        return self._require(digest).open(digest, path)

    def copy(self, digest: str, path: str, target: IO[bytes]) -> None:
        """One file into `target`, checked: an error may leave a part of it there."""
        store = self._require(digest)
        if isinstance(store, RemoteArtifacts):
            return store.copy(digest, path, target)  # weights of gigabytes go by no temporary file
        with store.open(digest, path) as source:
            shutil.copyfileobj(source, target)

    def json(self, digest: str, path: str) -> Any:
        """One JSON file."""
        return json.loads(self.read(digest, path))

    def rows(self, digest: str, path: str) -> Iterator[dict[str, Any]]:
        """The JSON lines of one file; nothing if the artifact has no such file."""
        if not self.has(digest, path):
            return
        with self._require(digest).open(digest, path) as raw:
            for line in io.TextIOWrapper(raw, encoding="utf-8"):
                if line.strip():
                    yield json.loads(line)

    def of_kind(self, kind: str) -> Iterator[tuple[datetime, str]]:
        """When each artifact of a kind was stored, and its digest; in no order."""
        yielded: set[str] = set()
        for store in self.stores:
            for digest, modified in _of_kind(store, kind):
                if digest not in yielded:
                    yielded.add(digest)
                    yield modified, digest

    def behind(self, digest: str) -> dict[str, Manifest]:
        """The artifact and everything that it was made from, by digest, nearest first; what is gone is left out."""
        manifests: dict[str, Manifest] = {}
        layer = [digest]
        while layer:
            here = {d: store.manifest(d) for d in layer if d not in manifests and (store := self.holding(d))}
            manifests.update(here)
            layer = list(dict.fromkeys(parent for manifest in here.values() for parent in manifest.parents))
        return manifests

    def _require(self, digest: str) -> Source:
        if not digest:
            raise InvalidInput("no artifact is named here")
        store = self.holding(digest)
        if store is None:
            raise NotFound(f"there is no artifact {digest} in {' or '.join(s.url for s in self.stores)}")
        return store


def _of_kind(store: Source, kind: str) -> Iterator[tuple[str, datetime]]:
    if isinstance(store, RemoteArtifacts):
        yield from store.of_kind(kind)
    elif isinstance(store, ArtifactStore):
        for digest, stored in store.list():
            if store.manifest(digest).kind == kind:
                yield digest, stored.modified


def copy_out(stored: Stored, digest: str, folder: Path) -> Manifest:
    """Put an artifact's files into `folder`, which must be new or empty; it appears whole or not at all. Blocking.

    FailedPrecondition if something lies there; Exhausted if the disk is full.
    """
    manifest = stored.manifest(digest)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FailedPrecondition(f"{folder} is not empty; name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
            draft = Path(name) / "whole"
            for file in manifest.files:
                (draft / file.path).parent.mkdir(parents=True, exist_ok=True)
                with (draft / file.path).open("wb") as target:
                    stored.copy(digest, file.path, target)
            if folder.exists():
                folder.rmdir()
            draft.replace(folder)
    except OSError as error:
        raise Exhausted(f"{folder} can't be written: {error.strerror}") from error
    return manifest
