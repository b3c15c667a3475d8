"""Every change of a job, as functions inside the caller's transaction; each takes the job's row lock first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from posology.core import audit, errors, names
from posology.core.canonical import canonical_digest
from posology.core.jobs.domain import (
    FINAL,
    Decision,
    Event,
    EventKind,
    Failure,
    Job,
    NewJob,
    Outcome,
    RetryPolicy,
    State,
    after,
)
from posology.core.jobs.service import tables
from posology.core.jobs.service.rows import Attempt, attempt_from_row, event_from_row, job_from_row, to_columns
from posology.core.rpc import context
from posology.core.store import Transaction, is_duplicate, now

ACTOR = "posology.jobs"
"""Who an audit entry names when the service itself moved a job on."""


# --- creating and finding ---------------------------------------------------------------------------------


async def create(tx: Transaction, new: NewJob) -> Job:
    """The job for `new`: a repeated request id, or the same name with the same spec, gives the first one."""
    existing = await _same(tx, new)
    if existing is not None:
        return existing
    try:
        async with tx.begin_nested():
            await _insert(tx, new)
    except IntegrityError as error:  # another replica was first
        existing = await _same(tx, new) if is_duplicate(error) else None
        if existing is None:
            raise
        return existing
    job = await note(tx, await locked(tx, new.name), EventKind.STATE, _state(State.PENDING, "created"))
    await audit.append(
        tx, actor=job.creator, action="job.created", subject=job.name, detail={"spec": canonical_digest(new.spec)}
    )
    return job


async def get(tx: Transaction, name: str) -> Job:
    row = (await tx.execute(select(tables.jobs).where(tables.jobs.c.name == name))).mappings().first()
    if row is None:
        raise errors.NotFound(f"there is no {name}")
    return job_from_row(row)


async def locked(tx: Transaction, name: str) -> Job:
    """The job, held until the end of the transaction, so that no other replica moves it."""
    query = select(tables.jobs).where(tables.jobs.c.name == name).with_for_update()
    row = (await tx.execute(query)).mappings().first()
    if row is None:
        raise errors.NotFound(f"there is no {name}")
    return job_from_row(row)


async def _same(tx: Transaction, new: NewJob) -> Job | None:
    """The job that `new` already made, AlreadyExists if what it made is something else."""
    c = tables.jobs.c
    by_request = (c.namespace == names.namespace_of(new.name)) & (c.kind == new.kind) & (c.request_id == new.request_id)
    if new.request_id:
        row = (await tx.execute(select(tables.jobs).where(by_request))).mappings().first()
        if row is not None:
            return _checked(row, new, f"request id {new.request_id} was used before, for {row['name']}")
    row = (await tx.execute(select(tables.jobs).where(c.name == new.name))).mappings().first()
    return _checked(row, new, f"{new.name} exists already") if row is not None else None


def _checked(row: Any, new: NewJob, problem: str) -> Job:
    if row["kind"] != new.kind or row["spec_digest"] != canonical_digest(new.spec):
        raise errors.AlreadyExists(f"{problem} with another spec; choose another name or request id")
    return job_from_row(row)


async def _insert(tx: Transaction, new: NewJob) -> None:
    time = await now(tx)
    await tx.execute(
        insert(tables.jobs).values(
            name=new.name,
            namespace=names.namespace_of(new.name),
            kind=new.kind,
            spec=dict(new.spec),
            spec_digest=canonical_digest(new.spec),
            request_id=new.request_id or None,
            creator=context.caller.get().subject,
            run=context.run_id.get(),
            trace=context.trace_id.get(),
            traceparent=context.place().header(),
            state=State.PENDING,
            reason="waits for a free slot",
            attempt=0,
            failures=0,
            wake_at=time,
            created_at=time,
            updated_at=time,
            sequence=0,
            progress_sequence=0,
            artifact="",
            cleaned=False,
        )
    )


# --- events -----------------------------------------------------------------------------------------------


async def note(tx: Transaction, job: Job, kind: EventKind, data: dict[str, Any]) -> Job:
    """Append one event to a locked job."""
    return await notes(tx, job, [(kind, data)])


async def notes(tx: Transaction, job: Job, entries: Sequence[tuple[EventKind, dict[str, Any]]]) -> Job:
    """Append events to a locked job, in order; of progress only the newest is kept."""
    entries = _coalesced(entries)
    if not entries:
        return job
    time = await now(tx)
    rows = [
        {"job": job.name, "sequence": number, "time": time, "attempt": job.attempt, "kind": kind, "data": data}
        for number, (kind, data) in enumerate(entries, start=job.sequence + 1)
    ]
    changes: dict[str, Any] = {"sequence": job.sequence + len(rows)}
    progress = [row["sequence"] for row in rows if row["kind"] is EventKind.PROGRESS]
    if progress:
        await _forget_progress(tx, job)
        changes["progress_sequence"] = progress[-1]
    await tx.execute(insert(tables.events), rows)
    await tx.execute(update(tables.jobs).where(tables.jobs.c.name == job.name).values(**changes))
    return replace(job, sequence=changes["sequence"])


def _coalesced(entries: Sequence[tuple[EventKind, dict[str, Any]]]) -> list[tuple[EventKind, dict[str, Any]]]:
    last = max((i for i, (kind, _) in enumerate(entries) if kind is EventKind.PROGRESS), default=-1)
    return [item for i, item in enumerate(entries) if item[0] is not EventKind.PROGRESS or i == last]


async def _forget_progress(tx: Transaction, job: Job) -> None:
    stale = select(tables.jobs.c.progress_sequence).where(tables.jobs.c.name == job.name).scalar_subquery()
    await tx.execute(delete(tables.events).where(tables.events.c.job == job.name, tables.events.c.sequence == stale))


async def events_after(tx: Transaction, name: str, sequence: int, *, limit: int = 500) -> list[Event]:
    c = tables.events.c
    query = select(tables.events).where(c.job == name, c.sequence > sequence).order_by(c.sequence).limit(limit)
    return [event_from_row(row) for row in (await tx.execute(query)).mappings()]


async def metrics(tx: Transaction, name: str) -> list[Event]:
    """Every metric of a job, in order."""
    c = tables.events.c
    query = select(tables.events).where(c.job == name, c.kind == EventKind.METRIC).order_by(c.sequence)
    return [event_from_row(row) for row in (await tx.execute(query)).mappings()]


# --- moving on --------------------------------------------------------------------------------------------


async def change(tx: Transaction, job: Job, **changes: Any) -> Job:
    """Write fields of a locked job."""
    changes["updated_at"] = await now(tx)
    await tx.execute(update(tables.jobs).where(tables.jobs.c.name == job.name).values(**to_columns(changes)))
    return replace(job, **changes)


async def move(tx: Transaction, job: Job, state: State, reason: str, **changes: Any) -> Job:
    """Put a locked job into `state`, with its event; final states are stamped and audited."""
    if state in FINAL:
        changes["finished_at"] = await now(tx)
    job = await change(tx, job, state=state, reason=reason, **changes)
    job = await note(tx, job, EventKind.STATE, _state(state, reason) | _known(job))
    if state in FINAL:
        await audit.append(
            tx, actor=ACTOR, action=f"job.{state.lower()}", subject=job.name, detail=_outcome_detail(job)
        )
    return job


def _outcome_detail(job: Job) -> dict[str, Any]:
    detail = {"attempt": job.attempt, "artifact": job.artifact, "error": job.error.error if job.error else ""}
    return {name: value for name, value in detail.items() if value}


def _state(state: State, reason: str) -> dict[str, Any]:
    return {"state": state, "reason": reason}


def _known(job: Job) -> dict[str, Any]:
    """What a watcher wants to know together with the state."""
    if job.state is State.SUCCEEDED:
        return {"artifact": job.artifact, "summary": dict(job.summary)}
    error = {"error": asdict(job.error)} if job.error else {}
    return error | ({"queue_state": job.queue_state} if job.queue_state and job.state not in FINAL else {})


# --- attempts ---------------------------------------------------------------------------------------------


async def claim(tx: Transaction, *, token_hash: str) -> Job | None:
    """Take the job that waits longest and is due, and open its next attempt; None if there is none.

    A job with an attempt that still runs is not due, because its workdir is in use.
    """
    c, a, time = tables.jobs.c, tables.attempts.c, await now(tx)
    busy = exists().where(a.job == c.name, a.gone_at.is_(None))
    query = select(tables.jobs).where(c.state == State.PENDING, c.wake_at <= time, ~busy)
    query = query.order_by(c.created_at, c.name).limit(1).with_for_update(skip_locked=True)
    row = (await tx.execute(query)).mappings().first()
    if row is None:
        return None
    job = job_from_row(row)
    number = job.attempt + 1
    await tx.execute(
        insert(tables.attempts).values(
            job=job.name, attempt=number, token_hash=token_hash, launched_at=time, heartbeat_at=time, acknowledged=0
        )
    )
    started = job.started_at or time
    return await move(
        tx, job, State.RUNNING, f"attempt {number} starts", attempt=number, started_at=started, wake_at=time
    )


async def attempt(tx: Transaction, job: str, number: int) -> Attempt | None:
    c = tables.attempts.c
    query = select(tables.attempts).where(c.job == job, c.attempt == number)
    row = (await tx.execute(query)).mappings().first()
    return attempt_from_row(row) if row is not None else None


async def alive(tx: Transaction) -> list[Attempt]:
    """Every attempt of which something may still run."""
    query = select(tables.attempts).where(tables.attempts.c.gone_at.is_(None))
    return [attempt_from_row(row) for row in (await tx.execute(query)).mappings()]


async def mark(tx: Transaction, job: str, number: int, **changes: Any) -> None:
    """Write columns of an attempt."""
    c = tables.attempts.c
    await tx.execute(update(tables.attempts).where(c.job == job, c.attempt == number).values(**changes))


async def is_current(tx: Transaction, job: Job, number: int) -> bool:
    """The fence: whether attempt `number` may still report anything for this locked job."""
    if job.attempt != number or job.state not in {State.RUNNING, State.CANCELLING}:
        return False
    last = await attempt(tx, job.name, number)
    return last is not None and last.outcome is None


async def end(
    tx: Transaction,
    job: Job,
    number: int,
    outcome: Outcome,
    *,
    retry: RetryPolicy,
    failure: Failure | None = None,
    exit_code: int | None = None,
) -> Job:
    """Close the current attempt of a locked job without a product, and decide what becomes of the job."""
    time = await now(tx)
    await mark(tx, job.name, number, ended_at=time, outcome=outcome, exit_code=exit_code)
    return await settle(tx, job, after(job, outcome, failure, retry=retry))


async def settle(tx: Transaction, job: Job, decision: Decision) -> Job:
    """Carry out a decision about a locked job."""
    return await move(
        tx,
        job,
        decision.state,
        decision.reason,
        failures=decision.failures,
        error=decision.error,
        wake_at=await now(tx) + decision.pause,
    )


# --- queues -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overview:
    """What the reconcile loop looks at. `open` counts jobs that are not over, `due` those that may start."""

    time: datetime
    alive: tuple[Attempt, ...]
    open: int
    due: int
    to_publish: tuple[Job, ...]
    to_clean: tuple[str, ...]


async def overview(tx: Transaction) -> Overview:
    """Everything there is to do, in one snapshot."""
    c, time = tables.jobs.c, await now(tx)
    states = await tx.execute(select(c.state, c.wake_at).where(c.state.not_in(FINAL)))
    waiting = [(state, wake_at <= time) for state, wake_at in states]
    publishing = (State.PUBLISHING, True) in waiting
    return Overview(
        time=time,
        alive=tuple(await alive(tx)),
        open=len(waiting),
        due=waiting.count((State.PENDING, True)),
        to_publish=tuple(await _to_publish(tx, time)) if publishing else (),
        to_clean=tuple(await _to_clean(tx)),
    )


async def _to_publish(tx: Transaction, time: datetime) -> list[Job]:
    c = tables.jobs.c
    query = select(tables.jobs).where(c.state == State.PUBLISHING, c.wake_at <= time)
    return [job_from_row(row) for row in (await tx.execute(query)).mappings()]


async def _to_clean(tx: Transaction) -> list[str]:
    """Jobs that are over, of which nothing runs, and whose files were not removed yet."""
    c, a = tables.jobs.c, tables.attempts.c
    busy = exists().where(a.job == c.name, a.gone_at.is_(None))
    query = select(c.name).where(c.state.in_(FINAL), ~c.cleaned, ~busy).limit(50)
    return list((await tx.execute(query)).scalars())


async def mark_cleaned(tx: Transaction, name: str) -> None:
    await tx.execute(update(tables.jobs).where(tables.jobs.c.name == name).values(cleaned=True))


async def counts(tx: Transaction) -> dict[tuple[str, str], int]:
    """Number of jobs by (kind, state)."""
    c = tables.jobs.c
    query = select(c.kind, c.state, func.count()).group_by(c.kind, c.state)
    return {(kind, state): number for kind, state, number in await tx.execute(query)}


async def waiting(tx: Transaction) -> tuple[int, timedelta]:
    """How many jobs are due and wait for a slot, and how long the oldest has."""
    c, time = tables.jobs.c, await now(tx)
    query = select(c.wake_at).where(c.state == State.PENDING, c.wake_at <= time)
    since = list((await tx.execute(query)).scalars())
    return len(since), time - min(since, default=time)
