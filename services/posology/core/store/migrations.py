"""Alembic without an ini file: each package's `migrations/versions/` brings its own tables.

A service migrates with `await db.migrate("posology.core.audit", "posology.core.jobs", "posology.training")`;
each package has its own version table, so a shared part (audit, jobs) is written once and each schema
still has its own copy.

Revisions are named `<line>_<number>`. Those of one line only add (tables, indexes of new tables, columns that rows may
lack), so code that is older than the database runs on it: pods of the old release during an upgrade, and those of a
rollback. What older code could not bear begins another line, and older code refuses it.
"""

import importlib.resources
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

from posology.core.errors import FailedPrecondition
from posology.core.store import engines
from posology.core.store.failures import translate

log = logging.getLogger("posology.store")
# Alembic's `op` is one global per process: two upgrades at once would write into each other's database.
_ONE_AT_A_TIME = threading.Lock()
_VERSIONS = "migrated_"


def upgrade(url: URL, schema: str | None, packages: Sequence[str]) -> None:
    """Upgrade all `packages` in one transaction under a lock that other replicas see. Blocking."""
    with _ONE_AT_A_TIME, _connection(url, schema) as connection:
        _lock(connection, schema)
        for package in packages:
            _upgrade(connection, package)


def differences(url: URL, schema: str | None, metadata: Sequence[MetaData]) -> list[str]:
    """What Alembic would have to change to make the database equal `metadata`, in words. Blocking."""
    with _ONE_AT_A_TIME, _connection(url, schema) as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda _, name, *__: not str(name).startswith(_VERSIONS)}
        )
        return [str(change) for change in compare_metadata(context, _together(metadata))]


def _together(parts: Sequence[MetaData]) -> MetaData:
    whole = MetaData()
    for part in parts:
        for table in part.tables.values():
            table.to_metadata(whole)
    return whole


@contextmanager
def _connection(url: URL, schema: str | None) -> Iterator[Connection]:
    engine = engines.open_sync(url, schema=schema)
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error
    finally:
        engine.dispose()


def _lock(connection: Connection, schema: str | None) -> None:
    """One migrating replica per schema; the others wait, then find nothing to do."""
    if connection.dialect.name != "postgresql":
        return  # BEGIN IMMEDIATE holds the only write lock
    name = f"posology:migrate:{schema}"
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
    if schema is None:
        return
    # CREATE SCHEMA IF NOT EXISTS wants the right to create even where the administrator made it already.
    found = connection.execute(text("select 1 from pg_namespace where nspname = :name"), {"name": schema}).first()
    if found is None:
        connection.execute(text(f'create schema "{schema}"'))


def _upgrade(connection: Connection, package: str) -> None:
    folder = Path(str(importlib.resources.files(package) / "migrations"))
    # The config is passed along for Alembic's sake; everything is said here.
    script = ScriptDirectory(str(folder), version_locations=[str(folder / "versions")])

    def revisions(current: Any, _context: MigrationContext) -> Any:
        if _is_ahead(script, current):
            log.warning("the tables of %s are newer than this release, which runs on them all the same", package)
            return []
        return script._upgrade_revs("heads", current)

    with EnvironmentContext(Config(), script, fn=revisions) as environment:
        environment.configure(
            connection=connection,
            version_table=_VERSIONS + package.rpartition(".")[2],
            transactional_ddl=True,
            render_as_batch=True,
        )
        try:
            environment.run_migrations()
        except CommandError as error:
            raise FailedPrecondition(
                f"the tables of {package} were made by a newer posology; run that one ({error})"
            ) from error


def _is_ahead(script: ScriptDirectory, current: tuple[str, ...]) -> bool:
    """Whether the database is at later revisions of the lines that this code knows."""
    known = {revision.revision for revision in script.walk_revisions()}
    newer = [revision for revision in current if revision not in known]
    lines = {_line(revision) for revision in script.get_heads()}
    return bool(newer) and all(_line(revision) in lines for revision in newer)


def _line(revision: str) -> str:
    """`jobs` of `jobs_0002`; a name of another form is a line of its own."""
    line, _, number = revision.rpartition("_")
    return line if number.isdigit() else revision
