"""Reading what artifacts hold, from whichever store has them."""

import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from posology.core.artifacts import ArtifactStore, Manifest
from posology.core.errors import InvalidInput, NotFound
from posology.core.settings import ServiceSettings


class Stored:
    """The released and the candidate artifacts of an installation. Blocking; every byte is checked on its way out."""

    def __init__(self, *stores: ArtifactStore) -> None:
        self.stores = stores

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Stored":
        """The stores that an installation's settings name."""
        return cls(ArtifactStore(settings.candidates_url), ArtifactStore(settings.released_url))

    def holding(self, digest: str) -> ArtifactStore | None:
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
            for digest, stored in store.list():
                if digest not in yielded and store.manifest(digest).kind == kind:
                    yielded.add(digest)
                    yield stored.modified, digest

    def behind(self, digest: str) -> dict[str, Manifest]:
        """The artifact and everything that it was made from, by digest, nearest first; what is gone is left out."""
        manifests: dict[str, Manifest] = {}
        layer = [digest]
        while layer:
            here = {d: store.manifest(d) for d in layer if d not in manifests and (store := self.holding(d))}
            manifests.update(here)
            layer = list(dict.fromkeys(parent for manifest in here.values() for parent in manifest.parents))
        return manifests

    def _require(self, digest: str) -> ArtifactStore:
        if not digest:
            raise InvalidInput("no artifact is named here")
        store = self.holding(digest)
        if store is None:
            raise NotFound(f"there is no artifact {digest} in {' or '.join(s.url for s in self.stores)}")
        return store
