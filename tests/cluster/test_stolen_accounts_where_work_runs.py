"""Work runs in a namespace without keys. What whoever stole a launcher's, serving's or a worker's account can do there,
and in the namespace of the keys, with the roles and policies of the chart's defaults on a real API server."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from charts.generate import static
from cluster.test_stolen_accounts import CLUSTER_WIDE, DEPLOYMENTS, JOBS, PODS, SECRETS
from cluster.test_the_chart_on_an_api_server import PRODUCTION, kind_of
from support.clusters import NAMESPACES

from posology.core.errors import PermissionDenied, PosologyError
from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.launchers.base import Launch
from posology.core.jobs.launchers.kubernetes import manifest
from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.kube import ClusterConfig, Kube, Resource
from posology.engine import EngineConfig
from posology.serving.kubernetes.manifest import Renderer
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.launcher import Launch as EngineLaunch

pytestmark = pytest.mark.cluster
Object = dict[str, Any]
ACCOUNTS = Resource("v1", "serviceaccounts")
VALUES = {"engines": {"storageSecret": "posology-engine-storage"}, "work": {"teams": {}}}
KEY = "posology-key-curation"
SECRET_TYPE, ACCOUNT = manifest.SECRET_TYPE, "kubernetes.io/service-account.name"
OURS = ("posology-key-curation", "posology-key-training", "posology-token", "posology-database", "posology-storage")
"""Secrets of the control plane; none of them is where work runs, and names are tried there all the same."""


@dataclass(frozen=True)
class Place:
    """A release without its pods: the namespace of its keys, and the one where its work runs."""

    api: ClusterConfig
    kube: Kube
    control: str
    work: str
    pods: PodSettings
    engines: EnginePods
    tokens: dict[str, str]

    async def tried(self, account: str, method: str, path: str, body: Object | None = None, *, patch: str = "") -> None:
        """Ask as the account (empty: as an administrator), and leave nothing behind; its error is the API server's."""
        headers = {"content-type": patch} if patch else None
        token = self.tokens.get(account) or await self._token(account) if account else ""
        access = ClusterConfig(self.api.server, self.api.authority, self.work, token=token) if account else self.api
        async with Kube(access) as caller:
            await caller._call(method, path, body=body, query={"dryRun": "All"}, headers=headers)

    async def _token(self, account: str) -> str:
        """As whoever broke into a pod of the account would find one."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        at = self.work if account in ("worker", "engine") else self.control
        path = ACCOUNTS.path(at, f"posology-{account}", "token")
        self.tokens[account] = (await self.kube._call("POST", path, body=request))["status"]["token"]
        return self.tokens[account]

    async def through(self, account: str, attacks: Mapping[str, tuple[str, str, Object | None]]) -> list[str]:
        """Those of the attacks that were not forbidden; one that the server could not even read tells nothing."""
        passed = []
        for how, (method, path, body) in attacks.items():
            patch = "application/strategic-merge-patch+json" if method == "PATCH" else ""
            try:
                await self.tried(account, method, path, body, patch=patch)
            except PermissionDenied:
                continue
            except PosologyError as error:
                passed.append(f"{how}: {error.message}")
            else:
                passed.append(how)
        return passed

    def job(self) -> Object:
        """A worker's Job, as the launcher makes it."""
        name = "namespaces/team-a/trainingJobs/sft-1"
        assignment = {"job": name, "spec": {"teacher": {"credentialsSecret": "teacher-key"}}, "stores": []}
        launch = Launch(name, 1, assignment, Command("posology.training.worker"), Resources())
        return manifest.render_job(launch, self.pods, service="training")

    def engine(self) -> Object:
        """An engine's Deployment, as serving makes it."""
        launch = EngineLaunch(
            replica="team-a.labels-1.0",
            deployment="namespaces/team-a/deployments/labels-1",
            model="sha256:" + "a" * 64,
            verdict="sha256:" + "b" * 64,
            model_name="labels",
            engine=EngineConfig(max_model_len=256, engine_version="0.32.0").to_dict(),
            token="t0ken",
        )
        keys = Path("/etc/posology/keys")
        renderer = Renderer(
            self.engines,
            released_url="s3://released#env:RELEASED",
            keys=[keys / "evaluation.pub"],
            revoked=keys / "revoked",
            policy_file=keys / "release-policy.dsse.json",
            policy_keys=[keys / "release-policy.pub"],
            deny_list_keys=[keys / "orchestrator.pub"],
        )
        return renderer.deployment(launch, nonce="n1")


