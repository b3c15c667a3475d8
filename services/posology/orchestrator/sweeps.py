"""A sweep's runs: what a dose's run is made of, when it is stopped early, and what the chosen dose changes.

A dose is an ordinary run: it waits in queues, is taken over by another replica, resumes from its checkpoints. What its
run shares with the sweep's own (base model, data, review, preflight) stands in it as done from the start.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from posology.core import doses
from posology.core.canonical import canonical_digest
from posology.orchestrator.domain import Phase, Run, Spec, Stage, State
from posology.orchestrator.graph import stages_of

LABEL = "posology.dev/sweep"
SHARED = ("base-model", "curate", "corrections", "general", "review-data", "preflight")
_DIVERGED = 1.1
"""Times the loss before training above which training made things worse."""
_DOMINATED = 1.1
"""Times a gentler dose's loss at the same share of training above which a dose is clearly worse."""
_HALF = 0.5
_LOOKS = 2
"""Evaluations in a row that must agree: one may be an accident."""


def run_id_of(parent: Run, number: int) -> str:
    """Last part of the name of a dose's run: the sweep's, its number, and what tells sweeps apart."""
    return f"{parent.run_id[:42].rstrip('-')}-dose-{number}-{parent.uid[:6]}"


def dose_run(parent: Run, number: int, dose: doses.Dose, *, at: datetime) -> Run:
    """The run of one dose (`number` from 1); name, uid and request id are the same for every repetition."""
    spec = _dose_spec(parent, number, dose)
    return Run(
        uid=uuid.uuid5(uuid.NAMESPACE_OID, f"{parent.uid}/{number}").hex[:12],
        namespace=parent.namespace,
        run_id=run_id_of(parent, number),
        spec=spec,
        spec_sha256=canonical_digest(spec).removeprefix("sha256:"),
        labels={**parent.labels, LABEL: parent.run_id},
        phase=Phase.PENDING,
        message=f"dose {number} of {parent.run_id}: {doses.label(dose)}",
        creator=parent.creator,
        request_id=f"{parent.uid}/sweep/{number}",
        cancel_reason="",
        approvals={},
        reductions=0,
        created=at,
        ended=None,
        version=0,
        stages=tuple(_shared(parent, stage) for stage in stages_of(spec)),
    )


def _dose_spec(parent: Run, number: int, dose: doses.Dose) -> dict[str, Any]:
    """SFT alone, on the data as they are by now, and no release."""
    spec = doses.dosed(parent.spec, dose)
    reviewed = parent.stage("review-data")
    unread = reviewed is None or reviewed.state is not State.SUCCEEDED
    left_out = ("preferences", "review") if unread else ("preferences",)
    spec["curation"] = {name: value for name, value in spec["curation"].items() if name not in left_out}
    spec["training"] = {name: value for name, value in spec["training"].items() if name != "dpo"}
    # People, judges, the few-shot rival and a second try are the verdict's and the chosen dose's.
    of_the_chosen = ("onRegression", "judge", "baseline")
    spec["evaluation"] = {name: value for name, value in spec["evaluation"].items() if name not in of_the_chosen}
    spec.pop("serving", None)
    return {**spec, "doseOf": {"run": parent.name, "number": number}}


def _shared(parent: Run, stage: Stage) -> Stage:
    """The stage as the sweep's own run has done it already, if it is the same for this dose."""
    done = parent.stage(stage.stage)
    if stage.stage not in SHARED or done is None or done.state is not State.SUCCEEDED:
        return stage
    return replace(done, position=stage.position, reused=True, reason=f"shared with {parent.run_id}: {done.reason}")


# --- what was chosen -------------------------------------------------------------------------------------


def chosen(run: Run) -> doses.Dose | None:
    """The dose that the run's sweep chose, or after regressions a gentler one; None without a sweep, or before."""
    sweep = run.stage("sweep")
    if sweep is None or sweep.state is not State.SUCCEEDED:
        return None
    if run.reductions and (steps := steps_down(run)):
        return steps[min(run.reductions, len(steps)) - 1].dose
    dose: doses.Dose = sweep.details["chosen"]
    return dose


