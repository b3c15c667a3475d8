"""Token and signing keys are made once, never anew, and nobody's but the signer's."""

import base64
from pathlib import Path

import pytest

from posology.core.kube import ClusterConfig, Kube, Resource
from posology.core.signing import PublicKey, Signer
from posology.operator import credentials

pytestmark = pytest.mark.cluster

SECRETS = Resource("v1", "secrets")


async def test_a_second_run_changes_nothing(api: ClusterConfig, namespace: str) -> None:
    async with Kube(api.within(namespace)) as kube:
        await credentials.make(kube, "p", "db")
        before = {s["metadata"]["name"]: s["data"] async for s in kube.every(SECRETS, namespace)}
        await credentials.make(kube, "p", "db")
        after = {s["metadata"]["name"]: s["data"] async for s in kube.every(SECRETS, namespace)}
    assert before == after
    assert before.keys() == {
        "p-token",
        "p-key-curation",
        "p-key-training",
        "p-key-evaluation",
        "p-key-orchestrator",
        "p-database",
    }


async def test_the_published_keys_are_those_of_the_signers(api: ClusterConfig, namespace: str, tmp_path: Path) -> None:
    async with Kube(api.within(namespace)) as kube:
        await credentials.make(kube, "p")
        published = await kube.read(credentials.CONFIG_MAPS, namespace, "p-public-keys")
        made = await kube.read(SECRETS, namespace, "p-key-evaluation")
    path = tmp_path / "evaluation.key"
    path.write_bytes(base64.b64decode(made["data"]["evaluation.key"]))
    path.chmod(0o600)
    signer = Signer.load_or_create(path)
    assert PublicKey.from_pem(published["data"]["evaluation.pub"]) == signer.public_key
