"""Storing what a worker sends: once each, in order, and only from the attempt that is the current one."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from posology.core import errors
from posology.core.jobs import convert
from posology.core.jobs.domain import Command, EventKind, Job, Outcome, RetryPolicy, State
from posology.core.jobs.service import model_usage, repository
from posology.core.jobs.service.rows import Attempt, metric_data
from posology.core.model_endpoints.domain import Usage
from posology.core.store import Database, Transaction, now
from posology.v1alpha1 import worker_pb2

REPORTED = frozenset({Outcome.RETURNED, Outcome.FAILED, Outcome.STOPPED})
"""Outcomes that the worker told us; telling us again is fine."""


@dataclass(frozen=True)
class Answer:
    """What the worker is told: events up to `acknowledged` are stored; `stop` says why it shall end, or "".

    `superseded`: nothing more of this attempt is accepted.
    """

    acknowledged: int
    stop: str = ""
    superseded: bool = False
    others: Mapping[str, Usage] = field(default_factory=dict)
    """What everybody else used of the model endpoints whose use the worker reported."""


def hash_token(token: str) -> str:
    """What the database keeps of an attempt's token."""
    return hashlib.sha256(token.encode()).hexdigest()


class EventIngest:
    """The service's end of the worker protocol, without the network."""

    def __init__(self, db: Database, commands: Mapping[str, Command]) -> None:
        self._db = db
        self._commands = commands

    async def admit(self, hello: worker_pb2.Hello) -> Answer:
        """Check the token and say what is stored; Unauthenticated for a token that is not this attempt's."""
        async with self._db.begin() as tx:
            attempt = await repository.attempt(tx, hello.job, hello.attempt)
            presented = hash_token(hello.token)
            if attempt is None or not hmac.compare_digest(attempt.token_hash, presented):
                raise errors.Unauthenticated("this token is not that of this attempt")
            job = await repository.locked(tx, hello.job)
            replaced = bool(attempt.process and hello.process) and attempt.process != hello.process
            if not await repository.is_current(tx, job, hello.attempt):
                return _replaced(attempt) if replaced else _too_late(job, attempt)
            if replaced:  # two processes in one attempt would take each other's place in its stream and its files
                await repository.end(tx, job, attempt.attempt, Outcome.STOPPED, retry=self._retry(job))
                return _replaced(attempt)
            time = await now(tx)
            changes: dict[str, Any] = {}
            if not attempt.attached_at:
                changes = {"attached_at": time, "process": hello.process or None}
            await repository.mark(tx, job.name, attempt.attempt, heartbeat_at=time, **changes)
            return Answer(attempt.acknowledged, stop=_wish(job))

    async def store(self, name: str, number: int, batch: Sequence[worker_pb2.WorkerEvent]) -> Answer:
        """Store a batch in one transaction; events that came before are skipped."""
        async with self._db.begin() as tx:
            job = await repository.locked(tx, name)
            attempt = await repository.attempt(tx, name, number)
            assert attempt is not None  # it was admitted, and attempts are never deleted
            last = max((event.sequence for event in batch), default=0)
            if not await repository.is_current(tx, job, number):
                return _too_late(job, attempt, last)
            fresh = [event for event in batch if event.sequence > attempt.acknowledged]
            acknowledged = max(last, attempt.acknowledged)
            await repository.mark(tx, name, number, heartbeat_at=await now(tx), acknowledged=acknowledged)
            others = await _counted(tx, name, number, fresh)
            job = await self._take(tx, job, fresh)
            return Answer(acknowledged, stop=_wish(job), others=others)

    async def _take(self, tx: Transaction, job: Job, fresh: Sequence[worker_pb2.WorkerEvent]) -> Job:
        job = await repository.notes(tx, job, [_note(event) for event in fresh if event.WhichOneof("event") in _NOTES])
        newest = [event.progress for event in fresh if event.HasField("progress")]
        if newest:
            job = await repository.change(tx, job, progress=convert.progress_from_proto(newest[-1]))
        for event in fresh:
            end = _ENDS.get(event.WhichOneof("event") or "")
            if end is not None:
                return await end(tx, job, event, self._retry(job))
        return job

    def _retry(self, job: Job) -> RetryPolicy:
        command = self._commands.get(job.kind)
        return command.retry if command else RetryPolicy()


async def _counted(
    tx: Transaction, job: str, attempt: int, fresh: Sequence[worker_pb2.WorkerEvent]
) -> dict[str, Usage]:
    """Write down what the attempt used of model endpoints; what everybody else used of them."""
    newest = {event.usage.endpoint: event.usage for event in fresh if event.HasField("usage")}
    for endpoint, usage in newest.items():
        own = Usage(usage.prompt_tokens, usage.completion_tokens)
        await model_usage.record(tx, endpoint, job, attempt, own)
    return {endpoint: await model_usage.used(tx, endpoint, but=(job, attempt)) for endpoint in newest}


# --- kinds of events --------------------------------------------------------------------------------------


def _note(event: worker_pb2.WorkerEvent) -> tuple[EventKind, dict[str, Any]]:
    return _NOTES[event.WhichOneof("event") or ""](event)


_NOTES: dict[str, Callable[[worker_pb2.WorkerEvent], tuple[EventKind, dict[str, Any]]]] = {
    "progress": lambda e: (EventKind.PROGRESS, asdict(convert.progress_from_proto(e.progress))),
    "metric": lambda e: (EventKind.METRIC, metric_data(e.metric.step, e.metric.values)),
    "log": lambda e: (EventKind.LOG, {"message": e.log.message, "fields": convert.struct_from_proto(e.log.fields)}),
}


async def _returned(tx: Transaction, job: Job, event: worker_pb2.WorkerEvent, retry: RetryPolicy) -> Job:
    if job.state is State.CANCELLING:
        return await repository.end(tx, job, job.attempt, Outcome.CANCELLED, retry=retry)
    time = await now(tx)
    await repository.mark(tx, job.name, job.attempt, ended_at=time, outcome=Outcome.RETURNED)
    product = convert.product_from_proto(event.result)
    return await repository.move(
        tx, job, State.PUBLISHING, "publishing the artifact", product=product, wake_at=time, error=None
    )


async def _failed(tx: Transaction, job: Job, event: worker_pb2.WorkerEvent, retry: RetryPolicy) -> Job:
    failure = convert.failure_from_proto(event.failure)
    return await repository.end(tx, job, job.attempt, Outcome.FAILED, failure=failure, retry=retry)


async def _stopped(tx: Transaction, job: Job, _: worker_pb2.WorkerEvent, retry: RetryPolicy) -> Job:
    return await repository.end(tx, job, job.attempt, Outcome.STOPPED, retry=retry)


_ENDS = {"result": _returned, "failure": _failed, "stopped": _stopped}


# --- answers ----------------------------------------------------------------------------------------------


def _wish(job: Job) -> str:
    return "cancelled on request" if job.state is State.CANCELLING else ""


def _replaced(attempt: Attempt) -> Answer:
    reason = f"attempt {attempt.attempt} of {attempt.job} belongs to another process; the next attempt goes on"
    return Answer(attempt.acknowledged, stop=reason, superseded=True)


def _too_late(job: Job, attempt: Attempt, last: int = 0) -> Answer:
    """A worker whose last report was stored may hear so again; everybody else is superseded."""
    if attempt.outcome in REPORTED and last <= attempt.acknowledged:
        return Answer(attempt.acknowledged)
    reason = f"attempt {attempt.attempt} of {job.name} is over ({job.state.lower()}, attempt {job.attempt})"
    return Answer(attempt.acknowledged, stop=reason, superseded=True)
