"""A run and its stages as spans of one trace, in the words of OpenTelemetry's conventions for pipelines."""

from datetime import datetime

from posology.core import tracing
from posology.core.rpc import context
from posology.core.rpc.context import NOWHERE, Place, parse_traceparent
from posology.core.tracing import Kind, Span
from posology.orchestrator.domain import Run, Stage, State

_RESULTS = {"SUCCEEDED": "success", "FAILED": "failure", "CANCELLED": "cancellation"}


def place_of(run: Run) -> Place:
    """The run's own span; NOWHERE for a run that was submitted to an older version."""
    above = parse_traceparent(run.traceparent)
    return above.at(tracing.derived("run", run.uid)) if above.trace else NOWHERE


def enter(run: Run, stage: Stage | None = None) -> None:
    """From here on this task works for the run, or for a stage of it: calls and log lines belong to its trace."""
    own = place_of(run)
    if not own.trace:
        return
    if stage is not None:
        starts = stage.state is State.WAITING  # what is called now belongs to the attempt that begins
        own = own.at(_stage_span(run, stage.stage, stage.attempt + starts))
    context.enter(own)


def tell(before: Run, after: Run, at: datetime) -> None:
    """Tell what ended between two states of a run: attempts of stages, and the run."""
    own = place_of(after)
    if not (tracing.on() and own.trace):
        return
    for stage in after.stages:
        earlier = before.stage(stage.stage)
        if earlier is not None and _attempt_ended(earlier, stage):
            tracing.tell(_of_stage(after, stage, own, at))
    if after.phase.ended and not before.phase.ended:
        name = {"cicd.pipeline.name": "FineTuneRun", "cicd.pipeline.action.name": "RUN"}
        attributes = name | {"cicd.pipeline.run.id": after.name, "cicd.pipeline.result": _RESULTS[after.phase]}
        error = next((s.error.type for s in after.stages if s.error and s.state is State.FAILED), "")
        above = parse_traceparent(after.traceparent).span
        times = after.created.timestamp(), (after.ended or at).timestamp()
        tracing.tell(Span("RUN FineTuneRun", Kind.INTERNAL, own, above, *times, attributes, error))


def _attempt_ended(before: Stage, after: Stage) -> bool:
    """Also when it is tried again: then the stage waits, with the error of the attempt that ended."""
    begun = after.attempt > 0 and (after.attempt, after.state) != (before.attempt, before.state)
    return begun and (after.state.ended or (after.state is State.WAITING and after.error is not None))


def _of_stage(run: Run, stage: Stage, own: Place, at: datetime) -> Span:
    attributes: dict[str, str | int | bool] = {
        "cicd.pipeline.name": "FineTuneRun",
        "cicd.pipeline.run.id": run.name,
        "cicd.pipeline.task.name": stage.stage,
        "cicd.pipeline.task.run.id": f"{run.name}/stages/{stage.stage}/{stage.attempt}",
        "cicd.pipeline.task.run.result": "skip" if stage.reused else _RESULTS.get(stage.state, "failure"),
    }
    if stage.artifact:
        attributes["artifact.hash"] = stage.artifact
    error = stage.error.type if stage.error and stage.state is not State.SUCCEEDED else ""
    place = own.at(_stage_span(run, stage.stage, stage.attempt))
    times = (stage.started or at).timestamp(), (stage.ended or at).timestamp()
    return Span(f"RUN {stage.stage}", Kind.INTERNAL, place, own.span, *times, attributes, error)


def _stage_span(run: Run, stage: str, attempt: int) -> str:
    return tracing.derived("stage", run.uid, stage, attempt)
