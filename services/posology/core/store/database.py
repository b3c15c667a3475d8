"""A service's database: transactions, reads, migrations."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Executable, MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from posology.core.store import engines, migrations
from posology.core.store.failures import translate
from posology.core.store.shielded import uninterrupted

Transaction = AsyncConnection
Write = tuple[Executable, Sequence[Mapping[str, Any]]]
"""A statement and the rows that it is run with."""


class Database:
    """One service's tables: a SQLite file, or a schema of its own in a PostgreSQL database.

    `schema` is the service's name; SQLite ignores it, because there each service has its own file.
    """

    def __init__(self, url: str, *, schema: str | None = None, pool_size: int = 5) -> None:
        self.url = engines.parse_url(url)
        self.schema = schema if self.kind == "postgresql" else None
        self._engine = engines.open_async(self.url, schema=self.schema, pool_size=pool_size)
        self._writer = asyncio.Lock()
        self._blocking = engines.open_writer(self.url) if self.kind == "sqlite" else None
        self._thread = ThreadPoolExecutor(1, f"{schema or 'database'}-writer")
        self._busy: set[asyncio.Task[Any]] = set()

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """A transaction that may write: committed at the end of the block, undone by an exception.

        Keep it short: on SQLite there is one writer at a time. Don't nest; pass `tx` on instead.
        Failures of the database come as core.errors (IntegrityError stays: see `is_duplicate`).
        """
        with self._no_nesting():
            if self.kind == "sqlite":
                # SQLite's own wait polls and is unfair; inside one process a lock hands over at once.
                async with self._writer, self._transaction() as tx:
                    yield tx
            else:
                async with self._transaction() as tx:
                    yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """One consistent snapshot for reading; never waits for a writer and never makes one wait."""
        options: dict[str, Any] = {engines.READ_ONLY: True}
        if self.kind == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._transaction(**options) as tx:
            yield tx

    async def write(self, writes: Sequence[Write]) -> None:
        """A transaction that reads nothing, for where milliseconds count.

        SQLite's driver hands every statement to a thread and back, and each hand-over waits for the interpreter's
        lock; here the whole transaction is one.
        """
        if self._blocking is None:
            async with self.begin() as tx:
                for statement, rows in writes:
                    await tx.execute(statement, rows)
            return
        async with self._writer:
            loop = asyncio.get_running_loop()
            await uninterrupted(_joined(loop.run_in_executor(self._thread, self._write, writes)))

    def _write(self, writes: Sequence[Write]) -> None:
        assert self._blocking is not None
        with _translated(), self._blocking.begin() as tx:
            for statement, rows in writes:
                tx.execute(statement, rows)

    async def forget(self) -> bool:
        """See that what was erased lies nowhere on the disk any more; False while a reader still holds it back.

        SQLite's log keeps every page as it was until it is folded into the file. PostgreSQL overwrites in its own time
        (vacuum, and its WAL's retention): what is erased there is out of reach of every query at once.
        """
        blocking = self._blocking
        if blocking is None:
            return True

        def checkpoint() -> bool:
            connection = blocking.raw_connection()
            try:
                return not connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                connection.close()

        async with self._writer:
            return await asyncio.get_running_loop().run_in_executor(self._thread, checkpoint)

    async def migrate(self, *packages: str) -> None:
        """Bring each package's tables (its `migrations/` folder) to its newest revision.

        Safe to call from several replicas at once and from several tasks of one process; all or nothing.
        """
        await asyncio.to_thread(migrations.upgrade, self.url, self.schema, packages)

    async def drift(self, *metadata: MetaData) -> list[str]:
        """How the database differs from all these tables together; empty if migrations and code agree."""
        return await asyncio.to_thread(migrations.differences, self.url, self.schema, metadata)

    async def close(self) -> None:
        """Give back every connection."""
        await self._engine.dispose()
        if self._blocking is not None:
            self._blocking.dispose()
        self._thread.shutdown()

    @asynccontextmanager
    async def _transaction(self, **options: Any) -> AsyncIterator[Transaction]:
        connection = self._engine.connect()
        with _translated():
            try:
                await uninterrupted(_start(connection, options))
                yield connection
            except BaseException:
                await uninterrupted(_end(connection, commit=False))
                raise
            await uninterrupted(_end(connection, commit=True))

    def _no_nesting(self) -> "_Nesting":
        return _Nesting(self._busy)


@contextmanager
def _translated() -> Iterator[None]:
    """Failures of the database as core.errors; those that have no such name stay what they are."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error


async def _joined(work: "asyncio.Future[None]") -> None:
    await work


async def _start(connection: AsyncConnection, options: Mapping[str, Any]) -> None:
    await connection.start()
    if options:
        await connection.execution_options(**options)
    await connection.begin()


async def _end(connection: AsyncConnection, *, commit: bool) -> None:
    if connection.sync_connection is None:
        return  # it could not be opened
    try:
        await (connection.commit() if commit else connection.rollback())
    finally:
        await connection.close()


class _Nesting:
    """Refuses a second transaction in one task: on SQLite it would wait for itself."""

    def __init__(self, busy: set[asyncio.Task[Any]]) -> None:
        self._busy = busy
        self._task = asyncio.current_task()

    def __enter__(self) -> None:
        if self._task in self._busy:
            raise RuntimeError("this task is already in a transaction; pass `tx` on instead of beginning another")
        if self._task is not None:
            self._busy.add(self._task)

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._busy.discard(self._task)
