"""Credentials of attempts on an API server: with the rights that the chart gives, renewed in place, gone with a Job."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from charts.generate import static
from support.role_server import ROLE, RoleStore, role_server
from support.servers import REPOSITORY

from posology.core.errors import InvalidInput, NotFound, PermissionDenied
from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.launchers.base import Launch, LauncherUnavailable
from posology.core.jobs.launchers.kubernetes.launcher import JOBS, PODS, SECRETS, KubernetesLauncher
from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.jobs.launchers.kubernetes.sts_credentials import StsCredentials
from posology.core.kube import ClusterConfig, Kube, Resource

pytestmark = pytest.mark.cluster

JOB = "namespaces/test/trainingJobs/sft"
STORAGE = "TEST_STORAGE"
KINDS = {
    "ServiceAccount": Resource("v1", "serviceaccounts"),
    "Role": Resource("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Resource("rbac.authorization.k8s.io/v1", "rolebindings"),
    "ValidatingAdmissionPolicy": Resource("admissionregistration.k8s.io/v1", "validatingadmissionpolicies"),
    "ValidatingAdmissionPolicyBinding": Resource(
        "admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings"
    ),
}
OURS = ("posology-training", "posology-launcher")
Object = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoleStore]:
    with role_server(tmp_path_factory.mktemp("roles")) as found:
        yield found


def of_the_chart(namespace: str) -> Iterator[Object]:
    """What the chart lets the training service do in its namespace."""
    values = {"storage": {"workerSecret": "", "workerRole": {"arn": ROLE}}, "work": {"apart": False}}
    text = static.with_values("posology", values, REPOSITORY / "k8s" / "values.yaml", namespace=namespace)
    for found in static.objects(text):
        name = found["metadata"]["name"]
        if found["kind"] in KINDS and (name in OURS or name.endswith("-worker-credentials")):
            yield found


@asynccontextmanager
async def account(kube: Kube, namespace: str) -> AsyncIterator[ClusterConfig]:
    """Access as the training service."""
    made = list(of_the_chart(namespace))
    for found in made:
        kind = KINDS[found["kind"]]
        await kube.apply(kind, found["metadata"].get("namespace", ""), found)
    path = KINDS["ServiceAccount"].path(namespace, "posology-training", "token")
    token = await kube._call("POST", path, body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
    yield ClusterConfig(kube.access.server, kube.access.authority, namespace, token=token["status"]["token"])
    for found in made:
        if "namespace" not in found["metadata"]:
            await kube.delete(KINDS[found["kind"]], "", found["metadata"]["name"])


class Service:
    """A launcher over the store. Its pods fit no node, so that nothing runs."""

    def __init__(self, kube: Kube, access: ClusterConfig, store: RoleStore) -> None:
        self.kube, self.access, self.namespace, self.store = kube, access, access.namespace, store
        self.bucket = store.s3.bucket()

    def launcher(self) -> KubernetesLauncher:
        """A new one each time: nothing may depend on what an earlier process remembered."""
        role = {"arn": ROLE, "endpoint": self.store.sts}
        pods = {"image": "none", "pools": {"no": {"nodeSelector": {"no": "node"}}}, "pool": "no", "storageRole": role}
        settings = PodSettings.model_validate(pods)
        assert settings.storage_role
        candidates, staging = (f"{self.bucket}/{place}#env:{STORAGE}" for place in ("candidates", "staging"))
        sessions = StsCredentials(settings.storage_role, candidates=candidates, staging=staging)
        return KubernetesLauncher(settings, service="training", sessions=sessions, access=self.access)

    def launch(self) -> Launch:
        assignment = {"job": JOB, "token": "t", "spec": {}, "stores": ["s3://candidates", "s3://released"]}
        return Launch(JOB, 1, assignment, Command("micro_worker"), Resources(cpus=1))

    async def session(self, name: str) -> Object:
        return await self.kube.read(SECRETS, self.namespace, f"{name}-session")

    async def left(self, name: str) -> bool:
        """Whether the credentials of a Job, or a pod of it, are still there."""
        try:
            await self.session(name)
        except NotFound:
            return bool((await self.kube.select(PODS, self.namespace))["items"])
        return True


@pytest.fixture
async def service(
    kube: Kube, namespace: str, store: RoleStore, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    store.reset()
    monkeypatch.setenv(STORAGE, json.dumps(store.s3.options))
    async with account(kube, namespace) as access:
        yield Service(kube, access, store)


async def test_an_attempt_starts_with_credentials_that_its_job_owns(service: Service) -> None:
    launcher = service.launcher()
    handle = await launcher.launch(service.launch())
    found = await service.session(handle["name"])
    assert found["type"] == "posology.dev/session"
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [handle["uid"]]
    held = json.loads(base64.b64decode(found["data"]["credentials.json"]))
    assert held["AccessKeyId"].startswith("ASIA")
    assert service.store.assumed[-1]["RoleSessionName"] == handle["name"]
    spec = await service.kube.read(SECRETS, service.namespace, handle["name"])
    assert json.loads(base64.b64decode(spec["data"]["spec.json"]))["stores"] == [
        f"{service.bucket}/candidates#env:{STORAGE}"
    ]
    pod = (await service.kube.read(JOBS, service.namespace, handle["name"]))["spec"]["template"]["spec"]
    assert service.store.s3.secret not in json.dumps(pod)
    await launcher.close()


async def test_renewed_credentials_reach_the_same_pod(service: Service) -> None:
    launcher = service.launcher()
    handle = await launcher.launch(service.launch())
    before = await service.session(handle["name"])
    job = await service.kube.read(JOBS, service.namespace, handle["name"])
    assert (await launcher.observe(handle)).alive
    assert (await service.session(handle["name"]))["data"] == before["data"], "they are new"
    await launcher.close()

    restarted = service.launcher()  # which knows of no credentials
    for _ in range(3):
        assert (await restarted.observe(handle)).alive
    after = await service.session(handle["name"])
    assert after["data"] != before["data"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert len(service.store.assumed) == 2, "once per launcher"
    same = await service.kube.read(JOBS, service.namespace, handle["name"])
    assert same["spec"] == job["spec"]
    await restarted.close()


async def test_a_worker_is_watched_over_while_the_sts_is_away(service: Service) -> None:
    launcher = service.launcher()
    handle = await launcher.launch(service.launch())
    await launcher.close()
    service.store.away = True
    restarted = service.launcher()
    assert (await restarted.observe(handle)).alive
    await restarted.close()
    with pytest.raises(LauncherUnavailable):
        await service.launcher().launch(service.launch())


async def test_without_the_right_to_assume_the_role_nothing_is_started(service: Service) -> None:
    service.store.refuses = True
    launcher = service.launcher()
    with pytest.raises(Exception, match="may not assume"):
        await launcher.launch(service.launch())
    assert (await service.kube.select(JOBS, service.namespace))["items"] == []
    await launcher.close()


async def test_credentials_go_with_the_job(service: Service) -> None:
    launcher = service.launcher()
    handle = await launcher.launch(service.launch())
    await launcher.kill(handle)
    async with asyncio.timeout(60):
        while await service.left(handle["name"]):
            await asyncio.sleep(0.2)
    await launcher.close()


async def test_the_service_changes_no_other_secret(service: Service, namespace: str) -> None:
    key = {"metadata": {"name": "posology-key-training"}, "stringData": {"training.key": "k"}}
    await service.kube.create(SECRETS, namespace, key)
    async with Kube(service.access) as theirs:
        await refused_at_last(theirs, namespace)
        with pytest.raises(PermissionDenied):
            await theirs.read(SECRETS, namespace, "posology-key-training")


async def refused_at_last(theirs: Kube, namespace: str) -> None:
    """A policy of admission needs a moment until it is enforced."""
    change = {"stringData": {"training.key": "another"}}
    async with asyncio.timeout(30):
        while True:
            try:
                await theirs.merge(SECRETS, namespace, "posology-key-training", change)
            except (PermissionDenied, InvalidInput) as error:
                assert "change no Secrets but those with credentials of their workers" in error.message  # noqa: PT017
                return
            await asyncio.sleep(0.2)
