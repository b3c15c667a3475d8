"""Writing and reading the trail inside the caller's transaction."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from posology.core.audit.chain import GENESIS, Entry, Head, link
from posology.core.audit.tables import audit
from posology.core.canonical import canonical_json
from posology.core.rpc import context
from posology.core.store.clock import now


async def append(
    tx: AsyncConnection, *, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> Head:
    """Write one entry; it becomes visible with the change that it reports, or not at all.

    Call it last in the transaction: on PostgreSQL it takes a lock that lasts until commit, so that
    concurrent writers make one chain. `detail` is JSON and must hold no secret; if the actor did not call this service
    itself, the one through which it came is noted as `door`.
    """
    await _one_writer(tx)
    entry = link(
        await head(tx),
        at=await now(tx),
        actor=actor,
        action=action,
        subject=subject,
        detail=_with_door(actor, detail or {}),
    )
    row = {**vars(entry), "detail": canonical_json(entry.detail).decode()}
    await tx.execute(audit.insert().values(**row))
    return Head(entry.seq, entry.digest)


def _with_door(actor: str, detail: Mapping[str, Any]) -> Mapping[str, Any]:
    caller = context.caller.get()
    return {**detail, "door": caller.door} if caller.door and caller.subject == actor else detail


async def head(tx: AsyncConnection) -> Head:
    """The end of this service's chain, to anchor in a verdict."""
    query = select(audit.c.seq, audit.c.digest).order_by(audit.c.seq.desc()).limit(1)
    row = (await tx.execute(query)).first()
    return Head(row.seq, row.digest) if row else Head(0, GENESIS)


async def entries(
    tx: AsyncConnection, *, after: int = 0, subject: str | None = None, limit: int | None = None
) -> AsyncIterator[Entry]:
    """Entries in order, from the one after `after`; only a listing without `subject` is a chain."""
    query = select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    async for row in (await tx.stream(query)).mappings():
        yield _entry(row)


def _entry(row: RowMapping) -> Entry:
    return Entry(**{**row, "detail": json.loads(row["detail"])})


async def _one_writer(tx: AsyncConnection) -> None:
    if tx.dialect.name == "postgresql":  # SQLite has one writer anyway
        await tx.execute(
            text("select pg_advisory_xact_lock(hashtextextended('posology:audit:' || current_schema(), 0))")
        )
