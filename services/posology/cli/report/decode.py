"""Messages of the services -> the plain values of a report."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from posology.cli import show
from posology.cli.report.domain import Accuracy, Behind, Gate, Point, Review, Rung, Stage
from posology.client import envelopes
from posology.core.times import from_timestamp, readable, utc_now
from posology.v1alpha1 import catalog_pb2, curation_pb2, job_pb2
from posology.v1alpha1.evaluation_pb2 import GateResult, Verdict
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun
from posology.v1alpha1.orchestrator_pb2 import Stage as StageMessage


def stage(message: StageMessage) -> Stage:
    """A row of the stage table."""
    return Stage(
        name=message.stage,
        state=show.state(message),
        reason=message.reason,
        seconds=show.seconds(message),
        attempts=message.attempt,
        reused=message.reused,
        artifact=message.artifact,
        resource=message.resource,
    )


def gate(message: GateResult) -> Gate:
    """A gate; its details say what must lie where."""
    details = plain(message.details)
    outcome = Verdict.Outcome.Name(message.outcome)
    return Gate(
        suite=message.suite,
        metric=message.metric,
        outcome=outcome,
        n=message.n,
        estimate=message.estimate,
        low=message.low,
        high=message.high,
        limit=details.get("limit"),
        least=details.get("atLeast"),
        margin=message.margin,
        method=message.method,
        confidence=message.confidence,
        detectable=message.minimum_detectable_effect,
        sufficient=message.sufficient_n,
        explanation=message.explanation.removesuffix(f": {outcome}") + ".",
        details=details,
    )


def accuracies(suites: Mapping[str, Any]) -> Iterator[Accuracy]:
    """Base, its few-shot rival and tuned of every multiple-choice suite, from an evaluation's summary."""
    for suite, models in sorted(suites.items()):
        for model in ("base", "few-shot", "tuned"):
            one = models.get(model, {})
            if "accuracy" in one:
                yield Accuracy(suite, model, one["accuracy"], one["low"], one["high"], int(one["n"]))


def classes(suites: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of answers by class, of suites that are no multiple choice."""
    return {name: models for name, models in suites.items() if "accuracy" not in models.get("tuned", {})}


def rung(stored: Mapping[str, Any]) -> Rung:
    """A rung of the ladder."""
    return Rung(
        stored["name"],
        int(stored["tokens"]),
        stored.get("agreement"),
        stored.get("mean_kl"),
        stored.get("max_difference"),
    )


def review(stage_name: str, message: curation_pb2.Review) -> Review:
    """A review with its bound."""
    total = message.summary
    agreed = total.agreement if total.HasField("agreement") else None
    return Review(
        stage=stage_name,
        state=curation_pb2.Review.State.Name(message.state),
        planned=total.planned,
        rated=total.rated,
        errors=total.errors,
        bound=total.upper_bound if total.HasField("upper_bound") else None,
        limit=message.policy.max_error_rate,
        confidence=message.attempt.confidence or message.policy.confidence,
        attempt=message.attempt.number,
        allowed_errors=total.allowed_errors,
        sufficient=total.sufficient_sample,
        chance_to_pass=total.chance_to_pass,
        reviewers=message.policy.reviewers,
        kinds=tuple(total.reviewer_kinds),
        agreement={"items": agreed.items, "raw": agreed.raw, "kappa": agreed.kappa, "ac1": agreed.ac1}
        if agreed
        else None,
    )


def behind(message: catalog_pb2.Artifact) -> Behind:
    """An artifact of the lineage."""
    return Behind(
        message.digest,
        message.kind,
        message.size_bytes,
        message.producer,
        tuple(message.parents),
        message.quarantine_reason,
    )


def curve(events: Iterable[job_pb2.JobEvent]) -> tuple[Point, ...]:
    """What was measured, by step; an attempt that went on from a checkpoint replaces what it repeats."""
    steps: dict[int, dict[str, float]] = {}
    for event in events:
        if event.WhichOneof("event") == "metric":
            steps.setdefault(event.metric.step, {}).update(event.metric.values)
    return tuple(Point(step, values) for step, values in sorted(steps.items()))


def artifact(run: FineTuneRun, *names: str) -> str:
    """The artifact of the first of these stages that has one."""
    by_name = {stage.stage: stage.artifact for stage in run.stages}
    return next((digest for name in names if (digest := by_name.get(name, ""))), "")


def resource(run: FineTuneRun, name: str) -> str:
    """The resource of a stage, if it has one."""
    return next((stage.resource for stage in run.stages if stage.stage == name), "")


def lasted(run: FineTuneRun) -> float:
    """Seconds from admission to the end, or to now."""
    if not run.HasField("create_time"):
        return 0.0
    end = from_timestamp(run.end_time) if run.HasField("end_time") else utc_now()
    return (end - from_timestamp(run.create_time)).total_seconds()


def when(value: Timestamp) -> str:
    """`2026-01-31 12:00:00 UTC`."""
    return shown(from_timestamp(value))


def shown(value: datetime) -> str:
    """`2026-01-31 12:00:00 UTC`."""
    return readable(value)


def plain(message: Message) -> dict[str, Any]:
    """A struct as JSON."""
    mapping: dict[str, Any] = json_format.MessageToDict(message)
    return mapping


def statement_line(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """What a statement is about, in a few values."""
    statement = envelopes.payload(envelope)
    return {
        "type": statement["predicateType"],
        "subjects": envelopes.subjects(statement),
        "signedBy": envelopes.signers(envelope),
    }
