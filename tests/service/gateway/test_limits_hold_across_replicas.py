"""Several gateways over one database count as one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from posology.core.store import Database
from posology.gateway.domain import ApiKey, KeyLimits, RateLimited
from posology.gateway.limits import LEASE_SECONDS, SharedLimiter
from posology.gateway.tables import key_uses


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/gateway.db", schema="gateway")
    await opened.migrate("posology.core.audit", "posology.gateway")
    yield opened
    await opened.close()


def key(**limits: int) -> ApiKey:
    return ApiKey("k", "n", "tests", "posology_k", "hash", datetime.now(UTC), KeyLimits(**limits))


async def test_requests_a_minute_are_counted_together(db: Database) -> None:
    first, second = SharedLimiter(db, KeyLimits()), SharedLimiter(db, KeyLimits())
    admitted, waits = 0, list[int]()
    for limiter in (first, second, first, second, first):
        try:
            async with limiter.admit(key(requests_per_minute=3)) as headers:
                admitted += 1
                assert headers["x-ratelimit-remaining-requests"] == str(3 - admitted)
        except RateLimited as error:
            waits.append(error.retry_after)
    assert admitted == 3
    assert all(1 <= wait <= 20 for wait in waits)


async def test_requests_at_once_are_counted_together_and_given_back(db: Database) -> None:
    first, second = SharedLimiter(db, KeyLimits(concurrent_requests=2)), SharedLimiter(db, KeyLimits())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(first.admit(key()))
        await stack.enter_async_context(second.admit(key(concurrent_requests=2)))
        with pytest.raises(RateLimited, match="2 requests at once"):
            await stack.enter_async_context(first.admit(key()))
    await first.settled()
    await second.settled()
    async with first.admit(key()), second.admit(key(concurrent_requests=2)):
        pass


async def test_many_at_once_never_pass_the_limit(db: Database) -> None:
    limiters = [SharedLimiter(db, KeyLimits()) for _ in range(3)]
    running, most, refused = 0, 0, 0

    async def ask(number: int) -> None:
        nonlocal running, most, refused
        try:
            async with limiters[number % 3].admit(key(concurrent_requests=4)):
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.05)
                running -= 1
        except RateLimited:
            refused += 1

    await asyncio.gather(*(ask(number) for number in range(30)))
    assert 1 <= most <= 4
    assert refused >= 1


async def test_what_a_dead_gateway_ran_is_forgotten(db: Database) -> None:
    dead = SharedLimiter(db, KeyLimits(concurrent_requests=1))
    await dead.admit(key()).__aenter__()
    with pytest.raises(RateLimited):
        await SharedLimiter(db, KeyLimits(concurrent_requests=1)).admit(key()).__aenter__()
    long_ago = (datetime.now(UTC) - timedelta(seconds=LEASE_SECONDS + 1)).timestamp()
    async with db.begin() as tx:
        await tx.execute(update(key_uses).values(running=f'{{"x": {long_ago}}}'))
    async with SharedLimiter(db, KeyLimits(concurrent_requests=1)).admit(key()):
        pass


async def test_a_key_without_limits_writes_nothing(db: Database) -> None:
    async with SharedLimiter(db, KeyLimits()).admit(key()) as headers:
        assert headers == {}