@pytest.fixture
async def place(api: ClusterConfig, kube: Kube, namespace: str) -> AsyncIterator[Place]:
    """As the chart's defaults have it."""
    async with standing(api, kube, namespace, VALUES) as found:
        yield found


@asynccontextmanager
async def standing(api: ClusterConfig, kube: Kube, namespace: str, values: Object) -> AsyncIterator[Place]:
    """Accounts, roles, namespaces and policies of a release; nothing of it runs."""
    rendered = list(static.objects(static.with_values("posology", values, PRODUCTION, namespace=namespace)))
    kinds = ("Namespace", "ServiceAccount", "Role", "RoleBinding", *CLUSTER_WIDE)
    made = [o for kind in kinds for o in rendered if o["kind"] == kind]
    for one in made:
        at = "" if one["kind"] in ("Namespace", *CLUSTER_WIDE) else one["metadata"]["namespace"]
        await kube.create(kind_of(one), at, one)
    for name in OURS:
        await kube.create(SECRETS, namespace, {"metadata": {"name": name}, "stringData": {"x": "y"}})
    settings = {
        name: next(
            variable["value"]
            for o in rendered
            if o["kind"] == "Deployment" and o["metadata"]["name"] == f"posology-{service}"
            for variable in o["spec"]["template"]["spec"]["containers"][0]["env"]
            if variable["name"] == name
        )
        for service, name in (("training", "POSOLOGY_WORKER_PODS"), ("serving", "POSOLOGY_ENGINE_PODS"))
    }
    pods = PodSettings.model_validate_json(settings["POSOLOGY_WORKER_PODS"])
    engines = EnginePods.model_validate_json(settings["POSOLOGY_ENGINE_PODS"])
    found = Place(api, kube, namespace, f"{namespace}-work", pods, engines, {})
    assert (pods.namespace, engines.namespace) == (found.work, found.work)
    await until_enforced(found)
    yield found
    for one in made:
        if one["kind"] in CLUSTER_WIDE:
            await kube.delete(kind_of(one), "", one["metadata"]["name"])
    await kube.delete(NAMESPACES, "", found.work)


async def until_enforced(place: Place) -> None:
    """Policies are in force a moment after they were made."""
    evil = place.job() | {"metadata": {"name": "no-worker"}}
    cron = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "type": "Opaque"}
    refused = (("training", JOBS, evil), ("training", SECRETS, cron), ("serving", DEPLOYMENTS, deployment(evil)))
    async with asyncio.timeout(60):
        for account, kind, body in (*refused, ("", PODS, pod_of(place.job()))):
            while True:
                try:
                    await place.tried(account, "POST", kind.path(place.work), body)
                except PermissionDenied:
                    break
                await asyncio.sleep(0.3)


def pod_of(job: Object) -> Object:
    template = job["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": dict(template["metadata"]["labels"])},
        "spec": template["spec"],
    }


def deployment(job: Object) -> Object:
    template = copy.deepcopy(job["spec"]["template"])
    template["spec"]["restartPolicy"] = "Always"
    spec = {"selector": {"matchLabels": template["metadata"]["labels"]}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "engine-x"}, "spec": spec}


Change = Callable[[Object], Any]


def spec(**fields: Any) -> Change:
    """Fields of the pod."""
    return lambda pod: pod.update(fields)


def first(**fields: Any) -> Change:
    """Fields of the first container."""
    return lambda pod: pod["containers"][0].update(fields)


def more(kind: str, one: Object) -> Change:
    """One more container, volume ... of the pod."""
    return lambda pod: pod.setdefault(kind, []).append(one)


def mount(**source: Any) -> Change:
    """One more volume, mounted."""

    def change(pod: Object) -> None:
        pod["volumes"].append({"name": "loot", **source})
        pod["containers"][0]["volumeMounts"].append({"name": "loot", "mountPath": "/loot"})

    return change


