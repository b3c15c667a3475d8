"""Runs between protobuf and the domain."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from posology.core import names, schema
from posology.core.canonical import canonical_digest
from posology.core.errors import InvalidInput, Violation
from posology.core.times import to_timestamp
from posology.orchestrator import domain
from posology.orchestrator.graph import stages_of
from posology.v1alpha1 import orchestrator_pb2 as pb
from posology.v1alpha1.job_pb2 import FieldViolation, JobError, Progress, QueueState


def run_from_request(request: pb.CreateRunRequest, *, creator: str, at: datetime) -> domain.Run:
    """A new run; the request's spec must have its defaults."""
    spec = schema.to_mapping(request.spec)
    return domain.Run(
        uid=uuid.uuid4().hex[:12],
        namespace=names.namespace_of_parent(request.parent),
        run_id=request.run_id,
        spec=spec,
        spec_sha256=canonical_digest(spec).removeprefix("sha256:"),
        labels=dict(request.labels),
        phase=domain.Phase.PENDING,
        message="admitted",
        creator=creator,
        request_id=request.request_id,
        cancel_reason="",
        approvals={},
        reductions=0,
        created=at,
        ended=None,
        version=0,
        stages=stages_of(spec),
    )


def run_to_proto(run: domain.Run) -> pb.FineTuneRun:
    """A run as its resource."""
    return pb.FineTuneRun(
        name=run.name,
        uid=run.uid,
        spec=schema.parse(pb.FineTuneRunSpec, run.spec),
        labels=run.labels,
        phase=pb.FineTuneRun.Phase.Value(run.phase),
        message=run.message,
        stages=[stage_to_proto(stage) for stage in run.stages],
        spec_sha256=run.spec_sha256,
        create_time=to_timestamp(run.created),
        end_time=to_timestamp(run.ended),
        creator=run.creator,
        window=_window(run),
    )


def _window(run: domain.Run) -> pb.Window | None:
    sweep = run.stage("sweep")
    if sweep is None or "window" not in sweep.details:
        return None
    return schema.parse(pb.Window, sweep.details["window"])


def stage_to_proto(stage: domain.Stage) -> pb.Stage:
    """A stage as the run shows it."""
    return pb.Stage(
        stage=stage.stage,
        state=pb.Stage.State.Value(stage.state),
        reason=stage.reason,
        resource=stage.resource,
        artifact=stage.artifact,
        reused=stage.reused,
        attempt=stage.attempt,
        progress=schema.parse(Progress, stage.progress) if stage.progress else None,
        error=_error(stage.error),
        input_digest=stage.input_digest,
        start_time=to_timestamp(stage.started),
        end_time=to_timestamp(stage.ended),
        queue_state=QueueState.Value(stage.queue_state or "QUEUE_STATE_UNSPECIFIED"),
    )


def event_to_proto(row: Mapping[str, Any], run: domain.Run) -> pb.RunEvent:
    """One line of a run's history, with the run as it stands."""
    return pb.RunEvent(
        resume_token=str(row["sequence"]),
        time=to_timestamp(row["at"]),
        stage=row["stage"],
        state=row["state"],
        reason=row["reason"],
        run=run_to_proto(run),
    )


def sequence_from(token: str) -> int:
    """The event that a resume token stands for; empty = before the first."""
    if token and not token.isdigit():
        raise InvalidInput.of(
            [Violation("resumeToken", "is not a token that WatchRun sent; leave it out to start over")]
        )
    return int(token or 0)


def _error(failure: domain.Failure | None) -> JobError | None:
    if failure is None:
        return None
    violations = [FieldViolation(field=field, description=description) for field, description in failure.violations]
    return JobError(type=failure.type, message=failure.message, retryable=failure.retryable, violations=violations)
