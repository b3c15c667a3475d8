"""Runs and stages, and the rules by which they move. Standard library only; read this first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

Spec = Mapping[str, Any]
"""A FineTuneRunSpec in its JSON mapping, defaults written out."""


class Phase(StrEnum):
    """Where a run stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    REVIEW_PENDING = "REVIEW_PENDING"
    APPROVAL_PENDING = "APPROVAL_PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """No transition leaves this phase."""
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED)


class State(StrEnum):
    """Where a stage stands."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """No transition leaves this state, except that a retry begins the stage anew."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Failure:
    """Why a stage failed, in the words of the error tree."""

    type: str
    message: str
    retryable: bool = False
    violations: tuple[tuple[str, str], ...] = ()
    """(field, what was wrong and what is allowed), if the cause is bad input."""


@dataclass(frozen=True)
class Stage:
    """One stage of a run, as it is stored."""

    stage: str
    position: int
    state: State = State.WAITING
    reason: str = ""
    resource: str = ""
    artifact: str = ""
    reused: bool = False
    attempt: int = 0
    input_digest: str = ""
    progress: Mapping[str, Any] | None = None
    error: Failure | None = None
    started: datetime | None = None
    ended: datetime | None = None
    retry_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """What later stages need to know of the result (review statements, gate table)."""
    queue_state: str | None = None
    """QUEUED, ADMITTED or PREEMPTED, while the worker is subject to a queue of its cluster."""


@dataclass(frozen=True)
class Run:
    """One run, as it is stored."""

    uid: str
    namespace: str
    run_id: str
    spec: Spec
    spec_sha256: str
    labels: Mapping[str, str]
    phase: Phase
    message: str
    creator: str
    request_id: str
    cancel_reason: str
    approvals: Mapping[str, bool]
    """Decisions by stage."""
    reductions: int
    """How often training was reduced in intensity after a regression."""
    created: datetime
    ended: datetime | None
    version: int
    traceparent: str = ""
    """Where in a trace it was submitted; its own span is below."""
    stages: tuple[Stage, ...] = ()

    @property
    def name(self) -> str:
        """The resource name."""
        return f"namespaces/{self.namespace}/fineTuneRuns/{self.run_id}"

    @property
    def parent(self) -> str:
        """Its namespace as a resource."""
        return f"namespaces/{self.namespace}"

    def stage(self, name: str) -> Stage | None:
        """The stage of this name, if the spec asks for it."""
        return next((s for s in self.stages if s.stage == name), None)

    def artifact(self, name: str) -> str:
        """Digest that a stage published; empty if the spec leaves the stage out."""
        stage = self.stage(name)
        return stage.artifact if stage else ""


@dataclass(frozen=True)
class Observation:
    """What a driver saw of its stage; the reconciler turns it into a transition."""

    state: State
    reason: str
    artifact: str = ""
    resource: str = ""
    progress: Mapping[str, Any] | None = None
    error: Failure | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    queue_state: str | None = None


def phase_of(stages: Sequence[Stage], *, cancelled: bool) -> tuple[Phase, str]:
    """The phase that a run's stages add up to, and the sentence that says why."""
    failed = next((s for s in stages if s.state is State.FAILED), None)
    if any(s.state is State.RUNNING for s in stages) and not (failed or cancelled):
        busy = next(s for s in stages if s.state is State.RUNNING)
        return Phase.RUNNING, f"{busy.stage}: {busy.reason}"
    if all(s.state.ended for s in stages):
        return _end_of(stages, failed, cancelled)
    paused = next((s for s in stages if s.state is State.PAUSED), None)
    if paused:
        phase = Phase.APPROVAL_PENDING if paused.stage == "deploy" else Phase.REVIEW_PENDING
        return phase, f"{paused.stage}: {paused.reason}"
    waiting = next(s for s in stages if not s.state.ended)
    started = any(s.attempt for s in stages)
    return (Phase.RUNNING if started else Phase.PENDING), f"{waiting.stage}: {waiting.reason or 'about to start'}"


def _end_of(stages: Sequence[Stage], failed: Stage | None, cancelled: bool) -> tuple[Phase, str]:
    if failed:
        return Phase.FAILED, f"{failed.stage}: {failed.reason}"
    if cancelled:
        return Phase.CANCELLED, "cancelled on request"
    return Phase.SUCCEEDED, f"all {len(stages)} stages are done"


def begin_anew(stage: Stage, *, reason: str) -> Stage:
    """The stage before its next attempt; the attempt counter stays, so that request ids never repeat."""
    return replace(
        stage,
        state=State.WAITING,
        reason=reason,
        resource="",
        artifact="",
        reused=False,
        input_digest="",
        progress=None,
        ended=None,
        retry_at=None,
        details={},
        queue_state=None,
    )