def variable(**source: Any) -> Change:
    return lambda pod: pod["containers"][0]["env"].append({"name": "LOOT", **source})


TOKEN = {"serviceAccountToken": {"path": "t", "audience": "posology"}}
CHANGES: dict[str, Change] = {
    **{f"{name} as a volume": mount(secret={"secretName": name}) for name in OURS},
    "a key in a projection": mount(projected={"sources": [{"secret": {"name": KEY}}]}),
    "a key as a variable": variable(valueFrom={"secretKeyRef": {"name": KEY, "key": "x"}}),
    "all of a key as variables": first(envFrom=[{"secretRef": {"name": KEY}}]),
    "a ConfigMap as variables": first(envFrom=[{"configMapRef": {"name": "posology-public-keys"}}]),
    "a ConfigMap's value": variable(valueFrom={"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "ca.crt"}}),
    "another attempt's Secret": mount(secret={"secretName": "dpo-abcdef0123-2"}),
    "another attempt's session": mount(secret={"secretName": "dpo-abcdef0123-2-session"}),
    "an engine's token": mount(secret={"secretName": "engine-labels-1-0a1b2c3d-n1"}),
    "credentials of engines": first(envFrom=[{"secretRef": {"name": "posology-engine-storage"}}]),
    "account of a signer": spec(serviceAccountName="posology-curation"),
    "account of a signer, by its old field": spec(serviceAccountName="", serviceAccount="posology-curation"),
    "account of engines": spec(serviceAccountName="posology-engine"),
    "no account": lambda pod: pod.pop("serviceAccountName"),
    "a token of the cluster": spec(automountServiceAccountToken=True),
    "a token by default": lambda pod: pod.pop("automountServiceAccountToken"),
    "a projected token": mount(projected={"sources": [TOKEN]}),
    "a projected token among harmless ones": mount(
        projected={"sources": [{"downwardAPI": {"items": []}}, TOKEN]}
    ),
    "an image of its own": first(image="attacker/tool:1"),
    "a worker's image elsewhere": first(image="evil.example/posology/worker:0.1.0"),
    "a worker's image of another tag": first(image="posology/worker:mine"),
    "the control image": first(image="posology/control:0.1.0"),
    "a second container": more("containers", {"name": "two", "image": "attacker/tool:1"}),
    "an init container": more("initContainers", {"name": "i", "image": "attacker/tool:1"}),
    "an init container of a good image": more(
        "initContainers",
        {"name": "i", "image": "posology/worker:0.1.0", "envFrom": [{"secretRef": {"name": KEY}}]},
    ),
    "a shell": first(command=["sh", "-c", "cat /loot/*"]),
    "a line of Python": first(command=["python", "-c", "import os"]),
    "arguments": first(args=["--elsewhere"]),
    "a program from a claim": lambda pod: pod["containers"][0]["env"].append(
        {"name": "PYTHONPATH", "value": "/data/evil"}
    ),
    "a library from a claim": lambda pod: pod["containers"][0]["env"].append(
        {"name": "LD_PRELOAD", "value": "/data/evil.so"}
    ),
    "a hook": first(lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "x"]}}}),
    "a probe that runs a program": first(livenessProbe={"exec": {"command": ["sh", "-c", "x"]}}),
    "a folder of the node": mount(hostPath={"path": "/"}),
    "a socket of the node": mount(hostPath={"path": "/run/containerd/containerd.sock", "type": "Socket"}),
    "a claim of somebody's": mount(persistentVolumeClaim={"claimName": "data-posology-postgresql-0"}),
    "a claim made for it": mount(
        ephemeral={
            "volumeClaimTemplate": {
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
            }
        }
    ),
    "a driver's volume": mount(csi={"driver": "secrets-store.csi.k8s.io"}),
    "a server's folder": mount(nfs={"server": "10.0.0.1", "path": "/"}),
    "a disk": mount(iscsi={"targetPortal": "10.0.0.1", "iqn": "iqn.2020-01.a:b", "lun": 0}),
    "a ConfigMap": mount(configMap={"name": "posology-public-keys"}),
    "its own labels and annotations": mount(downwardAPI={"items": []}),
    "the network of the node": spec(hostNetwork=True),
    "the processes of the node": spec(hostPID=True),
    "the shared memory of the node": spec(hostIPC=True),
    "one space of processes": spec(shareProcessNamespace=True),
    "a port of the node": first(ports=[{"containerPort": 80, "hostPort": 80}]),
    "a node of its choice": spec(nodeName="control"),
    "privileges": first(securityContext={"privileged": True}),
    "more privileges later": first(securityContext={"allowPrivilegeEscalation": True}),
    "a capability": first(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
    "root": first(securityContext={"runAsUser": 0}),
    "root of the pod": spec(securityContext={"runAsUser": 0}),
    "a parameter of the kernel": spec(securityContext={"sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]}),
    "all of /proc": lambda pod: (
        pod.update(hostUsers=False),
        pod["containers"][0].update(securityContext={"procMount": "Unmasked"}),
    ),
    "a class of the system's": spec(priorityClassName="system-node-critical"),
    "a registry's password": spec(imagePullSecrets=[{"name": KEY}]),
    "a device of the node": spec(resourceClaims=[{"name": "r", "resourceClaimName": "everything"}]),
}  # fmt: skip


def changed(body: Object, change: Change) -> Object:
    made = copy.deepcopy(body)
    change(made["spec"]["template"]["spec"])
    return made


def relabelled(body: Object, **labels: str) -> Object:
    made = copy.deepcopy(body)
    made["spec"]["template"]["metadata"]["labels"] = labels
    return made


def attacks_on_the_cluster(place: Place, account: str) -> dict[str, tuple[str, str, Object | None]]:
    """What needs no pod of one's own: reading, entering, taking tokens, binding roles."""
    found: dict[str, tuple[str, str, Object | None]] = {}
    review: Object = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600},
    }
    rbac = Resource("rbac.authorization.k8s.io/v1", "rolebindings")
    binding: Object = {
        "apiVersion": rbac.version,
        "kind": "RoleBinding",
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": f"posology-{account}", "namespace": place.control}],
    }
    for at, named in ((place.control, "keys"), (place.work, "work")):
        found |= {
            f"list the Secrets of {named}": ("GET", SECRETS.path(at), None),
            f"read a key, {named}": ("GET", SECRETS.path(at, KEY), None),
            f"change a key, {named}": ("PATCH", SECRETS.path(at, KEY), {"stringData": {"x": "mine"}}),
            f"delete a key, {named}": ("DELETE", SECRETS.path(at, KEY), None),
            f"enter a pod, {named}": ("POST", PODS.path(at, "p", "exec") + "?command=sh", None),
            f"attach to a pod, {named}": ("POST", PODS.path(at, "p", "attach"), None),
            f"forward a port, {named}": ("POST", PODS.path(at, "p", "portforward"), None),
            f"join a pod, {named}": (
                "PATCH",
                PODS.path(at, "p", "ephemeralcontainers"),
                {"spec": {"ephemeralContainers": [{"name": "d", "image": "attacker/tool:1"}]}},
            ),
            f"change a pod's image, {named}": (
                "PATCH",
                PODS.path(at, "p"),
                {"spec": {"containers": [{"name": "worker", "image": "attacker/tool:1"}]}},
            ),
            f"bind a role, {named}": ("POST", rbac.path(at), binding),
            f"change the deny-list, {named}": (
                "PATCH", Resource("v1", "configmaps").path(at, "posology-deny-list"), {"data": {"x": "y"}},
            ),
            f"change the public keys, {named}": (
                "PATCH", Resource("v1", "configmaps").path(at, "posology-public-keys"), {"data": {"x": "y"}},
            ),
        }  # fmt: skip
        for other in ("curation", "operator", "serving", "worker", "engine"):
            found[f"a token of {other}, {named}"] = ("POST", ACCOUNTS.path(at, f"posology-{other}", "token"), review)
    return found


