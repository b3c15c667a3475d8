"""What whoever stole a service's account can make on an API server, with the roles and policies of the chart."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from charts.generate import static
from cluster.test_the_chart_on_an_api_server import DEV, kind_of

from posology.core.errors import PermissionDenied, PosologyError
from posology.core.kube import ClusterConfig, Kube, Resource

pytestmark = pytest.mark.cluster
JOBS = Resource("batch/v1", "jobs")
PODS = Resource("v1", "pods")
SECRETS = Resource("v1", "secrets")
DEPLOYMENTS = Resource("apps/v1", "deployments")
CLUSTER_WIDE = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
Object = dict[str, Any]
AGENT = ["python", "-m", "posology.serving.agent.app"]


@pytest.fixture
async def release(api: ClusterConfig, kube: Kube, namespace: str) -> AsyncIterator[str]:
    """Accounts, roles and policies of a release; nothing of it runs."""
    kinds = ("ServiceAccount", "Role", "RoleBinding", *CLUSTER_WIDE)
    made = [o for o in static.objects(static.rendered("posology", DEV, namespace=namespace)) if o["kind"] in kinds]
    for one in made:
        await kube.create(kind_of(one), "" if one["kind"] in CLUSTER_WIDE else namespace, one)
    for name in ("posology-key-curation", "posology-key-training", "posology-token"):
        await kube.create(SECRETS, namespace, {"metadata": {"name": name}, "stringData": {"x": "y"}})
    policy = next(o["metadata"]["name"] for o in made if o["metadata"]["name"].endswith("-workers"))
    await until_enforced(api, namespace, policy)
    yield namespace
    for one in made:
        if one["kind"] in CLUSTER_WIDE:
            await kube.delete(kind_of(one), "", one["metadata"]["name"])


async def until_enforced(api: ClusterConfig, namespace: str, _: str) -> None:
    """Policies are in force a moment after they were made."""
    async with asyncio.timeout(60):
        while True:
            try:
                await tried(api, namespace, "training", JOBS, job(image="anything"))
            except PermissionDenied:
                return
            await asyncio.sleep(0.5)


async def tried(api: ClusterConfig, namespace: str, service: str, kind: Resource, body: Object) -> None:
    """Make it as the service, and leave nothing behind."""
    async with Kube(api) as admin:
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        path = Resource("v1", "serviceaccounts").path(namespace, f"posology-{service}", "token")
        token = (await admin._call("POST", path, body=request))["status"]["token"]
    access = ClusterConfig(server=api.server, authority=api.authority, namespace=namespace, token=token)
    async with Kube(access) as limited:
        await limited._call("POST", f"{kind.path(namespace)}?dryRun=All", body=body)


def job(**container: Any) -> Object:
    """A worker's Job as a launcher makes it."""
    own = "sft-0123456789-1"
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": "posology-worker",
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "worker",
                "image": "posology/worker:0.1.0",
                "command": ["python", "-m", "posology.training.worker"],
                "env": [{"name": "A", "value": "b"}],
                **container,
            }
        ],
        "volumes": [
            {"name": "spec", "secret": {"secretName": own}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "posology-store"}},
        ],
    }
    labels = {"app.kubernetes.io/name": "posology", "app.kubernetes.io/component": "worker"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": own},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def changed(**pod: Any) -> Object:
    body = copy.deepcopy(job())
    body["spec"]["template"]["spec"].update(pod)
    return body


def with_volume(**source: Any) -> Object:
    return changed(volumes=[{"name": "v", **source}])


KEY = "posology-key-curation"
STOLEN_LAUNCHER = {
    "key as a volume": with_volume(secret={"secretName": KEY}),
    "own key as a volume": with_volume(secret={"secretName": "posology-key-training"}),
    "key in a projection": with_volume(projected={"sources": [{"secret": {"name": KEY}}]}),
    "key as a variable": job(
        env=[{"name": "K", "valueFrom": {"secretKeyRef": {"name": KEY, "key": "x"}}}]
    ),
    "key as all variables": job(envFrom=[{"secretRef": {"name": KEY}}]),
    "token of the services": with_volume(secret={"secretName": "posology-token"}),
    "secret of another attempt": with_volume(secret={"secretName": "dpo-abcdef0123-2"}),
    "account of another service": changed(serviceAccountName="posology-curation"),
    "account of the operator": changed(serviceAccountName="posology-operator"),
    "account of engines": changed(serviceAccountName="posology-engine"),
    "no account": changed(serviceAccountName="default"),
    "a token of the cluster": changed(automountServiceAccountToken=True),
    "a projected token": with_volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
    "an image of its own": job(image="attacker/tool:1"),
    "a worker's image elsewhere": job(image="evil.example/posology/worker:0.1.0"),
    "a folder of the node": with_volume(hostPath={"path": "/"}),
    "another claim": with_volume(persistentVolumeClaim={"claimName": "data-posology-postgresql-0"}),
    "a driver's volume": with_volume(csi={"driver": "secrets-store.csi.k8s.io"}),
    "the network of the node": changed(hostNetwork=True),
    "a node of its choice": changed(nodeName="control"),
    "privileges": job(securityContext={"privileged": True}),
    "a second container": changed(
        initContainers=[{"name": "i", "image": "posology/worker:0.1.0", "envFrom": [{"secretRef": {"name": KEY}}]}]
    ),
    "labels of a service": {
        **job(),
        "spec": {"template": job()["spec"]["template"] | {"metadata": {"labels": {"app": "gateway"}}}},
    },
    "a name that is a key's": {**job(), "metadata": {"name": KEY}},
}  # fmt: skip


@pytest.mark.parametrize("service", ["training", "curation"])
async def test_a_stolen_launcher_starts_workers_and_nothing_else(
    api: ClusterConfig, release: str, service: str
) -> None:
    await tried(api, release, service, JOBS, job())
    through = []
    for how, body in STOLEN_LAUNCHER.items():
        try:
            await tried(api, release, service, JOBS, body)
        except PosologyError:
            continue
        through.append(how)
    assert through == []


async def test_a_stolen_serving_starts_engines_and_nothing_else(api: ClusterConfig, release: str) -> None:
    def deployment(name: str, account: str, image: str, **volume: Any) -> Object:
        pod = job()["spec"]["template"]["spec"] | {"serviceAccountName": account, "restartPolicy": "Always"}
        pod["containers"][0] |= {"image": image, "command": AGENT}
        pod["volumes"] = [{"name": "v", **volume}]
        labels = {"app.kubernetes.io/component": "engine"}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}

    empty: Object = {"emptyDir": {}}
    engine = "posology/engine-cpu:0.1.0"
    await tried(api, release, "serving", DEPLOYMENTS, deployment("engine-a", "posology-engine", engine, **empty))
    for body in (
        deployment("engine-a", "posology-curation", engine, **empty),
        deployment("posology-curation", "posology-engine", engine, **empty),
        deployment("engine-a", "posology-engine", "attacker/tool:1", **empty),
        deployment("engine-a", "posology-engine", engine, secret={"secretName": KEY}),
        deployment("engine-a", "posology-engine", engine, secret={"secretName": "posology-token"}),
        deployment("engine-a", "posology-engine", engine, hostPath={"path": "/"}),
        deployment("engine-a", "posology-engine", engine, projected={"sources": [{"secret": {"name": KEY}}]}),
    ):
        with pytest.raises(PosologyError):
            await tried(api, release, "serving", DEPLOYMENTS, body)


