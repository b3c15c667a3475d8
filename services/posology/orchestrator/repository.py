"""Runs in the database: created once, claimed under a lease, changed only by the pass that holds the newest version."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, insert, or_, select, update

from posology.core.errors import AlreadyExists, Conflict, NotFound
from posology.core.store import Transaction, now, pages
from posology.orchestrator.domain import Failure, Phase, Run, Stage, State
from posology.orchestrator.tables import events, runs, stages


class LostLease(Conflict):
    """Somebody else changed or claimed the run; drop this pass, the next one sees the new state."""


async def create(tx: Transaction, run: Run) -> Run:
    """Store a new run and wake the reconciler; a repeated request id returns the first run."""
    if run.request_id and (existing := await _by_request(tx, run)):
        return existing
    if await _by_name(tx, run.namespace, run.run_id):
        raise AlreadyExists(f"{run.name} exists already; choose another name, or watch it: posology watch {run.run_id}")
    at = await now(tx)
    stored = replace(run, created=at)
    await tx.execute(insert(runs).values(**_run_row(stored), wake_at=at, lease_until=None))
    await tx.execute(insert(stages), [_stage_row(run.uid, stage) for stage in run.stages])
    await append_events(tx, stored, [("", stored.phase, stored.message)], at=at)
    return stored


async def get(tx: Transaction, namespace: str, run_id: str) -> Run:
    """One run with its stages; NotFound names it."""
    row = await _by_name(tx, namespace, run_id)
    if row is None:
        raise NotFound(f"there is no run {run_id} in namespace {namespace}; posology runs lists them")
    return (await _whole(tx, [row]))[0]


async def list_page(tx: Transaction, namespace: str, *, size: int, token: str) -> tuple[list[Run], str]:
    """A page of runs, newest first; namespace `-` is all of them."""
    query = select(runs) if namespace == "-" else select(runs).where(runs.c.namespace == namespace)
    order = (runs.c.created, runs.c.uid)
    page = await pages.fetch(tx, query, order=order, size=size, token=token, scope=namespace, descending=True)
    return await _whole(tx, page.rows), page.next_token


async def claim(tx: Transaction, *, lease_seconds: float, limit: int = 1) -> list[Run]:
    """Take up to `limit` runs that waited longest; whoever held them before is fenced off by the new versions."""
    at = await now(tx)
    free = or_(runs.c.lease_until.is_(None), runs.c.lease_until < at)
    due = select(runs.c.uid).where(runs.c.wake_at <= at, free).order_by(runs.c.wake_at).limit(limit)
    taken = due.with_for_update(skip_locked=True).cte("due")  # evaluated once, unlike a subquery of IN
    query = (
        update(runs)
        .where(runs.c.uid.in_(select(taken.c.uid)))
        .values(lease_until=at + timedelta(seconds=lease_seconds), version=runs.c.version + 1)
        .returning(runs)
    )
    return await _whole(tx, (await tx.execute(query)).mappings().all())


async def save(tx: Transaction, run: Run, changed: Iterable[Stage]) -> None:
    """Write a pass's progress; LostLease if this pass is no longer the newest."""
    await _held(tx, run, phase=run.phase, message=run.message, reductions=run.reductions, ended=run.ended)
    for stage in changed:
        row = _stage_row(run.uid, stage)
        await tx.execute(_STAGE, {"of_uid": run.uid, "of_stage": stage.stage, **row})


async def release(tx: Transaction, run: Run, *, wake_at: datetime | None) -> None:
    """Let go of the lease; the run sleeps until `wake_at`, or for ever."""
    await _held(tx, run, lease_until=None, wake_at=wake_at)


async def renew(tx: Transaction, run: Run, *, lease_seconds: float) -> None:
    """Hold the lease longer; LostLease if it is gone."""
    await _held(tx, run, lease_until=await now(tx) + timedelta(seconds=lease_seconds))


async def wake(tx: Transaction, uids: Sequence[str]) -> None:
    """Make runs due now; a pass at work on one of them is fenced off and done again."""
    at = await now(tx)
    alive = runs.c.ended.is_(None)
    change = {"wake_at": at, "lease_until": None, "version": runs.c.version + 1}
    await tx.execute(update(runs).where(runs.c.uid.in_(uids), alive).values(**change))


async def request_cancel(tx: Transaction, run: Run, reason: str) -> None:
    """Ask the reconciler to end the run."""
    await tx.execute(update(runs).where(runs.c.uid == run.uid).values(cancel_reason=reason))
    await wake(tx, [run.uid])


async def decide(tx: Transaction, run: Run, stage: str, approved: bool) -> None:
    """Store a person's decision."""
    approvals = {**run.approvals, stage: approved}
    await tx.execute(update(runs).where(runs.c.uid == run.uid).values(approvals=approvals))
    await wake(tx, [run.uid])


async def uids_of_resources(tx: Transaction, resources: Sequence[str]) -> list[str]:
    """The runs whose open stages wait for these resources."""
    query = select(stages.c.uid).where(stages.c.resource.in_(resources), stages.c.ended.is_(None)).distinct()
    return list((await tx.execute(query)).scalars())