@pytest.mark.parametrize("account", ["training", "curation"])
async def test_a_stolen_launcher_starts_workers_where_work_runs_and_nothing_else(place: Place, account: str) -> None:
    job, jobs = place.job(), JOBS.path(place.work)
    await place.tried(account, "POST", jobs, job)
    attacks: dict[str, tuple[str, str, Object | None]] = {
        how: ("POST", jobs, changed(job, change)) for how, change in CHANGES.items()
    }
    attacks |= {
        "labels of a service": ("POST", jobs, relabelled(job, app="gateway")),
        "labels of an engine": ("POST", jobs, relabelled(job, **{"app.kubernetes.io/component": "engine"})),
        "a name that is a key's": ("POST", jobs, job | {"metadata": {"name": KEY}}),
        "a good Job beside the keys": ("POST", JOBS.path(place.control), job),
        "a bare pod": ("POST", PODS.path(place.work), pod_of(job)),
        "a bare pod beside the keys": ("POST", PODS.path(place.control), pod_of(job)),
        "a Deployment": ("POST", DEPLOYMENTS.path(place.work), deployment(job)),
        "an engine": ("POST", DEPLOYMENTS.path(place.work), place.engine()),
        "a CronJob": (
            "POST",
            Resource("batch/v1", "cronjobs").path(place.work),
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "sft-0123456789-1"},
                "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job["spec"]}},
            },
        ),
        "a Secret that becomes an account's token": (
            "POST",
            SECRETS.path(place.work),
            {
                "metadata": {
                    "name": job["metadata"]["name"],
                    "annotations": {ACCOUNT: "posology-engine"},
                },
                "type": "kubernetes.io/service-account-token",
            },
        ),
        "a Secret beside the keys": (
            "POST",
            SECRETS.path(place.control),
            {"metadata": {"name": job["metadata"]["name"]}, "type": SECRET_TYPE},
        ),
        "a Secret with a name that workers mount": (
            "POST",
            SECRETS.path(place.work),
            {"metadata": {"name": "posology-tls-worker"}, "type": SECRET_TYPE},
        ),
    }
    assert await place.through(account, attacks | attacks_on_the_cluster(place, account)) == []


