"""Attacks on the catalog: what callers say of an artifact counts for nothing beside its manifest in the store."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import Struct
from support.catalogs import serving_catalog

from posology.core.artifacts import ArtifactStore
from posology.core.artifacts.store import manifest_key
from posology.core.errors import DataCorrupt, InvalidInput, PermissionDenied
from posology.core.rpc import client, context, rights
from posology.core.rpc.auth import ensure_token
from posology.core.rpc.context import Identity, Kind
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import catalog_pb2_grpc

PARENT = "namespaces/default"
NOWHERE = "sha256:" + "5" * 64


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[catalog_pb2_grpc.CatalogAsyncStub]:
    token = ensure_token(tmp_path / "token")
    async with (
        serving_catalog(tmp_path) as address,
        client.channel(address, token=token, service="catalog") as channel,
    ):
        yield catalog_pb2_grpc.CatalogStub(channel)


def store(root: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{root}/artifacts/candidates")


def published(root: Path, text: str, kind: str, *parents: str) -> str:
    folder = root / f"draft-{text}"
    folder.mkdir()
    (folder / "file.txt").write_text(text)
    return store(root).publish(folder, kind=kind, producer="posology-training/1", parents=parents)


async def register(catalog: catalog_pb2_grpc.CatalogAsyncStub, **claims: object) -> pb.Artifact:
    artifact = pb.Artifact(**claims)  # type: ignore[arg-type]  # whatever an attacker likes
    return await catalog.CreateArtifact(pb.CreateArtifactRequest(parent=PARENT, artifact=artifact))


async def listed(catalog: catalog_pb2_grpc.CatalogAsyncStub) -> list[str]:
    response = await catalog.ListArtifacts(pb.ListArtifactsRequest(parent=PARENT))
    return [artifact.digest for artifact in response.artifacts]


async def test_what_does_not_exist_is_not_registered(catalog: catalog_pb2_grpc.CatalogAsyncStub) -> None:
    with pytest.raises(InvalidInput, match=r"artifact\.digest: there is no artifact sha256:5"):
        await register(catalog, digest=NOWHERE, kind="model")
    assert await listed(catalog) == []


@pytest.mark.parametrize(
    ("field", "claim"),
    [
        ("kind", "base-model"),
        ("parents", [NOWHERE]),
        ("producer", "push"),
        ("size_bytes", 1),
        ("parameters", {"uri": "hf://google/gemma-3-270m-it"}),
    ],
)
async def test_a_claim_that_the_manifest_does_not_make_is_refused(
    field: str, claim: object, catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    """A tuned model that passes as a root, weights from other data, an origin that was never fetched."""
    digest = published(tmp_path, "tuned", "model")
    value = claim
    if field == "parameters":
        value = Struct()
        value.update(claim)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=rf"artifact\.{field}: is .* the manifest of {digest} says"):
        await register(catalog, digest=digest, **{field: value})
    assert await listed(catalog) == []


async def test_parents_that_are_left_out_are_read_in_the_manifest(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    data = published(tmp_path, "data", "dataset")
    await register(catalog, digest=data)
    made = await register(catalog, digest=published(tmp_path, "tuned", "model", data), kind="model", parents=[])
    assert (made.kind, list(made.parents), made.producer) == ("model", [data], "posology-training/1")


async def test_a_manifest_that_was_changed_in_the_store_is_refused(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    digest = published(tmp_path, "model", "model")
    file = tmp_path / "artifacts" / "candidates" / manifest_key(digest)
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b'"model"', b'"base-model"'))
    with pytest.raises(DataCorrupt, match="was altered"):
        await register(catalog, digest=digest, kind="model")
    assert await listed(catalog) == []


async def test_a_parent_that_the_namespace_never_had_is_refused(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    """Weights of another namespace would come in as parents, and `behind` would then read them."""
    foreign = published(tmp_path, "theirs", "base-model")
    other = pb.CreateArtifactRequest(parent="namespaces/theirs", artifact=pb.Artifact(digest=foreign))
    await catalog.CreateArtifact(other)
    digest = published(tmp_path, "mine", "adapter", foreign)
    with pytest.raises(InvalidInput, match=r"artifact\.parents.*namespace default"):
        await register(catalog, digest=digest)
    assert await listed(catalog) == []


async def test_a_parent_that_was_collected_does_not_keep_its_child_away(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    data = published(tmp_path, "data", "dataset")
    await register(catalog, digest=data)
    first = published(tmp_path, "first", "adapter", data)
    await register(catalog, digest=first)
    elsewhere = pb.CreateArtifactRequest(parent="namespaces/theirs", artifact=pb.Artifact(digest=data))
    await catalog.CreateArtifact(elsewhere)
    await catalog.CollectGarbage(pb.CollectGarbageRequest(parent=PARENT, older_than_seconds=0))
    published_again = store(tmp_path).publish(
        tmp_path / "draft-first", kind="adapter", producer="posology-training/1", parents=[data]
    )
    assert (await register(catalog, digest=published_again)).parents == [data]


@pytest.mark.parametrize("call", ["CreateArtifact", "FindWithdrawals"])
async def test_users_of_a_cluster_register_nothing_by_digest(call: str) -> None:
    """Who may push into a namespace could list, and then read, what lies in another one."""
    from posology.catalog.rights import RIGHTS

    class EverythingAllowed:
        async def allows(self, who: Identity, right: rights.Right) -> bool:
            return True

    check = rights.check(f"posology.v1alpha1.Catalog/{call}", RIGHTS, EverythingAllowed())
    token = context.caller.set(Identity("mallory", kind=Kind.USER))
    try:
        with pytest.raises(PermissionDenied, match="for the services of this installation only"):
            await check(pb.CreateArtifactRequest(parent="namespaces/mine", artifact=pb.Artifact(digest=NOWHERE)))
    finally:
        context.caller.reset(token)
