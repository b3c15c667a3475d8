"""Between protobuf and the domain: what workers send, and what services show of a job."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

from posology.core.errors import Violation
from posology.core.jobs.domain import (
    Event,
    EventKind,
    Failure,
    Job,
    Product,
    Progress,
    QueueState,
    StagedFile,
    State,
)
from posology.core.times import to_timestamp
from posology.v1alpha1 import job_pb2, worker_pb2

# --- a job, for the messages of the services ----------------------------------------------------------------


def job_status_to_proto(job: Job) -> job_pb2.JobStatus:
    """The part that every job-like resource shows."""
    return job_pb2.JobStatus(
        state=state_to_proto(job.state),
        reason=job.reason,
        attempt=job.attempt,
        progress=progress_to_proto(job.progress) if job.progress else None,
        error=failure_to_proto(job.error) if job.error and job.state is not State.SUCCEEDED else None,
        artifact=job.artifact,
        summary=struct_to_proto(job.summary) if job.state is State.SUCCEEDED else None,
        create_time=to_timestamp(job.created_at),
        start_time=to_timestamp(job.started_at),
        end_time=to_timestamp(job.finished_at),
        queue_state=queue_state_to_proto(None if job.state.final else job.queue_state),
    )


def job_event_to_proto(event: Event) -> job_pb2.JobEvent:
    """One event of a watch stream; a state event carries what was known of the job then."""
    message = job_pb2.JobEvent(resume_token=event.resume_token, time=to_timestamp(event.time))
    _EVENTS[event.kind](message, event)
    return message


def state_to_proto(state: State) -> "job_pb2.JobStatus.State.ValueType":
    """CANCELLING is shown as RUNNING: the worker is still there, and `reason` says that it is being ended."""
    return job_pb2.JobStatus.State.Value("RUNNING" if state is State.CANCELLING else state.value)


def queue_state_to_proto(state: QueueState | None) -> "job_pb2.QueueState.ValueType":
    return job_pb2.QueueState.Value(state.value if state else "QUEUE_STATE_UNSPECIFIED")


def progress_to_proto(step: Progress) -> job_pb2.Progress:
    return job_pb2.Progress(done=step.done, total=step.total, message=step.message, eta_seconds=step.eta or 0.0)


def failure_to_proto(failure: Failure) -> job_pb2.JobError:
    return job_pb2.JobError(
        type=failure.error,
        message=failure.message,
        retryable=not failure.final,
        violations=[job_pb2.FieldViolation(field=v.field, description=v.description) for v in failure.violations],
    )


def struct_to_proto(values: Mapping[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(dict(values))
    return message


def struct_from_proto(message: struct_pb2.Struct) -> dict[str, Any]:
    """A Struct as JSON values. Its numbers are doubles: those without a fraction come back as int."""
    values: dict[str, Any] = _whole(json_format.MessageToDict(message))
    return values


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _fill_state(message: job_pb2.JobEvent, event: Event) -> None:
    data = event.data
    message.status.state = state_to_proto(State(data["state"]))
    message.status.reason = data["reason"]
    message.status.attempt = event.attempt
    message.status.artifact = data.get("artifact", "")
    message.status.queue_state = job_pb2.QueueState.Value(data.get("queue_state", "QUEUE_STATE_UNSPECIFIED"))
    if "error" in data:
        message.status.error.CopyFrom(failure_to_proto(failure_from_json(data["error"])))
    if "summary" in data:
        message.status.summary.CopyFrom(struct_to_proto(data["summary"]))


def _fill_progress(message: job_pb2.JobEvent, event: Event) -> None:
    message.progress.CopyFrom(progress_to_proto(Progress(**event.data)))


def _fill_metric(message: job_pb2.JobEvent, event: Event) -> None:
    message.metric.step = event.data["step"]
    message.metric.values.update(event.data["values"])


def _fill_log(message: job_pb2.JobEvent, event: Event) -> None:
    message.log.message = event.data["message"]
    message.log.fields.CopyFrom(struct_to_proto(event.data["fields"]))


_EVENTS: dict[EventKind, Callable[[job_pb2.JobEvent, Event], None]] = {
    EventKind.STATE: _fill_state,
    EventKind.PROGRESS: _fill_progress,
    EventKind.METRIC: _fill_metric,
    EventKind.LOG: _fill_log,
}


def failure_from_json(stored: Mapping[str, Any]) -> Failure:
    violations = tuple(Violation(**violation) for violation in stored.get("violations", ()))
    return Failure(stored["error"], stored["message"], violations)


# --- what workers send --------------------------------------------------------------------------------------


def progress_from_proto(message: job_pb2.Progress) -> Progress:
    return Progress(message.done, message.total, message.message, message.eta_seconds or None)


def failure_from_proto(message: job_pb2.JobError) -> Failure:
    violations = tuple(Violation(v.field, v.description) for v in message.violations)
    return Failure(message.type, message.message, violations)


def product_from_proto(message: worker_pb2.WorkerResult) -> Product:
    return Product(
        kind=message.kind,
        parents=tuple(message.parents),
        parameters=struct_from_proto(message.parameters),
        summary=struct_from_proto(message.summary),
        files=tuple(StagedFile(file.path, file.sha256, file.size) for file in message.files),
    )


def product_to_proto(product: Product) -> worker_pb2.WorkerResult:
    return worker_pb2.WorkerResult(
        kind=product.kind,
        parents=product.parents,
        parameters=struct_to_proto(product.parameters),
        summary=struct_to_proto(product.summary),
        files=[worker_pb2.StagedFile(path=f.path, sha256=f.sha256, size=f.size) for f in product.files],
    )
