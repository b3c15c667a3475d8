"""A ReleasePolicy resource on a real API server: carried when its signature is right, and told apart when it is not."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import release
from support.clusters import new_namespace

from posology.core.errors import InvalidInput
from posology.core.kube import Kube
from posology.core.release import document
from posology.core.release.document import FILE
from posology.core.signing import Signer
from posology.operator.deny_list import CONFIG_MAPS
from posology.operator.release_policy import POLICIES, ReleasePolicies

pytestmark = pytest.mark.cluster


async def test_the_life_of_a_policy(kube: Kube, tmp_path: Path) -> None:
    signer = Signer.load_or_create(tmp_path / "release-policy.key")
    stranger = Signer.load_or_create(tmp_path / "stranger.key")

    def manifest(name: str, by: Signer = signer, at_least: float = 0.6) -> dict[str, Any]:
        suites = [{"gates": [{"kind": "accuracy", "demands": {"atLeast": at_least}}]}]
        spec = release.policy_spec(suites=suites)
        return document.manifest(name, spec, document.sign(name, spec, by))

    async with new_namespace(kube) as namespace:
        data = {"release-policy.pub": signer.public_key.pem, "evaluation.pub": stranger.public_key.pem}
        await kube.create(CONFIG_MAPS, namespace, {"metadata": {"name": "keys"}, "data": data})
        policies = ReleasePolicies(kube, places=(namespace, "default"), keys="keys", seconds=1)

        async def counts() -> str:
            stored = (await kube.read(CONFIG_MAPS, namespace, "keys"))["data"].get(FILE)
            return document.verified(json.loads(stored), [signer.public_key]).digest if stored else ""

        async def told(name: str) -> tuple[str, str]:
            await policies.reconcile_once()
            status = (await kube.read(POLICIES, namespace, name))["status"]
            ready = next(one for one in status["conditions"] if one["type"] == "Ready")
            assert status["observedGeneration"]
            assert status["message"] == ready["message"]
            return ready["status"], ready["reason"]

        await policies.reconcile_once()  # without a resource nothing is done
        assert await counts() == ""
        forged = manifest("strict", stranger)
        await kube.create(POLICIES, namespace, forged)
        assert await told("strict") == ("False", "SignatureInvalid")
        assert await counts() == ""

        good = manifest("strict")
        await kube.apply(POLICIES, namespace, good)
        assert await told("strict") == ("True", "InForce")
        first = await counts()
        assert first == (await kube.read(POLICIES, namespace, "strict"))["status"]["digest"]

        laxer = {**good, "spec": manifest("strict", at_least=0.1)["spec"]}
        await kube.apply(POLICIES, namespace, laxer)
        assert await told("strict") == ("False", "Altered")
        assert await counts() == first

        await kube.apply(POLICIES, namespace, manifest("strict", at_least=0.7))
        assert await told("strict") == ("True", "InForce")
        second = await counts()
        assert second != first

        await kube.create(POLICIES, namespace, manifest("other"))
        assert await told("other") == ("False", "Several")
        assert await told("strict") == ("False", "Several")
        assert await counts() == second
        await kube.delete(POLICIES, namespace, "other")
        assert await told("strict") == ("True", "InForce")
        await kube.delete(POLICIES, namespace, "strict")
        await policies.reconcile_once()
        assert await counts() == second  # a policy is withdrawn, not deleted


async def test_the_api_server_refuses_what_is_no_policy(kube: Kube, tmp_path: Path) -> None:
    signer = Signer.load_or_create(tmp_path / "release-policy.key")
    spec = release.policy_spec()
    good = document.manifest("strict", spec, document.sign("strict", spec, signer))
    suites = spec["default"]["suites"]
    wrong = {
        "no roots": {**spec, "default": {**spec["default"], "roots": {}}},
        "a digest that is none": {**spec, "default": {**spec["default"], "suites": [{**suites[0], "digest": "x"}]}},
        "a confidence of one": {**spec, "default": {**spec["default"], "confidence": 1.0}},
        "an override of nothing": {**spec, "overrides": [{"requirements": spec["default"]}]},
    }
    async with new_namespace(kube) as namespace:
        for broken in wrong.values():
            with pytest.raises(InvalidInput):
                await kube.create(POLICIES, namespace, {**good, "spec": broken}, dry_run=True)
        await kube.create(POLICIES, namespace, good, dry_run=True)
