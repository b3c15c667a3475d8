"""The catalog over real gRPC: what exists, what it was made from, who holds it."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.catalogs import serving_catalog

from posology.core.artifacts import ArtifactStore
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound
from posology.core.rpc import client
from posology.core.rpc.auth import ensure_token
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import catalog_pb2_grpc

PARENT = "namespaces/default"
UP, DOWN = pb.TraceArtifactRequest.ANCESTORS, pb.TraceArtifactRequest.DESCENDANTS


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[catalog_pb2_grpc.CatalogAsyncStub]:
    token = ensure_token(tmp_path / "token")
    async with (
        serving_catalog(tmp_path) as address,
        client.channel(address, token=token, service="catalog") as channel,
    ):
        yield catalog_pb2_grpc.CatalogStub(channel)


def publish(root: Path, text: str, kind: str, *parents: str) -> pb.Artifact:
    folder = root / f"draft-{text}"
    folder.mkdir()
    (folder / "file.txt").write_text(text)
    store = ArtifactStore(f"file://{root}/artifacts/candidates")
    digest = store.publish(folder, kind=kind, producer="test/0", parents=parents)
    return pb.Artifact(digest=digest, kind=kind, parents=parents, producer="test/0", size_bytes=len(text))


async def register(catalog: catalog_pb2_grpc.CatalogAsyncStub, artifact: pb.Artifact) -> pb.Artifact:
    return await catalog.CreateArtifact(pb.CreateArtifactRequest(parent=PARENT, artifact=artifact))


async def test_lineage_is_walked_both_ways(catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path) -> None:
    data = await register(catalog, publish(tmp_path, "data", "dataset"))
    base = await register(catalog, publish(tmp_path, "base", "base-model"))
    adapter = await register(catalog, publish(tmp_path, "adapter", "adapter", data.digest, base.digest))
    model = await register(catalog, publish(tmp_path, "model", "model", adapter.digest, base.digest))
    up = await catalog.TraceArtifact(pb.TraceArtifactRequest(name=model.name, direction=UP))
    assert next(a.kind for a in up.artifacts) == "model"
    assert {a.digest for a in up.artifacts} == {model.digest, adapter.digest, base.digest, data.digest}
    down = await catalog.TraceArtifact(pb.TraceArtifactRequest(name=data.name, direction=DOWN))
    assert [a.kind for a in down.artifacts] == ["dataset", "adapter", "model"]


async def test_registering_twice_returns_the_first_entry(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    artifact = publish(tmp_path, "data", "dataset")
    assert await register(catalog, artifact) == await register(catalog, artifact)


async def test_a_pin_keeps_what_it_was_made_from_and_the_rest_goes(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    data = await register(catalog, publish(tmp_path, "data", "dataset"))
    adapter = await register(catalog, publish(tmp_path, "adapter", "adapter", data.digest))
    loose = await register(catalog, publish(tmp_path, "loose", "adapter", data.digest))
    await catalog.PinArtifact(pb.PinArtifactRequest(name=adapter.name, holder="namespaces/default/fineTuneRuns/r"))
    request = pb.CollectGarbageRequest(parent=PARENT, older_than_seconds=0, validate_only=True)
    assert list((await catalog.CollectGarbage(request)).digests) == [loose.digest]
    request.validate_only = False
    await catalog.CollectGarbage(request)
    with pytest.raises(NotFound, match="there is no artifact"):
        await catalog.GetArtifact(pb.GetArtifactRequest(name=loose.name))
    store = ArtifactStore(f"file://{tmp_path}/artifacts/candidates")
    assert not store.exists(loose.digest)
    assert store.exists(adapter.digest)
    assert store.exists(data.digest)


async def test_a_wrong_digest_or_name_is_said(catalog: catalog_pb2_grpc.CatalogAsyncStub) -> None:
    with pytest.raises(InvalidInput, match=r"artifact\.digest.*sha256"):
        await register(catalog, pb.Artifact(digest="abc", kind="dataset"))
    with pytest.raises(InvalidInput, match="must be namespaces/<namespace>/artifacts"):
        await catalog.GetArtifact(pb.GetArtifactRequest(name="nonsense"))


async def test_quarantine_names_its_reason(catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path) -> None:
    data = await register(catalog, publish(tmp_path, "data", "dataset"))
    request = pb.QuarantineArtifactRequest(name=data.name, reason="label recalled")
    assert (await catalog.QuarantineArtifact(request)).quarantine_reason == "label recalled"


async def test_no_run_gets_what_rests_on_withdrawn_data(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    data = await register(catalog, publish(tmp_path, "data", "dataset"))
    model = await register(catalog, publish(tmp_path, "model", "model", data.digest))
    await catalog.QuarantineArtifact(pb.QuarantineArtifactRequest(name=data.name, reason="label withdrawn"))
    with pytest.raises(FailedPrecondition, match=r"rests on dataset .* was withdrawn: label withdrawn"):
        await catalog.PinArtifact(pb.PinArtifactRequest(name=model.name, holder=f"{PARENT}/fineTuneRuns/again"))
    kept = await catalog.PinArtifact(pb.PinArtifactRequest(name=model.name, holder="auditor"))
    assert list(kept.pins) == ["auditor"], "what was withdrawn may still be kept as evidence"


# --- a withdrawal is of the installation -----------------------------------------------------------


async def found(catalog: catalog_pb2_grpc.CatalogAsyncStub, *digests: str) -> list[tuple[str, str]]:
    response = await catalog.FindWithdrawals(pb.FindWithdrawalsRequest(digests=digests))
    return [(withdrawal.digest, withdrawal.reason) for withdrawal in response.withdrawals]


async def collect(catalog: catalog_pb2_grpc.CatalogAsyncStub, parent: str = PARENT) -> None:
    await catalog.CollectGarbage(pb.CollectGarbageRequest(parent=parent, older_than_seconds=0))


async def test_a_withdrawal_reaches_every_namespace(catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path) -> None:
    data = publish(tmp_path, "data", "dataset")
    model = publish(tmp_path, "model", "model", data.digest)
    for parent in ("namespaces/a", "namespaces/b"):
        for artifact in (data, model):
            await catalog.CreateArtifact(pb.CreateArtifactRequest(parent=parent, artifact=artifact))
    name = f"namespaces/a/artifacts/{data.digest.removeprefix('sha256:')}"
    await catalog.QuarantineArtifact(pb.QuarantineArtifactRequest(name=name, reason="recalled"))
    assert await found(catalog, model.digest) == [(data.digest, "recalled")]
    held = f"namespaces/b/artifacts/{model.digest.removeprefix('sha256:')}"
    with pytest.raises(FailedPrecondition, match="was withdrawn: recalled"):
        await catalog.PinArtifact(pb.PinArtifactRequest(name=held, holder="namespaces/b/fineTuneRuns/again"))


@pytest.mark.parametrize("withdrawn", ["dataset", "adapter", "model", "verdict"])
async def test_a_withdrawal_outlives_what_was_collected(
    withdrawn: str, catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    chain: dict[str, pb.Artifact] = {}
    for kind in ("dataset", "adapter", "model", "verdict"):
        parents = [artifact.digest for artifact in chain.values()][-1:]
        chain[kind] = await register(catalog, publish(tmp_path, kind, kind, *parents))
    await catalog.QuarantineArtifact(pb.QuarantineArtifactRequest(name=chain[withdrawn].name, reason="bad"))
    await collect(catalog)
    digest = chain[withdrawn].digest
    assert await found(catalog, chain["verdict"].digest) == [(digest, "bad")], "whoever presents it again"
    again = ArtifactStore(f"file://{tmp_path}/artifacts/candidates").publish(
        tmp_path / f"draft-{withdrawn}", kind=withdrawn, producer="test/0", parents=list(chain[withdrawn].parents)
    )
    assert again == digest
    await register(catalog, pb.Artifact(digest=digest, kind=withdrawn, parents=chain[withdrawn].parents))
    assert await found(catalog, digest) == [(digest, "bad")], "registering it anew does not clear it"


async def test_numbers_of_withdrawals_only_grow_and_a_second_one_changes_nothing(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    artifacts = [await register(catalog, publish(tmp_path, text, "dataset")) for text in "abc"]
    for artifact in (artifacts[2], artifacts[0], artifacts[2], artifacts[1]):
        await catalog.QuarantineArtifact(pb.QuarantineArtifactRequest(name=artifact.name, reason="bad"))
    request = pb.FindWithdrawalsRequest(digests=[artifact.digest for artifact in artifacts])
    listed = (await catalog.FindWithdrawals(request)).withdrawals
    assert [(w.number, w.digest) for w in listed] == [
        (number, artifacts[index].digest) for number, index in ((1, 2), (2, 0), (3, 1))
    ]


async def test_what_nobody_withdrew_is_good(catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path) -> None:
    data = await register(catalog, publish(tmp_path, "data", "dataset"))
    child = await register(catalog, publish(tmp_path, "child", "adapter", data.digest))
    await catalog.QuarantineArtifact(pb.QuarantineArtifactRequest(name=child.name, reason="bad"))
    assert await found(catalog, data.digest, "sha256:" + "0" * 64) == []
