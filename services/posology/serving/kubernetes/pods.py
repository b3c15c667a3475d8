"""How the pods of engines look on this cluster: what the platform team decides once, as JSON in one variable."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from posology.core.kube.settings import QUANTITY, Pool
from posology.core.names import namespace_of

_STOP_SECONDS = 60
"""For vLLM to end after its last request (measured: 10 s), and for the agent after it."""


class _Strict(BaseModel):
    """Keys are spelt as in Kubernetes (`nodeSelector`); an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Volume(_Strict):
    """A claim that agents read, for a `released` store that is a folder; never the folder of candidates."""

    claim: str
    path: str = Field(pattern=r"^/[^:]+$")
    """The path that the store's URL names."""
    sub_path: str = ""
    """The part of the claim that is mounted; nothing else of it is reachable from the pod."""


class EnginePods(_Strict):
    """What all engines and their agents share."""

    image: str
    """Image with vLLM, such as vllm/vllm-openai:v0.32.0, unmodified."""
    python: str = "python3"
    """The interpreter in that image which has vLLM."""
    args: list[str] = []
    """More arguments of vLLM, such as --gpu-memory-utilization=0.9; none that could change an answer."""
    environment: dict[str, str] = {}
    """More variables of vLLM."""
    resources: dict[str, dict[str, str]] = {}
    """Requests and limits of vLLM without its GPUs; a limit of CPUs is also its number of threads."""

    agent_image: str
    """Image with the agent: that of this service."""
    agent_resources: dict[str, dict[str, str]] = {}
    """Requests and limits of the agent."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[str] = []
    namespace: str = ""
    """Namespace of engines; empty: that of this process."""
    teams: dict[str, str] = {}
    """Other namespaces for some: namespace of the deployment's name -> namespace of its engines."""
    left_behind: bool = False
    """Whether engines of an earlier release may still run in the namespace of this process; they answer until their
    successors do."""
    security_context: dict[str, Any] | None = None
    """Of the pod; None = what the Pod Security Standard `restricted` asks for, as user 65532."""
    service_account: str = "default"
    """Named for admission policies only: no pod of an engine gets its token."""
    owner: str = ""
    """ServiceAccount that owns every engine, so that engines go when the installation goes; empty: nobody."""
    labels: dict[str, str] = {}
    """More labels of everything; two installations in one namespace must differ in one of them."""
    keys: str
    """ConfigMap with the public keys that this service trusts, and with `revoked` where a key was revoked."""
    deny_list: str
    """ConfigMap with the signed list of what was withdrawn; without it no pod of an engine starts."""
    storage_secret: str = ""
    """Secret with credentials of the released store; pods get the key that its URL refers to (`#env:NAME`)."""
    tls_secret: str = ""
    """Secret with tls.crt and tls.key that agents show to the gateway; empty: they speak plain HTTP."""
    volumes: list[Volume] = []
    weights: str = Field(default="", pattern=QUANTITY)
    """Limit of the weights on the node's disk; empty: none."""
    cache: str = ""
    """Claim in which engines share weights; empty: each pod fetches its own, onto its node's disk."""
    start_seconds: int = Field(default=1800, ge=10)
    """How long fetching the weights may take, and again how long pulling the image and loading them."""
    drain_seconds: int = Field(default=600, ge=0)
    """How long running requests may take once an engine was told to stop."""
    surge: bool = True
    """Whether a new pod starts before the old one ends when engines are rolled, which takes a second GPU."""
    pools: dict[str, Pool] = {"": Pool()}
    pool: str = ""
    """Pool of engines without GPUs; empty: any node."""
    gpu_pool: str = ""
    """Pool of engines with GPUs."""

    @field_validator("image", "agent_image", "keys", "deny_list")
    @classmethod
    def _is_named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty")
        return value

    @model_validator(mode="after")
    def _limits_what_is_its_own(self) -> "EnginePods":
        if self.weights and self.cache:
            raise ValueError("weights limits each pod's own weights; with cache, the claim's size is the limit")
        if self.cache in {volume.claim for volume in self.volumes}:
            raise ValueError(
                f"cache is written by agents, so it must be another claim than that of the store, {self.cache}"
            )
        return self

    @property
    def grace_seconds(self) -> int:
        """Between the order to stop and SIGKILL."""
        return self.drain_seconds + _STOP_SECONDS

    def namespace_for(self, deployment: str) -> str:
        """Where engines of `namespaces/{ns}/deployments/{id}` run; empty: in the namespace of this process."""
        return self.teams.get(namespace_of(deployment), self.namespace)

    def pool_for(self, gpus: int) -> Pool:
        """Where an engine with this many GPUs goes."""
        return self.pools.get(self.gpu_pool if gpus else self.pool, Pool())
