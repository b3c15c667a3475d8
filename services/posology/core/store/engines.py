"""Connections as we want them: durable, strict, and alike in both databases."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from posology.core.errors import InvalidInput

READ_ONLY = "posology_read_only"
BUSY_MILLISECONDS = 20_000


def parse_url(url: str) -> URL:
    """A URL of one of the two databases with its driver filled in; everything else is InvalidInput."""
    parsed = make_url(url)
    kind = parsed.get_backend_name()
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise InvalidInput(f"{kind} is no database of ours; use sqlite:///FILE or postgresql://HOST/NAME")
    if not parsed.database or parsed.database == ":memory:":
        raise InvalidInput("SQLite in memory loses everything at the end; give a file: sqlite:////path/to/file")
    return parsed.set(drivername="sqlite+aiosqlite")


def open_async(url: URL, *, schema: str | None, pool_size: int) -> AsyncEngine:
    """A pooled engine for the services."""
    if url.get_backend_name() == "sqlite":
        _make_folder(url)
        engine = create_async_engine(url, pool_size=pool_size, max_overflow=pool_size)
        _strict_sqlite(engine.sync_engine)
        return engine
    # psycopg 3 needs no event loop of its own; pre-ping costs a round trip and finds a restarted server.
    return create_async_engine(
        url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, connect_args=_postgresql(schema)
    )


def open_writer(url: URL) -> Engine:
    """One blocking connection to a SQLite file, for a thread that writes whole transactions."""
    engine = create_engine(
        url.set(drivername="sqlite"), pool_size=1, max_overflow=0, connect_args={"check_same_thread": False}
    )
    _strict_sqlite(engine)
    return engine


def open_sync(url: URL, *, schema: str | None) -> Engine:
    """One connection for the migration runner, which Alembic wants blocking."""
    if url.get_backend_name() == "sqlite":
        _make_folder(url)
        engine = create_engine(url.set(drivername="sqlite"), poolclass=NullPool)
        _strict_sqlite(engine)
        return engine
    return create_engine(url, poolclass=NullPool, connect_args=_postgresql(schema))


def _make_folder(url: URL) -> None:
    assert url.database is not None  # parse_url refused the rest
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)


def _postgresql(schema: str | None) -> dict[str, Any]:
    options = "-c timezone=UTC -c idle_in_transaction_session_timeout=600000"
    if schema:
        options += f" -c search_path={schema}"
    return {"options": options, "connect_timeout": 10}


def _strict_sqlite(engine: Engine) -> None:
    """WAL with synchronous=FULL (a commit survives a power cut), foreign keys, and our own BEGIN."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not send its own BEGIN
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_MILLISECONDS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "secure_delete=ON",  # what is erased is overwritten, not only let go
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "invalidate")
    def undo(connection: Any, _record: Any, _error: BaseException | None) -> None:
        # A statement that was cancelled keeps a closed connection alive inside SQLite, write lock and all.
        connection.rollback()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # IMMEDIATE takes the write lock now: reading first and writing later can't fail half-way.
        reading = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