async def test_a_stolen_serving_starts_engines_where_work_runs_and_nothing_else(place: Place) -> None:
    engine, deployments = place.engine(), DEPLOYMENTS.path(place.work)
    await place.tried("serving", "POST", deployments, engine)
    # Those of no use against an engine: what a worker lacks and an agent needs, or what the other container shows.
    fitting = {"a ConfigMap", "account of engines", "an engine's token", "the control image"}
    changes = {how: change for how, change in CHANGES.items() if how not in fitting}
    attacks: dict[str, tuple[str, str, Object | None]] = {
        how: ("POST", deployments, changed(engine, change)) for how, change in changes.items()
    }
    attacks |= {
        "an account of workers": ("POST", deployments, changed(engine, spec(serviceAccountName="posology-worker"))),
        "an engine beside the keys": ("POST", DEPLOYMENTS.path(place.control), engine),
        "a Deployment of another name": ("POST", deployments, engine | {"metadata": {"name": "posology-curation"}}),
        "a worker": ("POST", JOBS.path(place.work), place.job()),
        "a bare pod": ("POST", PODS.path(place.work), pod_of({"spec": engine["spec"]})),
        "another model than the agent's": (
            "POST", deployments, changed(engine, first(command=["python3", "-m", "http.server", "8000"])),
        ),
        "a Service beside the keys": (
            "POST",
            Resource("v1", "services").path(place.control),
            {"metadata": {"name": "mine"}, "spec": {"ports": [{"port": 7410}]}},
        ),
        "a Secret of a worker": (
            "POST", SECRETS.path(place.work), {"metadata": {"name": "sft-0123456789-1"}, "type": SECRET_TYPE},
        ),
        "a Secret that becomes an account's token": (
            "POST",
            SECRETS.path(place.work),
            {
                "metadata": {"name": "engine-x", "annotations": {ACCOUNT: "posology-worker"}},
                "type": "kubernetes.io/service-account-token",
            },
        ),
    }  # fmt: skip
    assert await place.through("serving", attacks | attacks_on_the_cluster(place, "serving")) == []


