"""A service of this process, whose workers run in pods and whose stores are an S3 server that pods reach."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.cluster_nodes import Nodes
from support.job_installation import COMMAND, KINDS

from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.launchers.kubernetes.launcher import JOBS, PODS, KubernetesLauncher
from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.jobs.launchers.kubernetes.sts_credentials import StsCredentials
from posology.core.jobs.service.jobs import SERVICE_NAME, Jobs, Timing
from posology.core.kube import ClusterConfig, Kube, Resource
from posology.core.rpc.server import Server, running
from posology.core.settings import ServiceSettings
from posology.core.store import Database

RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    {"apiGroups": ["kueue.x-k8s.io"], "resources": ["workloads"], "verbs": ["list"]},
]
"""All that the launcher may do, in the workers' namespace."""
NAMESPACES, SECRETS = Resource("v1", "namespaces"), Resource("v1", "secrets")
STORAGE = "TEST_STORAGE"
RBAC = "rbac.authorization.k8s.io/v1"
SMALL = replace(COMMAND, environment={}, resources=Resources(cpus=1, memory=256 << 20))
TIMING = Timing(heartbeat=0.5, silence=12.0, start=120.0, grace=15.0, launching=3.0, interval=0.2, patience=60.0)
GPU = {
    "nodeSelector": {"posology.dev/pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "sharedMemory": "64Mi",
}


@dataclass
class Service:
    """A small service with jobs on the cluster. What changes between tests are its fields; `bucket` may be a folder."""

    root: Path
    nodes: Nodes
    kube: Kube
    namespace: str
    bucket: str
    access: ClusterConfig
    name: str = "micro"
    command: Command = SMALL
    timing: Timing = TIMING
    pods: dict[str, Any] = field(default_factory=dict)
    db: Database = field(init=False)

    def __post_init__(self) -> None:
        self.db = Database(f"sqlite:///{self.root}/db/micro.sqlite", schema="micro")

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.url("candidates"))

    def url(self, place: str) -> str:
        return (
            f"file://{self.bucket}/{place}" if self.bucket.startswith("/") else f"{self.bucket}/{place}#env:{STORAGE}"
        )

    def artifact(self) -> str:
        """The digest of a published input."""
        folder = self.root / "input"
        folder.mkdir()
        (folder / "count.json").write_text('{"count": 1}')
        return self.store.publish(folder, kind="evaluation", producer="test")

    def settings(self) -> PodSettings:
        given = {
            "image": self.nodes.image,
            "namespace": self.namespace,
            "storageSecret": "storage",
            "secrets": "references",
            "graceSeconds": 15,
            "pools": {"gpu": GPU},
            "gpuPool": "gpu",
        }
        return PodSettings.model_validate(given | self.pods)

    def sessions(self) -> StsCredentials | None:
        role = self.settings().storage_role
        return StsCredentials(role, candidates=self.url("candidates"), staging=self.url("staging")) if role else None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Jobs]:
        """Until the end of the block; nothing in memory outlives it."""
        jobs = Jobs(
            self.db,
            self.store,
            KubernetesLauncher(self.settings(), service=self.name, access=self.access, sessions=self.sessions()),
            service=self.name,
            commands=dict.fromkeys(KINDS, self.command),
            staging_url=self.url("staging"),
            stores=(self.url("candidates"),),
            concurrency=4,
            timing=self.timing,
            keep_workers=True,
        )
        async with running(self._server(jobs)):
            yield jobs

    def _server(self, jobs: Jobs) -> Server:
        token = self.root / "token"
        token.write_text("secret")
        port = self.root / "port"  # the same after a restart, like a Service's
        listen = f"{self.nodes.host}:{port.read_text() if port.exists() else 0}"
        settings = ServiceSettings(
            data_dir=self.root, token_file=token, metrics_port=-1, drain_seconds=2, listen=listen
        )

        async def remember(address: str) -> None:
            port.write_text(address.rpartition(":")[2])

        return Server(
            name=self.name,
            settings=settings,
            add=jobs.add_to,
            service_names=(SERVICE_NAME,),
            exempt=(SERVICE_NAME,),
            on_ready=(remember, jobs.ready),
            background=(jobs.run,),
            on_drain=(jobs.drain,),
        )

    # --- what the cluster says ---------------------------------------------------------------------------

    async def of_kind(self, kind: Resource) -> list[dict[str, Any]]:
        listed = await self.kube.select(kind, self.namespace, labels=f"posology.dev/service={self.name}")
        return sorted(listed["items"], key=lambda item: int(item["metadata"]["labels"]["posology.dev/attempt"]))

    async def running_pod(self) -> dict[str, Any]:
        """The pod that runs, once one does."""
        pod: dict[str, Any] = await eventually(self._running_pod)
        return pod

    async def _running_pod(self) -> dict[str, Any] | None:
        found = [pod for pod in await self.of_kind(PODS) if pod["status"].get("phase") == "Running"]
        return found[-1] if found else None

    async def evict(self, pod: str) -> None:
        """As `kubectl drain` does."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        await self.kube._call("POST", PODS.path(self.namespace, pod, "eviction"), body=body)

    def process_of(self, pod: dict[str, Any]) -> psutil.Process:
        """The worker of a pod as a process of this machine, where its nodes are this machine."""
        uid = str(pod["metadata"]["uid"])
        for process in psutil.process_iter():
            groups = Path(f"/proc/{process.pid}/cgroup")
            if groups.exists() and uid in groups.read_text() and "micro_worker" in " ".join(process.cmdline()):
                return process
        pytest.skip("the nodes of this cluster are other machines")

    async def is_empty(self) -> bool:
        """Whether nothing of this service is left on the cluster."""
        return not (await self.of_kind(JOBS) or await self.of_kind(PODS) or await self.of_kind(SECRETS))


async def account(kube: Kube, namespace: str) -> ClusterConfig:
    """Access as a service account that may do what RULES say, and nothing else."""
    named = {"metadata": {"name": "service"}}
    await kube.create(Resource("v1", "serviceaccounts"), namespace, named)
    await kube.create(Resource(RBAC, "roles"), namespace, named | {"rules": RULES})
    binding = {
        "subjects": [{"kind": "ServiceAccount", "name": "service", "namespace": namespace}],
        "roleRef": {"apiGroup": RBAC.partition("/")[0], "kind": "Role", "name": "service"},
    }
    await kube.create(Resource(RBAC, "rolebindings"), namespace, named | binding)
    path = Resource("v1", "serviceaccounts").path(namespace, "service", "token")
    made = await kube._call("POST", path, body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
    return ClusterConfig(kube.access.server, kube.access.authority, namespace, token=made["status"]["token"])


async def eventually(find: Callable[[], Any], *, within: float = 60.0) -> Any:
    """What the coroutine function `find` gives, once that is something."""
    async with asyncio.timeout(within):
        while not (found := await find()):
            await asyncio.sleep(0.2)
        return found