@dataclass(frozen=True)
class StepDown:
    """A dose of the window that is gentler than the chosen one."""

    label: str
    dose: doses.Dose


def steps_down(run: Run) -> list[StepDown]:
    """What a regression leads to, one after the other: the doses that may be recommended and whose intensity lies below
    the chosen one's, the nearest first. Their training is there already, so each is reused."""
    sweep = run.stage("sweep")
    window = sweep.details.get("window", {}) if sweep else {}
    comparison = window.get("comparison", {})
    judged = {one["number"]: one for one in comparison.get("doses", ())}
    own = judged.get(comparison.get("recommended", 0), {}).get("intensity")
    if own is None:
        return []
    gentler = [one for one in judged.values() if not one.get("out") and one.get("intensity", own) < own]
    gentler.sort(key=lambda one: (-one["intensity"], one["number"]))
    tried = {one["number"]: one["dose"] for one in window.get("doses", ())}
    return [StepDown(one["label"], tried[one["number"]]) for one in gentler if one["number"] in tried]


def effective(run: Run) -> Run:
    """The run with the chosen dose in its recipe: what every stage after the sweep goes by.

    The recipe of a dose is not halved besides: what the window did not measure is not trained.
    """
    dose = chosen(run)
    return run if dose is None else replace(run, spec=doses.dosed(run.spec, dose), reductions=0)


def names_of_doses(run: Run) -> tuple[str, ...]:
    """Last parts of the names of the runs that a sweep began."""
    sweep = run.stage("sweep")
    window = sweep.details.get("window", {}) if sweep else {}
    return tuple(one["run"].rsplit("/", 1)[1] for one in window.get("doses", ()) if one.get("run"))


# --- early stopping --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """Validation losses (nats per token) by share of training done, 0 to 1; the first is the one before training."""

    points: tuple[tuple[float, float], ...]

    def at(self, share: float) -> float | None:
        """The last loss measured until then; None if training has not come that far."""
        if not self.points or self.points[-1][0] < share:
            return None
        return next((loss for done, loss in reversed(self.points) if done <= share), None)


def reason_to_stop(curve: Curve, gentler: Mapping[str, Curve]) -> str:
    """Why a dose at work cannot become the recommended one, by its loss; empty while it may.

    Diverged: the last losses lie above the one before training. Dominated: after half of its training, the last losses
    lie above those of a gentler dose at the same share of training; a higher dose must at least learn more.
    """
    if len(curve.points) <= _LOOKS:
        return ""
    before, last = curve.points[0][1], curve.points[-_LOOKS:]
    done, loss = last[-1]
    if all(each > _DIVERGED * before for _, each in last):
        return f"its validation loss diverged: {loss:.3g} after {done:.0%} of its training, {before:.3g} before"
    if last[0][0] < _HALF:
        return ""
    for label, other in gentler.items():
        beside = [(each, other.at(share)) for share, each in last]
        if all(theirs is not None and each > _DOMINATED * theirs for each, theirs in beside):
            return (
                f"its validation loss is dominated: {loss:.3g} after {done:.0%} of its training, where the gentler "
                f"{label} had {beside[-1][1]:.3g}"
            )
    return ""


def is_gentler(one: Spec, other: Spec) -> bool:
    """Whether a dose's spec asks for no more than another's in everything, and for less in something."""
    if one["curation"].get("general") != other["curation"].get("general"):
        return False
    a, b = one["training"]["sft"], other["training"]["sft"]
    numbers = [(a.get(name, 0), b.get(name, 0)) for name in ("rank", "learningRate", "maxSteps")]
    if not a.get("maxSteps") and not b.get("maxSteps"):
        numbers.append((a["epochs"], b["epochs"]))
    wider = _modules(b) == {"all-linear"} or _modules(a) <= _modules(b)
    return a != b and wider and all(x <= y for x, y in numbers)


def _modules(sft: Mapping[str, Any]) -> set[str]:
    return set(sft.get("targetModules", ()))


def own_seconds(run: Run) -> float:
    """What a dose's run took by itself: stages that were shared or reused do not count."""
    return sum(
        (stage.ended - stage.started).total_seconds()
        for stage in run.stages
        if stage.started and stage.ended and not stage.reused
    )
