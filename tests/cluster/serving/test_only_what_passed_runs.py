"""Weights without a verifying PASS are refused by gRPC, by the API server and by the pod itself, for one reason."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import s3fs
from cluster.serving.world import CLUSTER_WIDE, DEPLOYMENTS, PODS, Object, Open, eventually, kind_of

from posology.core import errors
from posology.core.artifacts.store import blob_key
from posology.core.kube import Resource
from posology.core.signing import Signer
from posology.serving.domain import ONLY_PASS

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]
JOBS = Resource("batch/v1", "jobs")
_NO_VERDICT = "sha256:" + "0" * 64


async def test_weights_without_a_verdict_are_refused_by_every_door(release: Open) -> None:
    model = release.world.installation.weights("unsigned")
    with pytest.raises(errors.FailedPrecondition) as by_grpc:
        await release.create("unsigned", model)
    async with release.deployed("hand-made"):
        for kind, body in await _by_hand(release, model):
            with pytest.raises(errors.PermissionDenied) as by_kubectl:
                await release.world.kube.create(kind, release.world.namespace, body)
            assert ONLY_PASS in by_kubectl.value.message, kind.plural
        async with _without_policy(release):
            said = await _last_word_of_a_hand_made_pod(release, model)
    assert ONLY_PASS in by_grpc.value.message
    assert said["final"]
    assert said["reason"] == f"verdict {_NO_VERDICT} was never released; {ONLY_PASS}"


async def test_a_verdict_of_a_foreign_key_is_refused(release: Open, tmp_path: Path) -> None:
    installation = release.world.installation
    model = installation.weights("foreign")
    verdict = installation.verdict(
        model, seed="foreign", modelName="foreign", signer=Signer.load_or_create(tmp_path / "foreign.key")
    )
    with pytest.raises(errors.PermissionDenied, match="not signed by a key that serving trusts"):
        await release.create("foreign", model, verdict=verdict)


async def test_weights_that_were_altered_before_their_release_are_refused(release: Open) -> None:
    installation = release.world.installation
    model = installation.weights("tampered")
    installation.verdict(model, seed="tampered", modelName="tampered")
    _alter(release, "candidates", model)
    with pytest.raises(errors.DataCorrupt, match="these are not the weights that were evaluated"):
        await release.create("tampered", model)


async def test_released_weights_that_were_altered_do_not_load_again(release: Open) -> None:
    async with release.deployed("altered") as model:
        digest = (await release.ask(model)).headers["x-posology-model-digest"]
        _alter(release, "released", digest)
        [pod] = await release.world.pods()
        await release.world.kube.delete(PODS, release.world.namespace, pod["metadata"]["name"])
        failed = await release.until("FAILED", "altered")
        assert failed.reason.startswith("the released weights were altered")
        await eventually(lambda: _nothing_runs(release))


async def test_what_serving_made_can_be_restarted_by_hand_but_not_changed(release: Open) -> None:
    async with release.deployed("kept"):
        [engine] = await release.world.engines()
        name, namespace = engine["metadata"]["name"], release.world.namespace
        image = {"spec": {"template": {"spec": {"containers": [{"name": "engine", "image": "other"}]}}}}
        with pytest.raises(errors.PermissionDenied, match="was not made by posology-serving"):
            await release.world.kube.merge(DEPLOYMENTS, namespace, name, image)
        await release.world.kube.merge(DEPLOYMENTS, namespace, name, {"metadata": {"annotations": {"note": "kept"}}})


async def _by_hand(release: Open, model: str) -> list[tuple[Resource, Object]]:
    """The engine that runs, copied to other weights by somebody who may do everything."""
    [engine] = await release.world.engines()
    told = {v["name"]: v.get("value") for v in engine["spec"]["template"]["spec"]["initContainers"][0]["env"]}
    copied = json.dumps(engine["spec"]["template"])
    copied = copied.replace(told["POSOLOGY_AGENT_MODEL"], model).replace(told["POSOLOGY_AGENT_VERDICT"], _NO_VERDICT)
    template = json.loads(copied)
    template["metadata"].pop("creationTimestamp", None)
    deployment = {"selector": {"matchLabels": template["metadata"]["labels"]}, "template": template}
    named = {"metadata": {"name": "mine", "labels": template["metadata"]["labels"]}}
    bare = {"metadata": {"name": "bare"}, "spec": {**template["spec"], "restartPolicy": "Never"}}
    unlabelled: Any = {"template": {"spec": {**template["spec"], "restartPolicy": "Never"}}}
    return [
        (PODS, named | {"spec": template["spec"]}),
        (PODS, bare),
        (DEPLOYMENTS, named | {"spec": deployment}),
        (JOBS, {"metadata": {"name": "job"}, "spec": unlabelled}),
    ]


async def _last_word_of_a_hand_made_pod(release: Open, model: str) -> dict[str, Any]:
    kind, body = (await _by_hand(release, model))[0]
    body["metadata"] = {"name": "mine"}  # no labels: no route leads to it, whatever becomes of it

    async def made() -> bool:
        """The API server goes by a policy for a moment after it is gone."""
        try:
            await release.world.kube.create(kind, release.world.namespace, body)
        except errors.PermissionDenied:
            return False
        return True

    await eventually(made)
    try:
        said: dict[str, Any] = await eventually(lambda: _last_word(release, "mine"), within=90)
        return said
    finally:
        await release.world.kube.delete(PODS, release.world.namespace, "mine", gracePeriodSeconds=0)


async def _last_word(release: Open, name: str) -> dict[str, Any] | None:
    pod = await release.world.kube.read(PODS, release.world.namespace, name)
    for status in pod["status"].get("initContainerStatuses", ()):
        for state in (status.get("state", {}), status.get("lastState", {})):
            if message := state.get("terminated", {}).get("message"):
                found: dict[str, Any] = json.loads(message)
                return found
    return None


@asynccontextmanager
async def _without_policy(release: Open) -> AsyncIterator[None]:
    """As on a cluster whose installer may not make such policies."""
    world = release.world
    policies = [found for found in world.made if found["kind"].startswith("ValidatingAdmission")]
    assert policies
    for found in policies:
        await world.kube.delete(kind_of(found), "", found["metadata"]["name"])
    try:
        yield
    finally:
        for found in policies:
            assert found["kind"] in CLUSTER_WIDE
            await world.kube.apply(kind_of(found), "", found, manager="helm")


def _alter(release: Open, store: str, digest: str) -> None:
    """Change a byte of weights, as somebody with the store's keys could."""
    [file] = [f for f in release.world.installation.candidates.manifest(digest).files if f.path == "model.safetensors"]
    bucket = release.world.buckets[store]
    owner = s3fs.S3FileSystem(**release.world.s3.options, skip_instance_cache=True)
    blob = f"{bucket}/{blob_key(file.sha256)}"
    content = bytearray(owner.cat_file(blob))
    content[0] ^= 1
    owner.pipe_file(blob, bytes(content))


async def _nothing_runs(release: Open) -> bool:
    return not await release.world.pods()
