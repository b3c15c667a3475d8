"""What a resource's status says, and when an event is worth telling. Standard library only; read this first."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
"""A Kubernetes object, or a part of one, as JSON."""

RESOURCE_UID = "posology.dev/resource-uid"
"""Label of a run that was made for a resource: the resource's UID."""
RUN_UID = "posology.dev/run-uid"
"""Annotation of a resource that was made for a run: the run's uid."""
SUBMITTED_BY = "posology.dev/submitted-by"
"""Annotation of a resource: who submitted the run; an admission policy of the chart sees to it that it is true."""

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
WAITING_FOR_PEOPLE = ("REVIEW_PENDING", "APPROVAL_PENDING")
_CURRENT = ("RUNNING", "PAUSED", "FAILED", "WAITING")
"""States of the stage to show, the most telling first."""
_LINKS = {
    "curate": "dataset", "corrections": "dataset", "review-data": "dataset", "sft": "adapter", "dpo": "adapter",
    "merge": "model", "evaluate": "evaluation", "verdict": "verdict",
}  # fmt: skip
"""Which stage's artifact is linked under which name; later stages win."""


@dataclass(frozen=True)
class Claim:
    """Why a resource may speak for a run of its name: one was made for the other."""

    run: str
    """The run's full name."""
    resource_uid: str
    run_uid: str = ""

    def holds_for(self, run_uid: str, labels: Mapping[str, str]) -> bool:
        """Whether the run that has the name is the one that is meant."""
        if self.run_uid:
            return self.run_uid == run_uid
        return labels.get(RESOURCE_UID) == self.resource_uid


