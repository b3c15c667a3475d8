"""Bytes of artifacts through the catalog: whole, in their namespace only, and never half-written."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.catalogs import serving_catalog

from posology.core.artifacts import ArtifactStore
from posology.core.errors import DataCorrupt, InvalidInput, NotFound, PosologyError
from posology.core.rpc import client
from posology.core.rpc.auth import ensure_token
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import catalog_pb2_grpc

PARENT = "namespaces/default"
if TYPE_CHECKING:
    Stub = catalog_pb2_grpc.CatalogAsyncStub
Piece = pb.UploadArtifactRequest


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Stub]:
    token = ensure_token(tmp_path / "token")
    async with (
        serving_catalog(tmp_path) as address,
        client.channel(address, token=token, service="catalog") as channel,
    ):
        yield catalog_pb2_grpc.CatalogStub(channel)


async def upload(catalog: Stub, *pieces: Piece) -> pb.Artifact:
    async def sent() -> AsyncIterator[Piece]:
        for piece in pieces:
            yield piece

    return await catalog.UploadArtifact(sent())


async def read(catalog: Stub, name: str, path: str) -> bytes:
    request = pb.ReadArtifactFileRequest(name=name, path=path)
    return b"".join([piece.data async for piece in catalog.ReadArtifactFile(request)])


def store_of(root: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{root}/artifacts/candidates")


async def test_what_is_pushed_is_read_back_byte_for_byte(catalog: Stub, tmp_path: Path) -> None:
    large = bytes(range(256)) * 10_000
    made = await upload(
        catalog,
        Piece(parent=PARENT, kind="base-model", path="weights/a.bin", data=large[:1_000_000]),
        Piece(path="weights/a.bin", data=large[1_000_000:]),
        Piece(path="empty.txt"),
    )
    assert await read(catalog, made.name, "weights/a.bin") == large
    assert await read(catalog, made.name, "empty.txt") == b""
    manifest = (await catalog.GetArtifactManifest(pb.GetArtifactManifestRequest(name=made.name))).manifest
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == made.digest
    folder = tmp_path / "same"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "a.bin").write_bytes(large)
    (folder / "empty.txt").touch()
    assert store_of(tmp_path).publish(folder, kind="base-model", producer="push") == made.digest


@pytest.mark.parametrize(
    "pieces",
    [
        [Piece(parent=PARENT, kind="verdict", path="verdict.dsse.json", data=b"{}")],
        [Piece(parent=PARENT, kind="model", path="model.safetensors", data=b"x")],
        [Piece(parent=PARENT, kind="", path="a", data=b"x")],
        [Piece(parent=PARENT, kind="base-model", path="../a", data=b"x")],
        [Piece(parent=PARENT, kind="base-model", path="/etc/passwd", data=b"x")],
        [Piece(parent=PARENT, kind="base-model", path="a\nb", data=b"x")],
        [Piece(parent=PARENT, kind="base-model", path="", data=b"x")],
        [Piece(parent=PARENT, kind="base-model", path="a"), Piece(path="b"), Piece(path="a", data=b"again")],
        [Piece(parent=PARENT, kind="base-model", path="a"), Piece(path="a/b", data=b"below a file")],
        [Piece(parent=PARENT, kind="base-model", path="a"), Piece(parent="namespaces/other", path="b")],
        [Piece(parent=PARENT, kind="base-model", path="a"), Piece(kind="suites", path="b")],
        [Piece(parent="namespaces/..", kind="base-model", path="a")],
        [Piece(parent="", kind="base-model", path="a")],
        [],
    ],
)
async def test_a_wrong_upload_is_refused_and_leaves_nothing(catalog: Stub, tmp_path: Path, pieces: list[Piece]) -> None:
    with pytest.raises(InvalidInput):
        await upload(catalog, *pieces)
    assert not list(store_of(tmp_path).list())
    assert not (await catalog.ListArtifacts(pb.ListArtifactsRequest(parent=PARENT))).artifacts


async def test_a_digest_of_another_namespace_gives_no_bytes(catalog: Stub) -> None:
    made = await upload(catalog, Piece(parent=PARENT, kind="base-model", path="a", data=b"secret"))
    elsewhere = made.name.replace("/default/", "/other/")
    with pytest.raises(NotFound):
        await read(catalog, elsewhere, "a")
    with pytest.raises(NotFound):
        await catalog.GetArtifactManifest(pb.GetArtifactManifestRequest(name=elsewhere))


@pytest.mark.parametrize("path", ["b", "../a", "a/", "", "a\0"])
async def test_a_path_that_the_artifact_has_not_is_refused(catalog: Stub, path: str) -> None:
    made = await upload(catalog, Piece(parent=PARENT, kind="base-model", path="a", data=b"x"))
    with pytest.raises(PosologyError):
        await read(catalog, made.name, path)


async def test_altered_bytes_end_in_an_error_and_not_in_a_file(catalog: Stub, tmp_path: Path) -> None:
    made = await upload(catalog, Piece(parent=PARENT, kind="base-model", path="a", data=b"good"))
    blob = next(path for path in (tmp_path / "artifacts/candidates/blobs").rglob("*") if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(b"evil")
    with pytest.raises(DataCorrupt):
        await read(catalog, made.name, "a")
