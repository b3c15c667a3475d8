"""Artifacts that are on a cluster, read through its catalog: what one may read there is what one may read here."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from posology.client.names import Names
from posology.core.artifacts import Manifest
from posology.core.artifacts.manifest import File
from posology.core.errors import DataCorrupt, NotFound
from posology.v1alpha1 import catalog_pb2, catalog_pb2_grpc

T = TypeVar("T")
_IN_MEMORY = 8 << 20
_PIECE = 1 << 20


class RemoteArtifacts:
    """Reads like a store. Blocking, for threads: the calls run in the event loop that made it.

    Nothing is believed: a manifest must have its digest, a file its sha256.
    """

    def __init__(self, catalog: catalog_pb2_grpc.CatalogAsyncStub, names: Names, *, address: str) -> None:
        self._catalog, self._names = catalog, names
        self._loop = asyncio.get_running_loop()
        self._manifests: dict[str, Manifest | None] = {}
        self.url = f"the catalog at {address}, {names.parent}"

    def exists(self, digest: str) -> bool:
        """Whether the namespace lists the artifact, and its bytes are there."""
        if digest not in self._manifests:
            self._manifests[digest] = self._wait(self._fetch_manifest(digest))
        return self._manifests[digest] is not None

    def manifest(self, digest: str) -> Manifest:
        """The manifest, checked against its digest; NotFound if the namespace has no such artifact."""
        if not self.exists(digest) or (manifest := self._manifests[digest]) is None:
            raise NotFound(f"there is no artifact {digest} in {self.url}")
        return manifest

    def open(self, digest: str, path: str) -> IO[bytes]:
        """One file, whole and checked before the first byte is handed out."""
        kept = cast(IO[bytes], tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - returned
        try:
            self._wait(self.read_into(digest, self.manifest(digest).file(path), kept))
        except BaseException:
            kept.close()
            raise
        kept.seek(0)
        return kept

    def copy(self, digest: str, path: str, target: IO[bytes]) -> None:
        """One file into `target`, piece by piece; DataCorrupt, after what was written, if it is not as published."""
        self._wait(self.read_into(digest, self.manifest(digest).file(path), target))

    def verify(self, digest: str) -> None:
        """Fetch every file and check it."""
        for file in self.manifest(digest).files:
            self._wait(self.read_into(digest, file, None))

    def of_kind(self, kind: str) -> Iterator[tuple[str, datetime]]:
        """Digest and time of registration of what the namespace lists."""
        for artifact in self._wait(listed(self._catalog, self._names, kind)):
            yield artifact.digest, artifact.create_time.ToDatetime(UTC)

    async def read_into(self, digest: str, file: File, sink: IO[bytes] | None) -> None:
        """Copy a file into `sink`; DataCorrupt, after what was written, if it is not as published."""
        request = catalog_pb2.ReadArtifactFileRequest(name=self._names.artifact(digest), path=file.path)
        hasher = hashlib.sha256()
        async for piece in self._catalog.ReadArtifactFile(request):
            hasher.update(piece.data)
            if sink is not None:
                await asyncio.to_thread(sink.write, piece.data)
        if hasher.hexdigest() != file.sha256:
            raise DataCorrupt(f"{file.path} of {digest} did not arrive as it was published")

    async def _fetch_manifest(self, digest: str) -> Manifest | None:
        request = catalog_pb2.GetArtifactManifestRequest(name=self._names.artifact(digest))
        try:
            answer = await self._catalog.GetArtifactManifest(request)
        except NotFound:
            return None
        return Manifest.from_bytes(answer.manifest, digest=digest)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def listed(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, names: Names, kind: str = ""
) -> list[catalog_pb2.Artifact]:
    """Every artifact of the namespace, or every one of a kind, newest first."""
    artifacts, token = list[catalog_pb2.Artifact](), ""
    while True:
        request = catalog_pb2.ListArtifactsRequest(parent=names.parent, kind=kind, page_size=1000, page_token=token)
        page = await catalog.ListArtifacts(request)
        artifacts += page.artifacts
        token = page.next_page_token
        if not token:
            return artifacts


async def push(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, names: Names, folder: Path, *, kind: str
) -> catalog_pb2.Artifact:
    """Send a folder to the catalog, which publishes and registers it."""
    first = catalog_pb2.UploadArtifactRequest(parent=names.parent, kind=kind)

    async def requests() -> AsyncIterator[catalog_pb2.UploadArtifactRequest]:
        begun = False
        async for path, data in _pieces(folder):
            request = catalog_pb2.UploadArtifactRequest() if begun else first
            request.path, request.data, begun = path, data, True
            yield request

    return await catalog.UploadArtifact(requests())


async def _pieces(folder: Path) -> AsyncIterator[tuple[str, bytes]]:
    """Path and bytes of every file below a folder; an empty file is one empty piece."""
    for path in await asyncio.to_thread(_files, folder):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            piece = await asyncio.to_thread(file.read, _PIECE)
            yield name, piece
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield name, piece


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
