"""Transactions mean the same on SQLite and PostgreSQL, and survive what happens to processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, func, select, text, update
from sqlalchemy.exc import IntegrityError
from support.servers import Postgres, postgres_server

from posology.core.errors import Conflict, DataCorrupt, InvalidInput, Unavailable
from posology.core.store import Database, Json, Transaction, UtcDateTime, is_duplicate, now

metadata = MetaData()
counter = Table(
    "counter",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("n", Integer, nullable=False),
    Column("parent", Integer, ForeignKey("counter.id")),
)
note = Table("note", metadata, Column("id", Text, primary_key=True), Column("at", UtcDateTime), Column("body", Json()))


@pytest.fixture
async def db(database: Database) -> Database:
    await make_tables(database)
    return database


async def make_tables(database: Database) -> None:
    async with database.begin() as tx:
        if database.schema:
            await tx.execute(text(f"create schema if not exists {database.schema}"))
        await tx.run_sync(metadata.create_all)
        await tx.execute(counter.insert().values(id=1, n=0))


async def count(db: Database) -> int:
    async with db.read() as tx:
        return int((await tx.execute(select(counter.c.n).where(counter.c.id == 1))).scalar_one())


async def add_one(tx: Transaction) -> None:
    """Read, then write: correct only if nobody comes between."""
    query = select(counter.c.n).where(counter.c.id == 1).with_for_update()
    found = (await tx.execute(query)).scalar_one()
    await tx.execute(update(counter).where(counter.c.id == 1).values(n=found + 1))


async def test_writes_of_one_call_are_all_there_or_none(db: Database) -> None:
    await db.write([(counter.insert(), [{"id": 2, "n": 0}, {"id": 3, "n": 0}]), (counter.update(), [{"n": 7}])])
    assert await count(db) == 7
    with pytest.raises(IntegrityError):
        await db.write([(counter.update(), [{"n": 8}]), (counter.insert(), [{"id": 3, "n": 8}])])
    assert await count(db) == 7


async def test_writes_and_transactions_take_turns(db: Database) -> None:
    async def written() -> None:
        await db.write([(counter.update().values(n=counter.c.n + 1), [{}])])

    async def added() -> None:
        async with db.begin() as tx:
            await add_one(tx)

    await asyncio.gather(*(work() for _ in range(20) for work in (written, added)))
    assert await count(db) == 40


async def test_an_exception_undoes_the_transaction(db: Database) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with db.begin() as tx:
            await add_one(tx)
            raise ZeroDivisionError
    assert await count(db) == 0


async def test_writers_in_one_process_lose_nothing(db: Database) -> None:
    async def work() -> None:
        for _ in range(5):
            async with db.begin() as tx:
                await add_one(tx)

    await asyncio.gather(*(work() for _ in range(20)))
    assert await count(db) == 100


async def test_cancelled_writers_leave_the_database_usable(db: Database) -> None:
    """Cancelled at every possible point, committed or not, but never half and never stuck."""

    async def work() -> None:
        async with db.begin() as tx:
            await add_one(tx)

    for round_ in range(60):
        tasks = [asyncio.create_task(work()) for _ in range(3)]
        for _ in range(round_):
            await asyncio.sleep(0)
        await asyncio.sleep(round_ * 1e-4)
        tasks[0].cancel()
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    before = await count(db)
    assert 120 <= before <= 180
    async with asyncio.timeout(5):
        await work()
    assert await count(db) == before + 1


async def test_a_reader_sees_one_snapshot_and_waits_for_nobody(db: Database) -> None:
    async with db.read() as reader:
        query = select(counter.c.n).where(counter.c.id == 1)
        assert (await reader.execute(query)).scalar_one() == 0
        async with asyncio.timeout(5), db.begin() as tx:
            await add_one(tx)
        assert (await reader.execute(query)).scalar_one() == 0
    assert await count(db) == 1


async def test_a_reader_cannot_write_on_postgresql(db: Database) -> None:
    if db.kind == "sqlite":
        pytest.skip("SQLite has no read-only transactions")
    with pytest.raises(Exception, match="read-only"):
        async with db.read() as tx:
            await tx.execute(update(counter).values(n=5))


async def test_a_nested_transaction_is_refused_instead_of_waiting_for_itself(db: Database) -> None:
    async with db.begin():
        with pytest.raises(RuntimeError, match="pass `tx` on"):
            async with db.begin():
                pass
    async with db.begin() as tx:
        await add_one(tx)
    assert await count(db) == 1


async def test_only_a_taken_key_is_a_duplicate(db: Database) -> None:
    for values, duplicate in (({"id": 1, "n": 0}, True), ({"id": 2, "n": 0, "parent": 99}, False)):
        with pytest.raises(IntegrityError) as caught:
            async with db.begin() as tx:
                await tx.execute(counter.insert().values(**values))
        assert is_duplicate(caught.value) is duplicate


async def test_times_and_json_come_back_as_they_went_in(db: Database) -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    elsewhere = at.astimezone(datetime.now().astimezone().tzinfo)
    body = {"ü": [1, 2.5, None, True], "deep": {"x": "y"}}
    async with db.begin() as tx:
        await tx.execute(note.insert().values(id="a", at=elsewhere, body=body))
        await tx.execute(note.insert().values(id="b", at=at + timedelta(microseconds=1), body=None))
    async with db.read() as tx:
        first, second = (await tx.execute(select(note).order_by(note.c.at))).all()
        later = await tx.execute(select(note.c.id).where(note.c.at > at))
        assert later.scalars().all() == ["b"]
        empty = select(func.count()).where(note.c.body.is_(None))
        assert (await tx.execute(empty)).scalar_one() == 1
    assert (first.at, first.body, second.body) == (at, body, None)


async def test_a_time_without_zone_is_refused(db: Database) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        async with db.begin() as tx:
            await tx.execute(note.insert().values(id="a", at=datetime(2026, 3, 1)))


async def test_the_clock_moves_inside_a_transaction(db: Database) -> None:
    async with db.begin() as tx:
        first = await now(tx)
        await asyncio.sleep(0.01)
        second = await now(tx)
    assert second - first >= timedelta(seconds=0.009)
    assert abs(datetime.now(UTC) - second) < timedelta(seconds=5)


async def test_sqlite_is_durable_and_strict(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/new/folder/a.sqlite")
    async with db.begin() as tx:
        found = {
            name: (await tx.exec_driver_sql(f"pragma {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    await db.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_we_do_not_serve_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///"):
        Database(url)


async def test_services_share_a_postgresql_database_without_seeing_each_other(postgres: Postgres) -> None:
    url = postgres.url()
    first, second = Database(url, schema="training"), Database(url, schema="curation")
    await make_tables(first)
    await make_tables(second)
    async with first.begin() as tx:
        await add_one(tx)
    assert (await count(first), await count(second)) == (1, 0)
    await first.close()
    await second.close()


async def test_a_deadlock_is_a_conflict_that_may_be_retried(postgres: Postgres) -> None:
    db = Database(postgres.url(), schema="service")
    await make_tables(db)
    async with db.begin() as tx:
        await tx.execute(counter.insert().values(id=2, n=0))
    both = asyncio.Barrier(2)

    async def cross(first: int, second: int) -> None:
        async with db.begin() as tx:
            await tx.execute(update(counter).where(counter.c.id == first).values(n=1))
            await both.wait()
            await tx.execute(update(counter).where(counter.c.id == second).values(n=1))

    results = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    await db.close()
    assert [type(result) for result in results if result] == [Conflict]


async def test_a_restarted_postgresql_is_unavailable_and_then_found_again() -> None:
    with postgres_server() as server:
        db = Database(server.url(), schema="service")
        await make_tables(db)
        server.stop()
        with pytest.raises(Unavailable, match="connection"):
            await count(db)
        server.start()
        assert await count(db) == 0
        await db.close()


async def test_a_damaged_sqlite_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"this is no database at all" * 100)
    db = Database(f"sqlite:///{tmp_path}/a.sqlite")
    with pytest.raises(DataCorrupt, match="restore it from a backup"):
        await count(db)
    await db.close()


_WRITER = """
import asyncio, sys
from sqlalchemy import text
from posology.core.store import Database

async def main():
    db = Database(sys.argv[1], schema="service")
    lock = " for update" if db.kind == "postgresql" else ""
    for _ in range(int(sys.argv[2])):
        async with db.begin() as tx:
            n = (await tx.execute(text("select n from counter where id = 1" + lock))).scalar_one()
            await tx.execute(text("update counter set n = :n where id = 1"), dict(n=n + 1))
        print("committed", flush=True)
    await db.close()

asyncio.run(main())
"""


def writer(url: str, times: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _WRITER, url, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_writers_in_several_processes_lose_nothing(db: Database, database_url: str) -> None:
    started = [writer(database_url, 25) for _ in range(3)]
    for process in started:
        await asyncio.to_thread(process.communicate)
    assert [process.returncode for process in started] == [0, 0, 0]
    assert await count(db) == 75


async def test_what_was_committed_survives_kill_9(db: Database, database_url: str) -> None:
    process = writer(database_url, 100_000)
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen += line == "committed\n"
        if seen == 40:
            break
    os.kill(process.pid, signal.SIGKILL)
    seen += process.communicate()[0].count("committed")
    assert await count(db) in {seen, seen + 1}  # one more may have committed before it could say so
    async with db.begin() as tx:
        await add_one(tx)
