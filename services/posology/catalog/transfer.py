"""Bytes of artifacts over gRPC: out to whoever may read them, in from a person who pushes a folder."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from posology.catalog.domain import Artifact
from posology.core import names
from posology.core.artifacts import ArtifactStore
from posology.core.artifacts.manifest import check_path
from posology.core.errors import Exhausted, InvalidInput, NotFound, Violation
from posology.v1alpha1 import catalog_pb2 as pb

PUSHED_KINDS = ("base-model", "suites")
"""What a person may publish. Everything else is made by a service, which signs how."""
PRODUCER = "push"
PIECE = 1 << 20
_END = b""


@dataclass
class Upload:
    """What arrived: files below `folder`."""

    namespace: str
    kind: str
    folder: Path


async def pieces(store: ArtifactStore, digest: str, path: str) -> AsyncIterator[bytes]:
    """A file in pieces that fit into messages. NotFound, InvalidInput (no such path) and DataCorrupt as the store."""
    chunks = store.chunks(digest, path)
    while chunk := await asyncio.to_thread(next, chunks, _END):
        for start in range(0, len(chunk), PIECE):
            yield chunk[start : start + PIECE]


@asynccontextmanager
async def received(requests: AsyncIterator[pb.UploadArtifactRequest]) -> AsyncIterator[Upload]:
    """Everything that is sent, in a folder that is gone after the block.

    InvalidInput for another kind than a person may push, for a path that leaves the folder, and for a file that comes
    twice; Exhausted for a full disk.
    """
    with tempfile.TemporaryDirectory(prefix="posology-push-") as name:
        first = await anext(requests, None)
        if first is None:
            raise InvalidInput("nothing was sent; the first message says parent, kind and the first path")
        namespace = names.namespace_of_parent(first.parent)
        if first.kind not in PUSHED_KINDS:
            what = f"must be {' or '.join(PUSHED_KINDS)}, not {first.kind!r}: services make the others"
            raise InvalidInput.of([Violation("kind", what)])
        upload = Upload(namespace, first.kind, Path(name))
        try:
            await _write_all(first, requests, upload)
        except OSError as error:
            raise Exhausted(f"the files can't be kept here: {error.strerror}") from error
        yield upload


async def _write_all(
    first: pb.UploadArtifactRequest, requests: AsyncIterator[pb.UploadArtifactRequest], upload: Upload
) -> None:
    path, file = first.path, _open(upload.folder, first.path)
    try:
        await asyncio.to_thread(file.write, first.data)
        async for request in requests:
            if request.parent not in ("", first.parent) or request.kind not in ("", upload.kind):
                raise InvalidInput("parent and kind belong to the first message; another one has others")
            if request.path != path:
                file.close()
                path, file = request.path, _open(upload.folder, request.path)
            await asyncio.to_thread(file.write, request.data)
    finally:
        file.close()


def _open(folder: Path, path: str) -> IO[bytes]:
    check_path(path)
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidInput(f"{path} comes twice, as a file or as a folder") from error


def publish(store: ArtifactStore, upload: Upload) -> Artifact:
    """Put what arrived into the store. Blocking."""
    digest = store.publish(upload.folder, kind=upload.kind, producer=PRODUCER)
    return described(store, upload.namespace, digest)


def described(store: ArtifactStore, namespace: str, digest: str) -> Artifact:
    """What the manifest in the store says of an artifact, hashed here. Blocking.

    InvalidInput for a digest that was never published; DataCorrupt if the manifest is not what it names.
    """
    try:
        manifest = store.manifest(digest)
    except NotFound:
        raise InvalidInput.of([Violation("artifact.digest", f"there is no artifact {digest}; publish it")]) from None
    return Artifact(
        namespace,
        digest,
        manifest.kind,
        manifest.size,
        manifest.parents,
        manifest.producer,
        manifest.parameters,
    )
