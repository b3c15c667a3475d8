"""One look at one stage: what it became, and what follows from that for the others."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from posology.core.canonical import canonical_digest
from posology.core.errors import PosologyError
from posology.core.store import Database, now
from posology.orchestrator import repository, sweeps
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State, begin_anew
from posology.orchestrator.driver import Driver
from posology.orchestrator.graph import GRAPH, MAX_ATTEMPTS, Node, behind, needs_of

FOREVER = 3600.0
"""Seconds until a paused run is looked at although nobody woke it: the net under a lost wake-up."""


@dataclass(frozen=True)
class Change:
    """Stages that a step changed, the one looked at first."""

    stages: tuple[Stage, ...]
    reductions: int = 0
    """1 if training begins anew at a lower intensity."""


def movable(run: Run, graph: tuple[Node, ...] = GRAPH) -> Iterator[Stage]:
    """Stages worth a look: not ended, and everything that they need is done."""
    if run.cancel_reason or any(s.state is State.FAILED for s in run.stages):
        yield from (s for s in run.stages if not s.state.ended)
        return
    done = {s.stage for s in run.stages if s.state is State.SUCCEEDED}
    planned = {s.stage for s in run.stages}
    for stage in run.stages:
        needs = {n for n in needs_of(stage.stage, run.spec, graph) if n in planned}
        if not stage.state.ended and needs <= done:
            yield stage


async def look(db: Database, driver: Driver, run: Run, stage: Stage) -> Stage:
    """The stage as it is now: cancelled, reused, started, or moved on by its service.

    After a sweep, drivers see the run with the chosen dose in its recipe.
    """
    run = sweeps.effective(run)
    if reason := _why_stop(run):
        if stage.resource:
            await driver.cancel(run, stage)
        return replace(stage, state=State.CANCELLED, reason=reason)
    if stage.state is not State.WAITING:
        return _seen(stage, await driver.observe(run, stage))
    if stage.retry_at and await _is_ahead(db, stage.retry_at):
        return stage
    inputs = await driver.inputs(run)
    digest = canonical_digest({"stage": stage.stage, "inputs": inputs}) if inputs is not None else ""
    if digest and (earlier := await _reusable(db, run, stage, digest)):
        return earlier
    begun = replace(stage, attempt=stage.attempt + 1, input_digest=digest, retry_at=None, error=None)
    return _seen(begun, await driver.start(run, begun))


def after_error(stage: Stage, error: PosologyError) -> Stage:
    """A service that is away is waited for; any other error ends the stage."""
    if error.retryable:
        return replace(stage, reason=f"waiting: {error.message}")
    violations = tuple((each.field, each.description) for each in error.violations)
    failure = Failure(type(error).__name__, error.message, violations=violations)
    return replace(stage, state=State.FAILED, reason=error.message, error=failure)


def consequences(run: Run, failed: Stage, graph: tuple[Node, ...] = GRAPH) -> Change:
    """What follows from a stage's new state: a retry, a lower dose, or nothing."""
    if failed.state is not State.FAILED:
        return Change((failed,))
    if failed.error and failed.error.retryable and failed.attempt < MAX_ATTEMPTS:
        pause = 2.0**failed.attempt
        reason = f"attempt {failed.attempt} failed: {failed.reason}; next attempt in {pause:.0f} s"
        return Change((replace(begin_anew(failed, reason=reason), error=failed.error, details={"pause": pause}),))
    if _may_reduce(run, failed):
        return _lower_dose(run, failed, graph)
    return Change((failed,))


def stamped(stage: Stage, before: Stage | None, at: datetime) -> Stage:
    """The stage with the times of the transition, by the database's clock."""
    begins = stage.state is not State.WAITING and (before is None or before.attempt != stage.attempt)
    started = at if begins else stage.started
    ended = at if stage.state.ended and stage.ended is None else stage.ended
    retry_at = at + timedelta(seconds=stage.details["pause"]) if "pause" in stage.details else stage.retry_at
    details = {k: v for k, v in stage.details.items() if k != "pause"}
    return replace(stage, started=started, ended=ended, retry_at=retry_at, details=details)