@dataclass(frozen=True)
class Condition:
    """One condition, before it is known since when it holds."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class KubeEvent:
    """Something to tell as an Event."""

    reason: str
    message: str
    key: str
    """Equal keys are the same happening, told once."""
    warning: bool = False


def camel(name: str) -> str:
    """`REVIEW_PENDING` -> `ReviewPending`, as Kubernetes spells phases and reasons."""
    return "".join(part.capitalize() for part in name.split("_"))


def conditions_of(phase: str, message: str) -> tuple[Condition, ...]:
    """The conditions of a run that the orchestrator took."""
    reason = camel(phase)
    return (
        Condition("Accepted", "True", "SpecValid", "the spec is valid"),
        Condition("Admitted", "True", "Submitted", "the orchestrator has the run"),
        Condition("Running", _truth(phase == "RUNNING"), reason, message),
        Condition("ReviewPending", _truth(phase in WAITING_FOR_PEOPLE), reason, message),
        Condition("Succeeded", _truth(phase == "SUCCEEDED"), reason, message),
        # A cancelled run counts as failed here, so that whoever waits for its end is told.
        Condition("Failed", _truth(phase in ("FAILED", "CANCELLED")), reason, message),
        *kstatus(reason, message, ready=phase == "SUCCEEDED", stalled=phase in ("FAILED", "CANCELLED")),
    )


def kstatus(reason: str, message: str, *, ready: bool = False, stalled: bool = False) -> tuple[Condition, ...]:
    """The words that tools know without knowing us (kubectl wait, Flux, Argo CD): Stalled goes no further by itself."""
    return (
        Condition("Ready", _truth(ready), reason, message),
        Condition("Reconciling", _truth(not ready and not stalled), reason, message),
        Condition("Stalled", _truth(stalled), reason, message),
    )


def refused(reason: str, message: str, *, for_good: bool) -> tuple[Condition, ...]:
    """The conditions of a resource that has no run: refused, or not taken yet."""
    accepted = Condition("Accepted", "False" if for_good else "Unknown", reason, message)
    admitted = Condition("Admitted", "False", reason, message)
    failed = Condition("Failed", _truth(for_good), reason, message)
    return (accepted, admitted, failed, *kstatus(reason, message, stalled=for_good))


def held(message: str) -> tuple[Condition, ...]:
    """The conditions of a resource that is suspended: its spec was checked, and nothing was submitted."""
    return (
        Condition("Accepted", "True", "SpecValid", "the spec is valid"),
        Condition("Admitted", "False", "Suspended", message),
        *kstatus("Suspended", message),
    )


def merged(before: Iterable[Object], now: Sequence[Condition], *, generation: int, at: str) -> list[dict[str, Any]]:
    """Conditions as they are stored: the time of a transition stays while the status does."""
    known = {condition["type"]: condition for condition in before}
    return [_stored(condition, known.get(condition.type), generation, at) for condition in now]


def _stored(condition: Condition, before: Object | None, generation: int, at: str) -> dict[str, Any]:
    same = before is not None and before["status"] == condition.status
    since = before["lastTransitionTime"] if before is not None and same else at
    return {**vars(condition), "observedGeneration": generation, "lastTransitionTime": since}


def current_stage(stages: Sequence[Object]) -> str:
    """The stage that says most about where a run is; the last one when all is done."""
    for state in _CURRENT:
        for stage in stages:
            if stage.get("state") == state:
                return str(stage["stage"])
    return str(stages[-1]["stage"]) if stages else ""


_OUTCOMES = re.compile(r"\b(PASS|FAIL|INSUFFICIENT_EVIDENCE|INVALID)\b")


def verdict_of(stages: Sequence[Object]) -> str:
    """The outcome that the stage of the verdict names; empty before there is one."""
    for stage in stages:
        if stage.get("stage") == "verdict":
            if outcome := _OUTCOMES.search(f"{stage.get('reason', '')} {stage.get('error', {}).get('message', '')}"):
                return outcome[1]
            return "PASS" if stage.get("state") == "SUCCEEDED" else ""
    return ""


def queue_of(spec: Object, stages: Sequence[Object]) -> str:
    """The queue that shares the cluster out, and what it decided: `team-a: Preempted`; empty if there is none."""
    name = str(spec.get("training", {}).get("resources", {}).get("queue", ""))
    decided = next((str(stage["queueState"]) for stage in stages if stage.get("queueState")), "")
    return f"{name}: {camel(decided)}" if name and decided else name


def links_of(stages: Sequence[Object]) -> dict[str, str]:
    """What a run made so far, by kind."""
    artifacts = {_LINKS[s["stage"]]: s["artifact"] for s in stages if s["stage"] in _LINKS and s.get("artifact")}
    deployed = next((s.get("resource", "") for s in stages if s["stage"] == "deploy"), "")
    return {**artifacts, **({"deployment": deployed} if deployed else {})}


def happenings(before: Object, now: Object) -> Iterator[KubeEvent]:
    """What changed between two statuses of one run, stage by stage, then the run itself."""
    known = {stage["stage"]: stage for stage in before.get("stages", ())}
    for stage in now.get("stages", ()):
        old = known.get(stage["stage"], {})
        moved = (stage.get("state"), stage.get("attempt")) != (old.get("state"), old.get("attempt"))
        if moved and stage.get("state") != "WAITING":
            yield _of_stage(stage)
        if stage.get("queueState") and stage["queueState"] != old.get("queueState"):
            yield _of_queue(stage)
    if now["phase"] != before.get("phase"):
        warning = now["phase"] in ("Failed", "Cancelled")
        yield KubeEvent(f"Run{now['phase']}", now.get("message", ""), f"run/{now['phase']}/{_moves(now)}", warning)


def _of_stage(stage: Object) -> KubeEvent:
    key = f"{stage['stage']}/{stage.get('state')}/{stage.get('attempt', 0)}"
    reason = stage.get("reason") or camel(str(stage.get("state")))
    return KubeEvent(
        f"Stage{camel(str(stage['state']))}", f"{stage['stage']}: {reason}", key, stage["state"] == "FAILED"
    )


def _of_queue(stage: Object) -> KubeEvent:
    """The reason, which names the attempt at the queue, is part of the key: one job may be preempted many times."""
    decided, reason = camel(str(stage["queueState"])), str(stage.get("reason", ""))
    return KubeEvent(f"Queue{decided}", f"{stage['stage']}: {reason}", f"{stage['stage']}/{decided}/{reason}")


def _moves(status: Object) -> str:
    """A number that grows as a run goes on: pauses that come twice are told twice."""
    ended = sum(stage.get("state") in ("SUCCEEDED", "FAILED", "CANCELLED") for stage in status.get("stages", ()))
    return f"{ended}/{sum(stage.get('attempt', 0) for stage in status.get('stages', ()))}"


def _truth(value: bool) -> str:
    return "True" if value else "False"
