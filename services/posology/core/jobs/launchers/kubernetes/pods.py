"""How the pods of workers look on this cluster: what the platform team decides once, as JSON in one variable."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from posology.core import errors
from posology.core.jobs.domain import Resources
from posology.core.kube.settings import QUANTITY, Pool
from posology.core.names import namespace_of


class _Strict(BaseModel):
    """Keys are spelt as in Kubernetes (`nodeSelector`); an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class NodePool(Pool):
    """Nodes of one kind, and what workers ask for there."""

    cpus: str = Field(default="", pattern=QUANTITY)
    """CPUs that a pod asks for when neither spec nor service state a limit; empty asks for none."""
    memory: str = Field(default="", pattern=QUANTITY)
    """Memory that a pod asks for, and its limit, when neither spec nor service state one; empty: none."""
    image: str = ""
    """Image of workers here, if another than elsewhere: one with CUDA, say."""


class Volume(_Strict):
    """A claim that every worker mounts, for artifact stores that are folders (ReadWriteMany). Of one that holds the
    staging area a pod sees only the folders that its attempt needs."""

    claim: str
    path: str = Field(pattern=r"^/[^:]+$")
    """The same path as in the service, because both say `file://` and that path."""
    read_only: bool = False


class WorkerRole(_Strict):
    """A role that the service assumes for each attempt. What it may at most is the role's; see policy.py for what
    is left of it."""

    arn: str = Field(min_length=20)
    """Of the role; MinIO takes any, and gives what the service's own user may."""
    endpoint: str = ""
    """URL of the STS; empty: the object store's own endpoint, else that of AWS in the store's region."""
    seconds: int = Field(default=3600, ge=900, le=43_200)
    """How long credentials last; half of that is the time that a worker has without its service."""
    sources: list[str] = []
    """Prefixes of s3: URIs that specs may name, for services whose workers read them."""
    kms_keys: list[str] = []
    """ARNs of keys that the buckets are encrypted with."""


class PodSettings(_Strict):
    """What the pods of one service's workers share."""

    image: str
    """Image of this service's workers."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[str] = []
    namespace: str = ""
    """Namespace of Jobs and their Secrets; empty: that of this process."""
    teams: dict[str, str] = {}
    """Other namespaces for some: namespace of the job's name -> namespace of its Job."""
    left_behind: bool = False
    """Whether Jobs of an earlier release may still run in the namespace of this process; they are seen to their end."""
    security_context: dict[str, Any] | None = None
    """Of the pod; None = what the Pod Security Standard `restricted` asks for, as user 65532."""
    service_account: str = "default"
    """Named for admission policies only: no pod of a worker gets its token."""
    python: str = "python"
    """The interpreter in the image."""
    environment: dict[str, str] = {}
    """More variables for workers: proxies, an endpoint of the hub."""
    secrets: str = ""
    """The Secret whose keys specs may refer to (credentialsSecret); a pod gets only the keys that its spec names."""
    storage_secret: str = ""
    """A Secret of environment variables with storage credentials, which store URLs refer to (`#env:NAME`); all workers
    share it."""
    storage_role: WorkerRole | None = None
    """Instead of that, credentials of its own for each attempt."""
    tls_secret: str = ""
    """A Secret with ca.crt, tls.crt and tls.key that workers call the service with."""
    peers: str = ""
    """A headless Service that selects these pods, by which the pods of one job find each other; empty: a job has one
    pod."""
    volumes: list[Volume] = []
    scratch: str = Field(default="", pattern=QUANTITY)
    """Limit of a worker's local files: inputs, checkpoints, output; empty: none."""
    grace_seconds: int = Field(default=60, ge=1)
    """Between SIGTERM and SIGKILL: time to save and upload a checkpoint."""
    start_seconds: int = Field(default=900, ge=10)
    """How long a pod that has its node may take to report: pulling the image, loading libraries."""
    keep_seconds: int = Field(default=86_400, ge=0)
    """How long Jobs that are over stay, with the logs of their pods."""
    pools: dict[str, NodePool] = {}
    """Node pools by the names that specs use."""
    pool: str = ""
    """Pool of work that asks for no GPU and names no pool; empty: any node."""
    gpu_pool: str = ""
    """Pool of work that asks for GPUs and names no pool."""

    @field_validator("image")
    @classmethod
    def _is_named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("name the image of this service's workers")
        return value

    @model_validator(mode="after")
    def _credentials_are_of_one_kind(self) -> "PodSettings":
        if self.storage_role and self.storage_secret:
            raise ValueError("storageRole and storageSecret: a worker gets credentials of its own or shared ones")
        return self

    @model_validator(mode="after")
    def _pools_exist(self) -> "PodSettings":
        for field, name in (("pool", self.pool), ("gpuPool", self.gpu_pool)):
            if name and name not in self.pools:
                raise ValueError(f"{field} names {name!r}, which is none of pools: {_listed(self.pools)}")
        return self

    def namespace_for(self, job: str) -> str:
        """Where the Job of `namespaces/{ns}/.../{id}` runs; empty: in the namespace of this process."""
        return self.teams.get(namespace_of(job), self.namespace)

    def pool_for(self, resources: Resources) -> NodePool:
        """The pool of one attempt; InvalidInput if its spec names one that this cluster has not."""
        name = resources.node_pool or (self.gpu_pool if resources.gpus else self.pool)
        if not name:
            return NodePool()
        if name not in self.pools:
            fault = f"{name!r} is no node pool of this installation; it has {_listed(self.pools)}"
            raise errors.InvalidInput.of([errors.Violation("resources.nodePool", fault)])
        return self.pools[name]


def _listed(pools: dict[str, NodePool]) -> str:
    return ", ".join(sorted(pools)) or "none"