def between(before: Run, after: Run) -> list[tuple[str, str, str]]:
    """Every transition between two states of a run as (stage, state, reason); progress alone is no event."""
    events = []
    for stage in after.stages:
        old = before.stage(stage.stage)
        if old is None or (old.state, old.attempt) != (stage.state, stage.attempt) or _says_more(old, stage):
            events.append((stage.stage, stage.state.value, stage.reason))
    if before.phase != after.phase:
        events.append(("", after.phase.value, after.message))
    return events


def requeue_after(run: Run, *, at: datetime, graph: tuple[Node, ...] = GRAPH) -> float:
    """Seconds until a run that goes on is worth another pass."""
    return min((_stage_requeue(stage, at) for stage in movable(run, graph)), default=FOREVER)


def _stage_requeue(stage: Stage, at: datetime) -> float:
    if stage.state is State.WAITING:  # for its next attempt, or for a service that is away
        return max(0.05, (stage.retry_at - at).total_seconds()) if stage.retry_at else 1.0
    if stage.state is State.PAUSED:
        return FOREVER
    # Young stages are watched closely, old ones at a twentieth of their age: the delay that this adds stays under 5%.
    age = (at - stage.started).total_seconds() if stage.started else 0.0
    return min(5.0, max(0.2, age / 20))


def _says_more(old: Stage, new: Stage) -> bool:
    return new.state is State.WAITING and old.reason != new.reason


def _why_stop(run: Run) -> str:
    if run.cancel_reason:
        return f"cancelled: {run.cancel_reason}"
    failed = next((s for s in run.stages if s.state is State.FAILED), None)
    return f"not needed: {failed.stage} failed" if failed else ""


def _seen(stage: Stage, observation: Observation) -> Stage:
    return replace(
        stage,
        state=observation.state,
        reason=observation.reason,
        artifact=observation.artifact or stage.artifact,
        resource=observation.resource or stage.resource,
        progress=observation.progress,
        error=observation.error,
        queue_state=observation.queue_state,
        details=dict(observation.details) or stage.details,
    )


async def _is_ahead(db: Database, time: datetime) -> bool:
    async with db.read() as tx:
        return time > await now(tx)


async def _reusable(db: Database, run: Run, stage: Stage, digest: str) -> Stage | None:
    async with db.read() as tx:
        earlier = await repository.reusable(tx, run.namespace, stage.stage, digest)
    if earlier is None:
        return None
    return replace(
        stage,
        state=State.SUCCEEDED,
        reason=f"reused: {earlier.resource or 'an earlier run'} had the same inputs",
        resource=earlier.resource,
        artifact=earlier.artifact,
        reused=True,
        input_digest=digest,
        details=earlier.details,
    )


def _may_reduce(run: Run, verdict: Stage) -> bool:
    policy = run.spec["evaluation"].get("onRegression")
    only_regression = bool(verdict.details.get("onlyRegression"))
    if not policy or not only_regression or not policy["reduceIntensity"] or run.reductions >= policy["attempts"]:
        return False
    return sweeps.chosen(run) is None or run.reductions < len(sweeps.steps_down(run))


def _lower_dose(run: Run, verdict: Stage, graph: tuple[Node, ...]) -> Change:
    again = behind("sft", run.spec, graph)
    lower = "at half the intensity"
    if sweeps.chosen(run) is not None:
        lower = f"with {sweeps.steps_down(run)[run.reductions].label}, the next gentler dose of the window"
    reason = f"trained again {lower}, since {verdict.reason}"
    reset = tuple(begin_anew(s, reason=reason) for s in run.stages if s.stage in again and s.stage != verdict.stage)
    return Change((begin_anew(verdict, reason=reason), *reset), reductions=1)