async def test_a_stolen_worker_has_no_say_in_the_cluster(place: Place) -> None:
    """Its pod has no token; this is whoever got one all the same."""
    attacks: dict[str, tuple[str, str, Object | None]] = {}
    for at, named in ((place.control, "keys"), (place.work, "work")):
        attacks |= {
            f"a Job, {named}": ("POST", JOBS.path(at), place.job()),
            f"a pod, {named}": ("POST", PODS.path(at), pod_of(place.job())),
            f"an engine, {named}": ("POST", DEPLOYMENTS.path(at), place.engine()),
            f"a Secret, {named}": ("POST", SECRETS.path(at), {"metadata": {"name": "mine"}}),
            f"list pods, {named}": ("GET", PODS.path(at), None),
            f"list Jobs, {named}": ("GET", JOBS.path(at), None),
            f"its own attempt's Secret, {named}": ("GET", SECRETS.path(at, "sft-0123456789-1"), None),
            f"end another Job, {named}": ("DELETE", JOBS.path(at, "dpo-abcdef0123-2"), None),
            f"list runs, {named}": ("GET", Resource("posology.dev/v1alpha1", "finetuneruns").path(at), None),
        }
    for account in ("worker", "engine"):
        assert await place.through(account, attacks | attacks_on_the_cluster(place, account)) == []


async def test_nobody_at_all_runs_anything_else_where_work_runs(place: Place) -> None:
    """An administrator of the cluster may take the policy away, and is held by it until then."""
    job, kinds = place.job(), {"StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "ReplicaSet": "replicasets"}
    attacks: dict[str, tuple[str, str, Object | None]] = {
        "a worker's Job": ("POST", JOBS.path(place.work), job),
        "an engine": ("POST", DEPLOYMENTS.path(place.work), place.engine()),
        "a pod of a worker": ("POST", PODS.path(place.work), pod_of(job)),
        "any pod": (
            "POST",
            PODS.path(place.work),
            {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "busybox"}]}},
        ),
    }
    for kind, plural in kinds.items():
        body = deployment(job) | {"kind": kind}
        attacks[kind] = ("POST", Resource("apps/v1", plural).path(place.work), body)
    assert await place.through("", attacks) == []


async def test_a_pod_of_work_is_joined_by_nobody_and_keeps_its_image(place: Place) -> None:
    """A pod as the cluster's controller makes it of a worker's Job, tried by an administrator."""
    controller = {"impersonate-user": "system:serviceaccount:kube-system:job-controller"}
    groups = {"impersonate-group": "system:masters"}
    made = pod_of(place.job())
    answer = await place.kube._http.post(PODS.path(place.work), json=made, headers=controller | groups)
    assert answer.status_code == 201, answer.text
    container = {"name": "worker", "image": "attacker/tool:1"}
    attacks: dict[str, tuple[str, str, Object | None]] = {
        "join it": (
            "PATCH",
            PODS.path(place.work, "p", "ephemeralcontainers"),
            {"spec": {"ephemeralContainers": [{**container, "name": "d", "targetContainerName": "worker"}]}},
        ),
        "another image": ("PATCH", PODS.path(place.work, "p"), {"spec": {"containers": [container]}}),
        "another label": (
            "PATCH",
            PODS.path(place.work, "p"),
            {"metadata": {"labels": {"app.kubernetes.io/component": "gateway"}}},
        ),
    }
    assert await place.through("", attacks) == []
    harmless = {"metadata": {"labels": {"seen": "yes"}}}
    path = PODS.path(place.work, "p")
    await place.tried("", "PATCH", path, harmless, patch="application/strategic-merge-patch+json")
    await place.kube.delete(PODS, place.work, "p", gracePeriodSeconds=0)


def pod_with(secret: str, pod: Object) -> Object:
    made = copy.deepcopy(pod)
    made["spec"]["volumes"] = [{"name": "k", "secret": {"secretName": secret}}]
    return made


