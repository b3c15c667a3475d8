"""A job and its attempts as spans: the service tells the job when it is over, a worker tells its own attempt."""

from collections.abc import Callable
from time import time

from posology.core import tracing
from posology.core.jobs.domain import Job, State
from posology.core.rpc import context
from posology.core.rpc.context import NOWHERE, Place, parse_traceparent
from posology.core.tracing import Kind, Span

_RESULTS = {State.SUCCEEDED: "success", State.CANCELLED: "cancellation"}


def place_of(job: Job) -> Place:
    """The job's own span; without one where an older version made the job."""
    above = parse_traceparent(job.traceparent)
    return above.at(tracing.derived("job", job.name, above.trace)) if above.trace else NOWHERE


def enter(job: Job) -> None:
    """From here on this task works for the job."""
    context.enter(place_of(job) if job.traceparent else Place(job.trace))


def tell(job: Job) -> None:
    """Tell a job that is over."""
    own = place_of(job)
    if not (tracing.on() and own.trace):
        return
    attributes = _named(job.name, job.kind, job.run) | {
        "cicd.pipeline.task.run.result": _RESULTS.get(job.state, "failure"),
        "posology.job.attempts": job.attempt,
    }
    if job.artifact:
        attributes["artifact.hash"] = job.artifact
    error = job.error.error if job.error and job.state is State.FAILED else ""
    above = parse_traceparent(job.traceparent).span
    times = job.created_at.timestamp(), (job.finished_at or job.updated_at).timestamp()
    tracing.tell(Span(f"job {job.kind}", Kind.INTERNAL, own, above, *times, attributes, error))


def attempt(job: str, kind: str, number: int, run: str, work: Callable[[], int]) -> int:
    """Do a worker's attempt as a span below that of its job; returns its exit code."""
    tracing.configure("worker")
    above, started = context.place(), time()
    code: int | None = None
    try:
        code = work()
        return code
    finally:
        if tracing.on() and above.trace:
            attributes = _named(job, kind, run) | {"posology.job.attempt": number}
            attributes |= {} if code is None else {"process.exit.code": code}
            error = "_OTHER" if code is None else str(code or "")
            place = above.at(tracing.derived("attempt", job, above.trace, number))
            name = f"attempt {kind}"
            tracing.tell(Span(name, Kind.INTERNAL, place, above.span, started, time(), attributes, error))
        tracing.close()


def _named(job: str, kind: str, run: str) -> dict[str, str | int | bool]:
    names: dict[str, str | int | bool] = {"posology.job.name": job, "posology.job.kind": kind}
    return names | ({"cicd.pipeline.run.id": run} if run else {})
