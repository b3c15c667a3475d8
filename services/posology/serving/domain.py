"""What serving knows: deployments, their replicas, and every reason to refuse one. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from posology.core.errors import DataCorrupt, FailedPrecondition, PermissionDenied


class State(StrEnum):
    """State of a deployment; DRAINING, STOPPED and FAILED take no requests."""

    PENDING = "PENDING"
    STARTING = "STARTING"
    READY = "READY"
    DEGRADED = "DEGRADED"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        return self in (State.STOPPED, State.FAILED)


class Goal(StrEnum):
    """What a deployment is meant to do; the state follows it."""

    SERVE = "SERVE"
    STOP = "STOP"


class Rollout(StrEnum):
    """AUTO takes over as soon as it is ready; MANUAL waits for a promotion."""

    AUTO = "AUTO"
    MANUAL = "MANUAL"


class ReplicaState(StrEnum):
    """State of one engine with its agent, as the agent reports it."""

    WAITING = "WAITING"
    FETCHING = "FETCHING"
    STARTING = "STARTING"
    PROBING = "PROBING"
    READY = "READY"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Autoscaling:
    """How many engines waiting requests may ask for; the fewest are the plan's `replicas`."""

    most: int
    target: int = 5
    """Waiting requests that one engine should have."""
    down_seconds: int = 300
    """How long fewer engines must have been enough before one is drained."""


@dataclass(frozen=True)
class Plan:
    """Where and how weights serve."""

    model_name: str
    replicas: int = 1
    gpus: int = 0
    rollout: Rollout = Rollout.AUTO
    canary: tuple[int, ...] = ()
    """Percent of the traffic at each step; empty = all at once."""
    autoscaling: Autoscaling | None = None


@dataclass(frozen=True)
class Scale:
    """How many engines load asked for last, and why."""

    wanted: int
    reason: str = ""
    full: int = 0
    """Requests that one engine ran while others waited for it; 0 = none ever waited."""


@dataclass(frozen=True)
class Deployment:
    """Weights behind a model name; `engine` is the verdict's configuration, observed parts included."""

    id: str
    namespace: str
    model: str
    verdict: str
    plan: Plan
    engine: Mapping[str, Any]
    created_at: datetime
    asked_at: datetime
    """When it was last asked to serve: at its creation, or when somebody rolled back to it."""
    run: str = ""
    dataset: str = ""
    goal: Goal = Goal.SERVE
    state: State = State.PENDING
    reason: str = ""
    traffic: int = 0
    """Percent of the requests for `plan.model_name`."""
    promoted: bool = False
    """Takes all traffic, whatever its rollout says."""
    step_at: datetime | None = None
    """When `traffic` reached its present canary step."""
    ready_at: datetime | None = None
    replaced: str = ""
    """Id of the deployment that served this model name before it."""
    token: str = ""
    """What its agents want from whoever asks them."""
    scale: Scale | None = None
    """Set by load alone; None = as planned."""
    policy: str = ""
    """Name of the release policy that let the weights in."""

    @property
    def name(self) -> str:
        return f"namespaces/{self.namespace}/deployments/{self.id}"

    @property
    def wanted(self) -> int:
        """Engines that should answer."""
        rule, scale = self.plan.autoscaling, self.scale
        if rule is None or scale is None:
            return self.plan.replicas
        return max(self.plan.replicas, min(scale.wanted, rule.most))

    @property
    def max_model_len(self) -> int:
        return int(self.engine.get("max_model_len", 0))


@dataclass(frozen=True)
class Replica:
    """One engine of a deployment; `url` is its agent's, empty until the agent listens."""

    id: str
    deployment: str
    state: ReplicaState = ReplicaState.WAITING
    reason: str = ""
    url: str = ""
    restarts: int = 0
    start_at: datetime | None = None
    """Not to be started before; None = now."""
    launched_at: datetime | None = None
    stop_at: datetime | None = None
    """When it was told to stop."""

    @property
    def answers(self) -> bool:
        """Whether requests may be sent to it."""
        return self.state is ReplicaState.READY and self.stop_at is None


@dataclass(frozen=True)
class Status:
    """What an agent says of itself."""

    state: ReplicaState
    reason: str = ""
    url: str = ""
    running: int = 0
    final: bool = False
    """A failure that starting again can't mend."""
    restarts: int = 0
    """How often whoever runs the agent started it, or its engine, again on their own."""


@dataclass(frozen=True)
class DeploymentRequest:
    """A request for a deployment, decoded."""

    namespace: str
    id: str
    model: str
    verdict: str
    plan: Plan
    engine: Mapping[str, Any] | None = None
    """Engine settings that the caller insists on; None takes the verdict's."""
    run: str = ""
    request_id: str = ""


ONLY_PASS = "evaluate them and issue a verdict (only PASS serves)"
"""What every door says about weights for which no verdict speaks: gRPC, the cluster's admission, the agent."""


class NotReleased(FailedPrecondition):
    """These weights may not serve."""


class MissingVerdict(NotReleased):
    """No verdict speaks of these weights; evaluate them and issue one."""


class VerdictFailed(NotReleased):
    """The verdict is FAIL: a gate was shown not to hold."""


class EvidenceInsufficient(NotReleased):
    """The verdict is INSUFFICIENT_EVIDENCE: score more items and issue another."""


class VerdictInvalid(NotReleased):
    """The verdict is INVALID: the harness was at fault, so nothing is known of the model."""


class Withdrawn(NotReleased):
    """The weights, or something that they rest on, were withdrawn after their verdict."""


class OtherWeights(NotReleased):
    """The verdict speaks of other weights."""


class OtherName(NotReleased):
    """The verdict lets the weights serve under another name or in another namespace."""


class PolicyNotMet(NotReleased):
    """The verdict is PASS, but not of what the installation's release policy asks for."""


class FailureStands(NotReleased):
    """These weight files failed an evaluation, under this or another name, and nothing answers it yet."""


class OtherEngine(NotReleased):
    """The verdict speaks of another engine configuration."""


class AlteredVerdict(NotReleased):
    """The verdict is not what was signed."""


class WrongKey(PermissionDenied):
    """The verdict is not signed by a key that this installation trusts."""


class RevokedKey(PermissionDenied):
    """The key that signed the verdict was revoked."""


class AlteredWeights(DataCorrupt):
    """A file of the weights is not what was evaluated."""


class ProbesDiffer(NotReleased):
    """The running engine answers otherwise than the evaluated one did."""
