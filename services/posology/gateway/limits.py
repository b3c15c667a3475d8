"""How much one key may ask for: requests per minute and requests at once, over all replicas of the gateway.

Where the database is this process's own (SQLite) the process counts alone; on PostgreSQL, which all replicas share,
the counts stand in one row a key, so that a limit is one limit however many gateways answer.
"""

import asyncio
import json
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from posology.core.errors import PosologyError
from posology.core.store import Database, Transaction, is_duplicate, now
from posology.gateway.domain import ApiKey, KeyLimits, RateLimited
from posology.gateway.tables import key_uses

log = logging.getLogger("posology.gateway")
LEASE_SECONDS = 900.0
"""How long a request of a gateway that died still counts; no answer takes longer than its silence allows."""


class Limits(Protocol):
    """Admits requests of keys."""

    def admit(self, key: ApiKey) -> AbstractAsyncContextManager[Mapping[str, str]]:
        """Count one request while the block runs and give its rate headers; RateLimited when it is too many."""
        ...


def limits_of(key: ApiKey, defaults: KeyLimits) -> tuple[int, int]:
    """Requests a minute and at once: a key's own limits win over the gateway's. 0 is no limit."""
    own = key.limits
    return (
        own.requests_per_minute or defaults.requests_per_minute,
        own.concurrent_requests or defaults.concurrent_requests,
    )


@dataclass
class _Use:
    tokens: float
    at: float
    running: int = 0


class Limiter:
    """Counts in this process: a bucket per key that refills evenly."""

    def __init__(self, defaults: KeyLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._defaults = defaults
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    @asynccontextmanager
    async def admit(self, key: ApiKey) -> AsyncIterator[Mapping[str, str]]:
        """See Limits."""
        rate, most = limits_of(key, self._defaults)
        use = self._refilled(key.id, rate)
        _check(rate, most, tokens=use.tokens, running=use.running)
        use.tokens -= 1
        use.running += 1
        try:
            yield _headers(rate, use.tokens)
        finally:
            use.running -= 1

    def _refilled(self, key_id: str, rate: int) -> _Use:
        now = self._clock()
        use = self._uses.setdefault(key_id, _Use(tokens=rate, at=now))
        use.tokens = min(rate, use.tokens + (now - use.at) * rate / 60)
        use.at = now
        return use


class SharedLimiter:
    """Counts in the database, by the database's clock; keys without a limit cost nothing."""

    def __init__(self, db: Database, defaults: KeyLimits) -> None:
        self._db = db
        self._defaults = defaults
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def admit(self, key: ApiKey) -> AsyncIterator[Mapping[str, str]]:
        """See Limits."""
        rate, most = limits_of(key, self._defaults)
        if not rate and not most:
            yield {}
            return
        ticket = secrets.token_hex(8)
        async with self._db.begin() as tx:
            left = await self._take(tx, key.id, ticket, rate, most)
        try:
            yield _headers(rate, left)
        finally:
            if most:  # not waited for: this task may be cancelled, and the answer need not be late for it
                task = asyncio.ensure_future(self._give_back(key.id, ticket))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def settled(self) -> None:
        """Returns once every ended request is counted as ended."""
        while self._leaving:
            await asyncio.wait(set(self._leaving))

    async def _take(self, tx: Transaction, key_id: str, ticket: str, rate: int, most: int) -> float:
        use, moment = await _locked(tx, key_id, rate), await now(tx)
        running = _alive(use.running, moment)
        elapsed = max(0.0, (moment - use.refilled_at).total_seconds())
        tokens = min(float(rate), use.tokens + elapsed * rate / 60)
        _check(rate, most, tokens=tokens, running=len(running))
        if most:
            running[ticket] = moment.timestamp()
        values = {"tokens": tokens - 1, "refilled_at": moment, "running": json.dumps(running)}
        await tx.execute(update(key_uses).where(key_uses.c.key_id == key_id).values(**values))
        return tokens - 1

    async def _give_back(self, key_id: str, ticket: str) -> None:
        try:
            async with self._db.begin() as tx:
                use = await _locked(tx, key_id, 0)
                running = {name: at for name, at in json.loads(use.running).items() if name != ticket}
                change = update(key_uses).where(key_uses.c.key_id == key_id)
                await tx.execute(change.values(running=json.dumps(running)))
        except PosologyError as error:
            log.warning("a request of key %s counts until its lease ends: %s", key_id, error.message)


@dataclass(frozen=True)
class _Row:
    tokens: float
    refilled_at: datetime
    running: str


async def _locked(tx: Transaction, key_id: str, rate: int) -> _Row:
    """The key's row, held until the transaction ends; a full bucket for a key that has none yet."""
    query = select(key_uses).where(key_uses.c.key_id == key_id).with_for_update()
    row = (await tx.execute(query)).mappings().first()
    if row is None:
        values = {"key_id": key_id, "tokens": float(rate), "refilled_at": await now(tx), "running": "{}"}
        try:
            async with tx.begin_nested():
                await tx.execute(insert(key_uses).values(**values))
        except IntegrityError as error:
            if not is_duplicate(error):
                raise
        row = (await tx.execute(query)).mappings().one()
    return _Row(row["tokens"], row["refilled_at"], row["running"])


def _alive(running: str, moment: datetime) -> dict[str, float]:
    """Requests under way; those of a gateway that died are forgotten when their lease ends."""
    since = moment.timestamp() - LEASE_SECONDS
    return {ticket: at for ticket, at in json.loads(running).items() if at > since}


def _check(rate: int, most: int, *, tokens: float, running: int) -> None:
    if most and running >= most:
        raise RateLimited(f"this key already runs {most} requests at once", retry_after=1)
    if rate and tokens < 1:
        wait = math.ceil((1 - tokens) * 60 / rate)
        raise RateLimited(f"this key may ask {rate} times a minute", retry_after=wait)


def _headers(rate: int, tokens: float) -> Mapping[str, str]:
    """OpenAI's names for what is left; none where nothing is limited."""
    if not rate:
        return {}
    return {"x-ratelimit-limit-requests": str(rate), "x-ratelimit-remaining-requests": str(int(tokens))}
