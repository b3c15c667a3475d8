"""Every way of not being released is refused, with an error and a message of its own."""

from pathlib import Path
from typing import Any

import pytest
from service.serving.serving_world import Installation, Service

from posology.core import errors
from posology.core.rpc import client
from posology.core.signing import Signer
from posology.v1alpha1 import catalog_pb2, catalog_pb2_grpc, engine_pb2
from posology.v1alpha1 import serving_pb2 as pb


async def test_every_refusal_has_its_own_words(installation: Installation, service: Service) -> None:
    model = installation.weights()
    stranger = Signer.load_or_create(installation.root / "stranger.key")
    other = installation.weights("two")

    async def refused(error: type[errors.PosologyError], says: str, **fields: Any) -> None:
        with pytest.raises(error, match=says):
            await service.create(fields.pop("model", model), **fields)

    await refused(errors.FailedPrecondition, "has no verdict, so it may not serve")
    await refused(errors.FailedPrecondition, "there is no verdict sha256:0", verdict="sha256:" + "0" * 64)
    verdict = installation.verdict(model, outcome="FAIL", gates=[{"suite": "mmlu", "outcome": "FAIL"}])
    await refused(errors.FailedPrecondition, r"is FAIL \(mmlu\); only PASS serves", verdict=verdict)
    await refused(errors.FailedPrecondition, "is FAIL")  # the one that is found is no better
    verdict = installation.verdict(model, outcome="INSUFFICIENT_EVIDENCE")
    await refused(errors.FailedPrecondition, "score more items", verdict=verdict)
    verdict = installation.verdict(model, signer=stranger)
    await refused(errors.PermissionDenied, "not signed by a key that serving trusts", verdict=verdict)
    passing = installation.verdict(model)
    await refused(errors.FailedPrecondition, "not about", model=other, verdict=passing)
    engine = engine_pb2.EngineConfig(dtype="float16")
    await refused(errors.FailedPrecondition, "dtype is 'float16', not 'auto'", verdict=passing, engine=engine)
    (installation.root / "keys" / "revoked").write_text(installation.signer.id)
    await refused(errors.PermissionDenied, "was revoked", verdict=passing)
    assert list(installation.released.list()) == []
    found = await service.rpc.ListDeployments(pb.ListDeploymentsRequest(parent="namespaces/default"))
    assert not found.deployments


async def test_altered_weights_are_refused_and_nothing_is_released(
    installation: Installation, service: Service
) -> None:
    model = installation.weights()
    installation.verdict(model)
    blob = _blob_of(installation, model, "model.safetensors")
    blob.chmod(0o600)
    blob.write_bytes(b"x" * blob.stat().st_size)
    with pytest.raises(errors.DataCorrupt, match=r"not the weights that were evaluated: .*model\.safetensors"):
        await service.create(model)
    assert not installation.released.exists(model)


async def test_weights_altered_after_their_release_never_become_ready(
    installation: Installation, service: Service
) -> None:
    model = installation.weights()
    installation.verdict(model)
    await service.create(model, name="first")
    await service.until("READY")
    blob = _blob_of(installation, model, "model.safetensors", store="released")
    blob.chmod(0o600)
    blob.write_bytes(b"x" * blob.stat().st_size)
    for cached in (installation.root / "serving" / "weights").rglob("model.safetensors"):
        cached.unlink()
    # The engine dies; its successor may not start over altered bytes.
    [pid] = service.agents().values()
    import os

    os.kill(pid, 9)
    failed = await service.until("FAILED")
    assert "altered" in failed.reason


async def test_an_engine_that_answers_otherwise_than_evaluated_is_refused(
    installation: Installation, service: Service
) -> None:
    model = installation.weights()
    said = installation.statement(model)
    said["predicate"]["probes"][0]["tokenIds"][5] += 1
    probes = said["predicate"]["probes"]
    await service.create(model, verdict=installation.verdict(model, probes=probes))
    failed = await service.until("FAILED")
    assert "1 of 1 probes answer otherwise" in failed.reason
    assert "from token 5 on" in failed.reason


