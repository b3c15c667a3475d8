"""Token and signing keys are made once, never anew, and nobody's but the signer's."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from charts.generate import static
from cluster.test_the_chart_on_an_api_server import PRODUCTION, kind_of

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


@asynccontextmanager
async def installing(api: ClusterConfig, kube: Kube, namespace: str) -> AsyncIterator[tuple[Kube, dict[str, str]]]:
    """As the chart's credentials Job of the defaults, with its roles; and the variables that it is told."""
    objects = list(static.objects(static.with_values("posology", {}, PRODUCTION, namespace=namespace)))
    for one in (
        o for kind in ("Namespace", "ServiceAccount", "Role", "RoleBinding") for o in objects if o["kind"] == kind
    ):
        await kube.create(kind_of(one), one["metadata"].get("namespace", ""), one)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    path = Resource("v1", "serviceaccounts").path(namespace, "posology-credentials", "token")
    token = (await kube._call("POST", path, body=body))["status"]["token"]
    [job] = [o for o in objects if o["metadata"]["name"] == "posology-credentials-of-work"]
    told = {v["name"]: v["value"] for v in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    async with Kube(ClusterConfig(api.server, api.authority, namespace, token=token)) as limited:
        yield limited, told
    await kube.delete(Resource("v1", "namespaces"), "", f"{namespace}-work")


async def test_what_work_mounts_is_made_and_brought_to_where_it_runs(
    api: ClusterConfig, kube: Kube, namespace: str
) -> None:
    work = f"{namespace}-work"
    for name, data in {
        "posology-storage": {"CANDIDATES": "c", "RELEASED": "r", "STAGING": "s"},
        "posology-worker-storage": {"STAGING": "s"},
    }.items():
        await kube.create(SECRETS, namespace, {"metadata": {"name": name}, "stringData": data})
    async with installing(api, kube, namespace) as (limited, told):
        await credentials.make(limited, "posology")
        await credentials.renew(limited, "posology", told)
        there = {s["metadata"]["name"]: s["data"] async for s in kube.every(SECRETS, work)}
        assert there.keys() == {
            "posology-tls-worker", "posology-tls-engine", "posology-worker-storage", "posology-released",
        }  # fmt: skip
        assert there["posology-released"].keys() == {"RELEASED"}, "no other credential of the control plane"
        keys = await kube.read(credentials.CONFIG_MAPS, work, "posology-public-keys")
        assert keys["data"] == (await kube.read(credentials.CONFIG_MAPS, namespace, "posology-public-keys"))["data"]

        await kube.merge(SECRETS, namespace, "posology-worker-storage", {"data": {"STAGING": None, "OTHER": "eA=="}})
        await kube.create(
            SECRETS, namespace, {"metadata": {"name": "posology-worker-secrets"}, "stringData": {"k": "v"}}
        )
        theirs = {"metadata": {"name": "posology-worker-secrets"}, "stringData": {"k": "of this team"}}
        await kube.create(SECRETS, work, theirs)
        await credentials.renew(limited, "posology", told)
        after = {s["metadata"]["name"]: s["data"] async for s in kube.every(SECRETS, work)}
    assert after["posology-worker-storage"] == {"OTHER": "eA=="}, "a copy follows"
    assert base64.b64decode(after["posology-worker-secrets"]["k"]) == b"of this team", "what others made stays"
    assert after["posology-tls-worker"] == there["posology-tls-worker"], "certificates that last stay"