LISTED = "/etc/posology/deny-list"
BELIEVED = {
    "POSOLOGY_AGENT_DENY_LIST_FILE": f"{LISTED}/deny-list.dsse.json",
    "POSOLOGY_AGENT_DENY_LIST_KEYS": '["/etc/posology/keys/orchestrator.pub"]',
    "POSOLOGY_AGENT_KEYS": '["/etc/posology/keys/evaluation.pub", "/etc/posology/keys/evaluation-2.pub"]',
    "POSOLOGY_AGENT_POLICY_KEYS": "[]",
    "POSOLOGY_AGENT_POLICY_FILE": "/etc/posology/keys/release-policy.dsse.json",
    "POSOLOGY_AGENT_REVOKED_FILE": "/etc/posology/keys/revoked",
}


async def test_a_stolen_serving_chooses_no_keys_policy_or_deny_list_for_its_agents(
    api: ClusterConfig, release: str
) -> None:
    def engine(
        mounts: dict[str, str] | None = None, volumes: dict[str, Any] | None = None, **environment: str
    ) -> Object:
        at = {"keys": "/etc/posology/keys", "deny-list": LISTED, "tmp": "/tmp"} | (mounts or {})
        source: dict[str, Any] = {
            "keys": {"configMap": {"name": "posology-public-keys"}},
            "deny-list": {"configMap": {"name": "posology-deny-list"}},
            "tmp": {"emptyDir": {}},
        } | (volumes or {})
        pod = job()["spec"]["template"]["spec"] | {"serviceAccountName": "posology-engine", "restartPolicy": "Always"}
        pod["containers"] = [
            {
                "name": "agent",
                "image": "posology/control:0.1.0",
                "command": AGENT,
                "env": [{"name": name, "value": value} for name, value in (BELIEVED | environment).items()],
                "volumeMounts": [{"name": name, "mountPath": path} for name, path in at.items()],
            }
        ]
        pod["volumes"] = [{"name": name} | volume for name, volume in source.items()]
        labels = {"app.kubernetes.io/component": "engine"}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "engine-a"}, "spec": spec}

    await tried(api, release, "serving", DEPLOYMENTS, engine())
    attacks = {
        "a list of its own": engine(POSOLOGY_AGENT_DENY_LIST_FILE="/tmp/deny-list.dsse.json"),
        "keys of its own": engine(POSOLOGY_AGENT_DENY_LIST_KEYS='["/tmp/orchestrator.pub"]'),
        "a key out of the folder": engine(POSOLOGY_AGENT_KEYS='["/etc/posology/keys/../../tmp/mine.pub"]'),
        "one good key and one bad": engine(
            POSOLOGY_AGENT_KEYS='["/etc/posology/keys/evaluation.pub", "/tmp/mine.pub"]'
        ),
        "a policy of its own": engine(POSOLOGY_AGENT_POLICY_FILE="/tmp/release-policy.dsse.json"),
        "no revoked keys": engine(POSOLOGY_AGENT_REVOKED_FILE="/tmp/revoked"),
        "an empty folder in place of the list": engine(volumes={"deny-list": {"emptyDir": {}}}),
        "keys in place of the list": engine(volumes={"deny-list": {"configMap": {"name": "posology-public-keys"}}}),
        "a folder over the list": engine(mounts={"tmp": LISTED, "deny-list": "/elsewhere"}),
        "a folder over all of it": engine(mounts={"tmp": "/etc/posology"}),
        "a file over the list": engine(mounts={"tmp": f"{LISTED}/deny-list.dsse.json"}),
    }
    through = []
    for how, body in attacks.items():
        try:
            await tried(api, release, "serving", DEPLOYMENTS, body)
        except PosologyError:
            continue
        through.append(how)
    assert through == []


async def test_nobody_mounts_the_key_of_another_service_or_joins_its_pod(
    kube: Kube, api: ClusterConfig, release: str
) -> None:
    """An administrator of the namespace may install, and still mounts no key where it does not belong."""

    def pod(account: str, key: str) -> Object:
        body = job()["spec"]["template"]
        spec = body["spec"] | {"serviceAccountName": account, "volumes": [{"name": "k", "secret": {"secretName": key}}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p-{account}"}, "spec": spec}

    with pytest.raises(PosologyError):
        await kube.create(PODS, release, pod("posology-training", KEY))
    await kube.create(PODS, release, pod("posology-curation", KEY))
    joined = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox", "targetContainerName": "worker"}]}}
    path = PODS.path(release, "p-posology-curation", "ephemeralcontainers")
    answer = await kube._http.patch(
        path, json=joined, headers={"content-type": "application/strategic-merge-patch+json"}
    )
    assert answer.status_code in (403, 422), answer.text
    assert "ephemeral" in answer.text