async def reusable(tx: Transaction, namespace: str, stage: str, input_digest: str) -> Stage | None:
    """The newest success of the same stage with the same inputs in the namespace."""
    query = (
        select(stages)
        .join(runs, runs.c.uid == stages.c.uid)
        .where(runs.c.namespace == namespace, stages.c.stage == stage, stages.c.input_digest == input_digest)
        .where(stages.c.state == State.SUCCEEDED, stages.c.artifact != "")
        .order_by(stages.c.ended.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).mappings().first()
    return _stage(row) if row else None


async def append_events(tx: Transaction, run: Run, happened: Sequence[tuple[str, str, str]], *, at: datetime) -> None:
    """Add (stage, state, reason) to the run's history, in order; `at` is the database's time."""
    for stage, state, reason in happened:
        row = {"uid": run.uid, "at": at, "stage": stage, "state": state, "reason": reason}
        await tx.execute(_NEXT_EVENT, {"of_uid": run.uid, **row})


async def events_after(tx: Transaction, uid: str, sequence: int) -> Sequence[RowMapping]:
    """The run's history from the event after `sequence`."""
    query = select(events).where(events.c.uid == uid, events.c.sequence > sequence).order_by(events.c.sequence)
    return (await tx.execute(query)).mappings().all()


async def count_by_phase(tx: Transaction) -> dict[str, int]:
    """How many runs stand where, for the gauges."""
    rows = await tx.execute(select(runs.c.phase, func.count().label("number")).group_by(runs.c.phase))
    return {row.phase: row.number for row in rows}


async def in_state(tx: Transaction, state: State) -> list[tuple[str, Stage]]:
    """The stages of all runs that are in `state`, each with its run's uid."""
    rows = (await tx.execute(select(stages).where(stages.c.state == state))).mappings().all()
    return [(row["uid"], _stage(row)) for row in rows]


async def paused_since(tx: Transaction) -> dict[str, list[datetime]]:
    """Since when stages wait for people, by the stage's name."""
    paused_event = (
        (events.c.uid == stages.c.uid) & (events.c.stage == stages.c.stage) & (events.c.state == State.PAUSED)
    )
    query = (
        select(stages.c.stage, func.max(events.c.at).label("since"))
        .join(events, paused_event)
        .where(stages.c.state == State.PAUSED)
        .group_by(stages.c.uid, stages.c.stage)
    )
    since: dict[str, list[datetime]] = {}
    for row in await tx.execute(query):
        since.setdefault(row.stage, []).append(row.since)
    return since


# --- rows ------------------------------------------------------------------------------------------


# Built once: making a statement of this many columns costs more than the database takes to run it.
_HELD = update(runs).where(runs.c.uid == bindparam("of_uid"), runs.c.version == bindparam("of_version"))
_STAGE = update(stages).where(stages.c.uid == bindparam("of_uid"), stages.c.stage == bindparam("of_stage"))
_LAST_EVENT = select(func.coalesce(func.max(events.c.sequence), 0)).where(events.c.uid == bindparam("of_uid"))
_NEXT_EVENT = insert(events).values(sequence=_LAST_EVENT.scalar_subquery() + 1)


async def _held(tx: Transaction, run: Run, **values: Any) -> None:
    changed = await tx.execute(_HELD, {"of_uid": run.uid, "of_version": run.version, **values})
    if changed.rowcount != 1:
        raise LostLease(f"{run.name} was changed by somebody else")


async def _by_name(tx: Transaction, namespace: str, run_id: str) -> RowMapping | None:
    query = select(runs).where(runs.c.namespace == namespace, runs.c.run_id == run_id)
    return (await tx.execute(query)).mappings().first()


async def _by_request(tx: Transaction, run: Run) -> Run | None:
    query = select(runs).where(runs.c.namespace == run.namespace, runs.c.request_id == run.request_id)
    row = (await tx.execute(query)).mappings().first()
    return (await _whole(tx, [row]))[0] if row else None


async def _whole(tx: Transaction, rows: Sequence[RowMapping]) -> list[Run]:
    """The runs of these rows, each with its stages, in the rows' order."""
    if not rows:
        return []
    query = select(stages).where(stages.c.uid.in_([row["uid"] for row in rows])).order_by(stages.c.position)
    stages_of: dict[str, list[Stage]] = {row["uid"]: [] for row in rows}
    for row in (await tx.execute(query)).mappings():
        stages_of[row["uid"]].append(_stage(row))
    return [_run(row, tuple(stages_of[row["uid"]])) for row in rows]


def _run(row: RowMapping, its_stages: tuple[Stage, ...]) -> Run:
    values = {k: v for k, v in row.items() if k not in ("wake_at", "lease_until")}
    return Run(**{**values, "phase": Phase(row["phase"]), "stages": its_stages})


def _stage(row: RowMapping) -> Stage:
    values = {k: v for k, v in row.items() if k != "uid"}
    error = _failure(row["error"]) if row["error"] else None
    return Stage(**{**values, "state": State(row["state"]), "error": error})


def _failure(stored: Mapping[str, Any]) -> Failure:
    violations = tuple((field, description) for field, description in stored.get("violations", ()))
    return Failure(**{**stored, "violations": violations})


def _run_row(run: Run) -> Mapping[str, Any]:
    return {k: v for k, v in vars(run).items() if k != "stages"}


def _stage_row(uid: str, stage: Stage) -> Mapping[str, Any]:
    error = asdict(stage.error) if stage.error else None
    if error and not error["violations"]:
        del error["violations"]  # the version before reads errors too, and knows none
    return {**vars(stage), "uid": uid, "error": error}