async def test_policies_refuse_what_a_role_allows_by_mistake(place: Place) -> None:
    """Somebody bound `admin` to the launchers where the keys are: exec, tokens and Secrets stay shut."""
    binding = {
        "metadata": {"name": "mistake"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "posology-curation", "namespace": place.control}],
    }
    rbac = Resource("rbac.authorization.k8s.io/v1", "rolebindings")
    await place.kube.create(rbac, place.control, binding)
    review: Object = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600},
    }
    pod = pod_of(place.job())
    pod["spec"] = pod["spec"] | {"serviceAccountName": "posology-training"}
    pod["spec"]["volumes"] = [{"name": "k", "secret": {"secretName": "posology-key-training"}}]
    pod["spec"]["containers"][0]["volumeMounts"] = []
    attacks: dict[str, tuple[str, str, Object | None]] = {
        "a token of another": ("POST", ACCOUNTS.path(place.control, "posology-operator", "token"), review),
        "a key in a pod": ("POST", PODS.path(place.control), pod),
        "the key of the authority": ("POST", PODS.path(place.control), pod_with("posology-tls-authority", pod)),
        "a Secret of another kind": ("POST", SECRETS.path(place.control), {"metadata": {"name": "x"}}),
    }
    assert await place.through("curation", attacks) == []


async def test_what_was_left_beside_the_keys_is_ended_and_neither_made_nor_changed(
    api: ClusterConfig, kube: Kube, namespace: str
) -> None:
    """While an installation moves: a Job and an engine that the release before it started, and a service."""
    values = static.overlaid(VALUES, {"work": {"leftBehind": "always"}})
    old = {"image": "posology/engine-cpu:0.0.9"}
    async with standing(api, kube, namespace, values) as place:
        job, engine = place.job(), changed(place.engine(), first(**old))
        service = deployment(job) | {"metadata": {"name": "posology-curation"}}
        service["spec"]["template"]["metadata"]["labels"] = {"app.kubernetes.io/component": "curation"}
        service["spec"]["selector"] = {"matchLabels": {"app.kubernetes.io/component": "curation"}}
        await kube.create(JOBS, namespace, job)
        async with as_serving_was(kube, namespace):
            await kube.create(DEPLOYMENTS, namespace, engine)
        await kube.create(DEPLOYMENTS, namespace, service)
        name = engine["metadata"]["name"]
        merge = "application/merge-patch+json"
        await place.tried("serving", "PATCH", DEPLOYMENTS.path(namespace, name), {"spec": {"replicas": 0}}, patch=merge)
        await place.tried("serving", "DELETE", DEPLOYMENTS.path(namespace, name))
        await place.tried("training", "DELETE", JOBS.path(namespace, job["metadata"]["name"]))
        image: Object = {
            "spec": {"template": {"spec": {"containers": [{"name": "engine", "image": "attacker/tool:1"}]}}}
        }
        attacks: dict[str, tuple[str, str, Object | None]] = {
            "another Job": ("POST", JOBS.path(namespace), job | {"metadata": {"name": "sft-0123456789-2"}}),
            "another engine": ("POST", DEPLOYMENTS.path(namespace), engine | {"metadata": {"name": "engine-b"}}),
            "another image of the engine": ("PATCH", DEPLOYMENTS.path(namespace, name), image),
            "a service's end": ("DELETE", DEPLOYMENTS.path(namespace, "posology-curation"), None),
            "no replicas of a service": (
                "PATCH", DEPLOYMENTS.path(namespace, "posology-curation"), {"spec": {"replicas": 0}},
            ),
            "a Secret": (
                "POST", SECRETS.path(namespace), {"metadata": {"name": "sft-0123456789-2"}, "type": SECRET_TYPE},
            ),
        }  # fmt: skip
        for account in ("serving", "training"):
            assert await place.through(account, attacks) == []


@asynccontextmanager
async def as_serving_was(kube: Kube, namespace: str) -> AsyncIterator[None]:
    """Without the policy that knows serving's engines, as if they had been made before it."""
    policies = Resource("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings")
    name = f"{namespace}-posology-engines"
    held = await kube.read(policies, "", name)
    await kube.delete(policies, "", name)
    await asyncio.sleep(3)
    yield
    held["metadata"] = {"name": name}
    await kube.create(policies, "", held)
