"""Migrations run once, whole or not at all, however many replicas start at the same time."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, text
from support.servers import Postgres

from posology.core.errors import FailedPrecondition
from posology.core.store import Database

FIRST = """
import sqlalchemy as sa
from alembic import op
revision = "one"
down_revision = None
def upgrade():
    op.create_table("thing", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("insert into thing (id) values (1)")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision = "two"
down_revision = "one"
def upgrade():
    with op.batch_alter_table("thing") as table:
        table.add_column(sa.Column("name", sa.Text, nullable=False, server_default="x"))
"""
BROKEN = """
from alembic import op
revision = "three"
down_revision = "two"
def upgrade():
    op.execute("create table half (id integer)")
    op.execute("this is no sql")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes an importable package with these migrations."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, *revisions: str) -> str:
        folder = tmp_path / name / "migrations/versions"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "__init__.py").touch()
        for number, revision in enumerate(revisions, 1):
            (folder / f"v{number:04}.py").write_text(revision)
        return name

    return make


def replicas(command: list[str]) -> "list[subprocess.Popen[bytes]]":
    return [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(3)]


async def tables(db: Database) -> set[str]:
    kinds = {
        "sqlite": "select name from sqlite_master where type = 'table'",
        "postgresql": "select tablename from pg_tables where schemaname = current_schema()",
    }
    async with db.read() as tx:
        return set((await tx.execute(text(kinds[db.kind]))).scalars())


async def test_a_new_revision_keeps_the_rows(database: Database, package: Callable[..., str]) -> None:
    await database.migrate(package("alpha", FIRST))
    await database.migrate(package("alpha", FIRST, SECOND))
    async with database.read() as tx:
        assert (await tx.execute(text("select id, name from thing"))).all() == [(1, "x")]
    thing = Table("thing", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text, nullable=False))
    assert await database.drift(thing.metadata) == []


async def test_drift_between_tables_and_migrations_is_said(database: Database, package: Callable[..., str]) -> None:
    await database.migrate(package("beta", FIRST))
    other = Table("thing", MetaData(), Column("id", Integer, primary_key=True), Column("lost", Text))
    assert any("lost" in change for change in await database.drift(other.metadata))


async def test_a_failed_migration_leaves_nothing(database: Database, package: Callable[..., str]) -> None:
    with pytest.raises(Exception, match="this"):
        await database.migrate(package("gamma", FIRST, SECOND, BROKEN))
    async with database.begin() as tx:
        if database.schema:  # even the schema is undone
            await tx.execute(text(f"create schema {database.schema}"))
    assert await tables(database) == set()


async def test_a_database_of_a_newer_version_is_refused(database: Database, package: Callable[..., str]) -> None:
    await database.migrate(package("delta", FIRST, SECOND))
    async with database.begin() as tx:
        await tx.execute(text("update migrated_delta set version_num = 'from-the-future'"))
    with pytest.raises(FailedPrecondition, match="made by a newer posology"):
        await database.migrate("delta")


def renamed(revision: str, **names: str) -> str:
    for old, new in names.items():
        revision = revision.replace(f'"{old}"', f'"{new}"')
    return revision


async def test_code_that_is_rolled_back_starts_on_the_newer_tables(
    database: Database, package: Callable[..., str]
) -> None:
    old = renamed(FIRST, one="theta_0001")
    new = renamed(SECOND, one="theta_0001", two="theta_0002")
    await database.migrate(package("theta_new", old, new))
    async with database.begin() as tx:
        await tx.execute(text("alter table migrated_theta_new rename to migrated_theta"))
    await database.migrate(package("theta", old))
    async with database.begin() as tx:
        await tx.execute(text("insert into thing (id) values (2)"))  # as code that does not know the new column
        assert (await tx.execute(text("select version_num from migrated_theta"))).scalars().all() == ["theta_0002"]
    package("theta", old, new)
    await database.migrate("theta")
    async with database.read() as tx:
        assert (await tx.execute(text("select id, name from thing order by id"))).all() == [(1, "x"), (2, "x")]


async def test_tables_that_older_code_could_not_bear_are_refused_by_it(
    database: Database, package: Callable[..., str]
) -> None:
    await database.migrate(package("iota", renamed(FIRST, one="iota_0001")))
    async with database.begin() as tx:
        await tx.execute(text("update migrated_iota set version_num = 'iotaB_0002'"))
    with pytest.raises(FailedPrecondition, match="made by a newer posology"):
        await database.migrate("iota")


async def test_two_databases_migrate_at_once_in_one_process(
    tmp_path: Path, postgres: Postgres, package: Callable[..., str]
) -> None:
    package("epsilon", FIRST, SECOND)
    url = postgres.url()
    opened = [Database(f"sqlite:///{tmp_path}/{i}.sqlite") for i in range(3)]
    opened += [Database(url, schema=f"service{i}") for i in range(3)]
    await asyncio.gather(*(db.migrate("epsilon") for db in opened * 2))
    for db in opened:
        assert await tables(db) == {"thing", "migrated_epsilon"}
        await db.close()


async def test_replicas_that_start_together_migrate_once(
    database: Database, database_url: str, tmp_path: Path, package: Callable[..., str]
) -> None:
    package("zeta", FIRST, SECOND)
    program = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[2]);"
        "from posology.core.store import Database; sys.stdin.read(1);"
        "asyncio.run(Database(sys.argv[1], schema='service').migrate('zeta', 'posology.core.audit'))"
    )
    command = [sys.executable, "-c", program, database_url, str(tmp_path)]
    started = replicas(command)
    for process in started:
        await asyncio.to_thread(process.communicate, b"x")
    assert [process.returncode for process in started] == [0] * 3
    assert await tables(database) == {"thing", "migrated_zeta", "audit", "migrated_audit"}


async def test_a_role_that_may_not_create_schemas_uses_the_one_made_for_it(
    postgres: Postgres, package: Callable[..., str]
) -> None:
    package("eta", FIRST)
    url = postgres.url()
    admin = Database(url)
    async with admin.begin() as tx:
        for command in (
            "drop role if exists plain",
            "create role plain login",
            "create schema service authorization plain",
        ):
            await tx.execute(text(command))
    await admin.close()
    plain = Database(url.replace("posology@", "plain@"), schema="service")
    await plain.migrate("eta")
    assert await tables(plain) == {"thing", "migrated_eta"}
    await plain.close()
