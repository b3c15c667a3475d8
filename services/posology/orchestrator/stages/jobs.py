"""What every stage that is a long job of another service shares."""

from posology.core import schema
from posology.orchestrator.domain import Failure, Observation, State
from posology.v1alpha1.job_pb2 import JobStatus, QueueState

_STATES = {
    JobStatus.PENDING: State.RUNNING,
    JobStatus.RUNNING: State.RUNNING,
    JobStatus.PUBLISHING: State.RUNNING,
    JobStatus.SUCCEEDED: State.SUCCEEDED,
    JobStatus.FAILED: State.FAILED,
    JobStatus.CANCELLED: State.FAILED,
}


def observed(name: str, status: JobStatus) -> Observation:
    """What a job's status means for its stage."""
    return Observation(
        _STATES.get(status.state, State.RUNNING),
        _reason(status),
        artifact=status.artifact,
        resource=name,
        progress=schema.to_mapping(status.progress) if status.HasField("progress") else None,
        error=_failure(status),
        queue_state=QueueState.Name(status.queue_state) if status.queue_state else None,
    )


def _reason(status: JobStatus) -> str:
    if status.state == JobStatus.PENDING:
        return status.reason or "queued"
    if status.state == JobStatus.SUCCEEDED:
        return "done"
    if status.state == JobStatus.CANCELLED:
        return "its job was cancelled"
    if status.state == JobStatus.FAILED:
        return status.error.message
    if status.queue_state == QueueState.PREEMPTED:  # progress is of the past
        return status.reason
    return status.progress.message or status.reason or "at work"  # where it runs, what it waits for


def _failure(status: JobStatus) -> Failure | None:
    if status.state == JobStatus.CANCELLED:
        return Failure("Cancelled", "its job was cancelled")
    if status.state != JobStatus.FAILED:
        return None
    violations = tuple((each.field, each.description) for each in status.error.violations)
    return Failure(status.error.type, status.error.message, status.error.retryable, violations)
