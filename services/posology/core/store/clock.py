"""The database's clock: leases and wake-ups compare with it, never with a replica's own."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def now(tx: AsyncConnection) -> datetime:
    """Aware UTC time of the database, to the microsecond, at the moment of the call (not of BEGIN).

    A SQLite database lives on this machine, so its clock is this machine's and costs no query.
    """
    if tx.dialect.name == "sqlite":
        return datetime.now(UTC)
    found: datetime = (await tx.execute(text("select clock_timestamp()"))).scalar_one()
    return found.astimezone(UTC)