async def test_an_engine_of_another_version_is_refused(installation: Installation, service: Service) -> None:
    model = installation.weights()
    engine = {**installation.statement(model)["predicate"]["engine"], "engine_version": "0.31.0"}
    await service.create(model, verdict=installation.verdict(model, engine=engine))
    failed = await service.until("FAILED")
    assert "engine_version" in failed.reason


async def test_checking_only_changes_nothing(installation: Installation, service: Service) -> None:
    model = installation.weights()
    installation.verdict(model)
    checked = await service.create(model, validate_only=True)
    assert checked.name == "namespaces/default/deployments/first"
    assert not installation.released.exists(model)
    with pytest.raises(errors.NotFound):
        await service.get()


async def test_a_verdict_may_come_as_an_envelope(installation: Installation, service: Service) -> None:
    model = installation.weights()
    import json

    envelope = json.dumps(installation.signer.sign(installation.statement(model, dataset="sha256:data", run="r")))
    await service.create(model, verdict=envelope)
    found = await service.until("READY")
    assert installation.released.manifest(found.verdict).parents == (model,)
    [route] = (await service.routes()).routes
    assert (route.dataset, route.run, route.max_model_len) == ("sha256:data", "r", 512)


async def test_a_repeated_request_returns_the_first_deployment(installation: Installation, service: Service) -> None:
    model = installation.weights()
    installation.verdict(model)
    first = await service.create(model, request_id="r1")
    again = await service.create(model, request_id="r1", name="ignored")
    assert again.name == first.name
    with pytest.raises(errors.AlreadyExists, match="choose another id"):
        await service.create(model, request_id="r2")


def _blob_of(installation: Installation, digest: str, path: str, *, store: str = "candidates") -> Path:
    sha256 = installation.candidates.manifest(digest).file(path).sha256
    [found] = (installation.root / "artifacts" / store).rglob(sha256)
    return found


async def test_weights_that_rest_on_something_withdrawn_are_refused(
    installation: Installation, service: Service
) -> None:
    data = installation.candidates.publish(installation.root / "keys", kind="dataset", producer="tests")
    model = installation.weights(parents=(data,))
    passing = installation.verdict(model)
    address = service.settings["catalog_address"]
    async with client.channel(address, token=installation.token, service="catalog") as channel:
        catalog = catalog_pb2_grpc.CatalogStub(channel)
        for artifact in (
            catalog_pb2.Artifact(digest=data, kind="dataset"),
            catalog_pb2.Artifact(digest=model, kind="model", parents=[data]),
        ):
            request = catalog_pb2.CreateArtifactRequest(parent="namespaces/default", artifact=artifact)
            known = await catalog.CreateArtifact(request)
            if artifact.kind == "dataset":
                await catalog.QuarantineArtifact(
                    catalog_pb2.QuarantineArtifactRequest(name=known.name, reason="label recalled")
                )
    with pytest.raises(errors.FailedPrecondition, match=f"rests on the dataset {data}, which was withdrawn"):
        await service.create(model, verdict=passing)
    assert list(installation.released.list()) == []


@pytest.mark.parametrize("namespace", ["default", "elsewhere"])
@pytest.mark.parametrize("collected", [False, True])
async def test_a_withdrawn_model_stays_refused_from_any_namespace_and_after_gc(
    namespace: str, collected: bool, installation: Installation, service: Service
) -> None:
    model = installation.weights()
    passing = installation.verdict(model)
    parent = f"namespaces/{namespace}"
    async with client.channel(
        service.settings["catalog_address"], token=installation.token, service="catalog"
    ) as channel:
        catalog = catalog_pb2_grpc.CatalogStub(channel)
        artifact = catalog_pb2.Artifact(digest=model, kind="model")
        known = await catalog.CreateArtifact(catalog_pb2.CreateArtifactRequest(parent=parent, artifact=artifact))
        await catalog.QuarantineArtifact(catalog_pb2.QuarantineArtifactRequest(name=known.name, reason="harmful"))
        if collected:
            await catalog.CollectGarbage(catalog_pb2.CollectGarbageRequest(parent=parent, older_than_seconds=0))
    with pytest.raises(errors.FailedPrecondition, match=r"was withdrawn \(harmful\)"):
        await service.create(model, verdict=passing)
