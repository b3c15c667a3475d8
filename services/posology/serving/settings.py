"""Serving's settings."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from posology.core import revocation
from posology.core.release import deny_list, document
from posology.core.release.deny_list import HighWaterMark
from posology.core.revocation import read_revoked
from posology.core.settings import ServiceSettings
from posology.core.signing import PublicKey
from posology.serving.admission import Trust
from posology.serving.kubernetes.pods import EnginePods


class Settings(ServiceSettings):
    """Environment -> whose verdicts count, and how agents and engines run."""

    service: ClassVar[str] = "serving"

    verdict_keys: tuple[Path, ...] = ()
    """Public keys whose verdicts release; empty means `evaluation*.pub` in the keys folder."""
    revoked_file: Path = Path()
    """Ids of revoked keys, one a line; by default `revoked` in the keys folder."""
    candidates_credentials: str = ""
    """Reference to the storage credentials of `candidates_url`: env:NAME or file:PATH; empty = none."""
    released_credentials: str = ""
    """Reference to the storage credentials of `released_url`."""

    launcher: Literal["local", "kubernetes"] = "local"
    """What runs agents and engines: processes of this machine, or Deployments of a cluster, as `engine_pods` says."""
    engine_pods: EnginePods | None = None
    """JSON, see EnginePods: images, resources, node pools and secrets of engines on Kubernetes."""
    engine_threads: int = Field(default=0, ge=0)
    """CPU threads of one engine; 0 = all."""
    engine_url: str = ""
    """Base URL of an engine that something else runs; empty = each agent starts its own vLLM."""
    ready_seconds: float = Field(default=600.0, gt=0)
    """How long an engine may take to load before it is started again."""
    tick_seconds: float = Field(default=0.5, gt=0)
    """How often deployments are looked at when nothing asks for it sooner."""
    scale_seconds: float = Field(default=15.0, gt=0)
    """How often engines are asked how busy they are, where their number follows it."""
    engine_tls_name: str = ""
    """Name that certificates of agents must hold, whatever their addresses; empty = that of their address."""
    canary_step_seconds: float = Field(default=60.0, gt=0)
    """How long a canary holds each share of the traffic under AUTO rollout."""
    settle_seconds: float = Field(default=1.0, ge=0)
    """How long routes have been switched before an agent that they left is told to drain."""
    stop_seconds: float = Field(default=660.0, gt=0)
    """How long a draining agent may take before it is killed."""
    backoff_seconds: float = Field(default=1.0, gt=0)
    """Wait before an engine is started again; doubles with each failure, up to a minute."""
    start_attempts: int = Field(default=5, ge=1)
    """Failed starts of an engine that was never ready, after which its deployment is FAILED."""
    stop_engines: bool = True
    """On SIGTERM: drain and stop the engines too; off, they serve on without this service and are adopted later.
    Those on Kubernetes always serve on."""

    @model_validator(mode="after")
    def _cluster_is_described(self) -> "Settings":
        if self.launcher == "kubernetes" and self.engine_pods is None:
            raise ValueError("POSOLOGY_LAUNCHER=kubernetes needs POSOLOGY_ENGINE_PODS, which names the engines' image")
        return self

    @property
    def trusted_keys(self) -> tuple[Path, ...]:
        return self.verdict_keys or tuple(sorted(self.keys_dir.glob("evaluation*.pub")))

    @property
    def policy_keys(self) -> tuple[Path, ...]:
        return document.keys_in(self.keys_dir, self.release_policy_keys, document.KEY)

    @property
    def trusted_review_keys(self) -> tuple[Path, ...]:
        return document.keys_in(self.keys_dir, self.review_keys, "curation")

    @property
    def trusted_deny_list_keys(self) -> tuple[Path, ...]:
        return document.keys_in(self.keys_dir, self.deny_list_keys, deny_list.KEY)

    @property
    def deny_list_mark(self) -> Path:
        return self.data_dir / "serving" / "deny-list-mark.json"

    def trust(self) -> Trust:
        """Keys, policy and deny-list, read anew; NoPolicy and DenyListUnreadable where one can't be believed."""
        revoked = read_revoked(self.revoked, required=self.revoked_file != Path())
        listed = deny_list.load(self.deny_list_file, self.trusted_deny_list_keys, revoked=revoked)
        HighWaterMark(self.deny_list_mark).check(listed)
        return Trust(
            [PublicKey.load(path) for path in self.trusted_keys],
            document.load(self.release_policy_file, self.policy_keys, revoked=revoked),
            [PublicKey.load(path) for path in self.trusted_review_keys],
            revoked,
            deny_list=listed,
        )

    @property
    def revoked(self) -> Path:
        return self.revoked_file if self.revoked_file != Path() else self.keys_dir / revocation.FILE

    @property
    def replicas_dir(self) -> Path:
        return self.data_dir / "serving" / "replicas"

    @property
    def weights_dir(self) -> Path:
        return self.data_dir / "serving" / "weights"
