"""Each service's role owns its schemas in a real PostgreSQL, and reads, writes and makes nothing elsewhere."""

import re

import psycopg
import pytest
from sqlalchemy import URL, make_url, text
from support.servers import REPOSITORY, Postgres

from posology.core.errors import InvalidInput
from posology.core.store import Database
from posology.operator.database_roles import OF_SERVICE, SCHEMAS, ServiceRole, grant, roles_of

ROLES = [ServiceRole(f"t_{service}", "pass'w%ord", schemas) for service, schemas in SCHEMAS.items()]
AUDIT = "posology.core.audit"


@pytest.fixture
def admin(postgres: Postgres) -> str:
    """The URL of a new database, as its superuser."""
    return postgres.url()


def url_of(admin: str, role: ServiceRole) -> URL:
    return make_url(admin).set(username=role.name, password=role.password)


def connection(admin: str, role: ServiceRole) -> psycopg.Connection:
    url = url_of(admin, role).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(url, autocommit=True)


def refused(admin: str, role: ServiceRole, *statements: str) -> list[str]:
    """The statements that went through all the same."""
    through = []
    with connection(admin, role) as open_connection:
        for statement in statements:
            try:
                open_connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                continue
            through.append(statement)
    return through


async def test_services_migrate_and_work_as_their_roles(admin: str) -> None:
    grant(admin, ROLES)
    for role in ROLES:
        for schema in role.schemas:
            db = Database(url_of(admin, role).render_as_string(hide_password=False), schema=schema)
            await db.migrate(AUDIT, "posology.core.jobs", f"posology.{schema}")
            async with db.begin() as tx:
                await tx.execute(text("create table own (a int)"))
                await tx.execute(text("insert into own values (1)"))
            await db.close()


async def test_a_stolen_role_reaches_no_other_schema(admin: str) -> None:
    grant(admin, ROLES)
    with connection(admin, ROLES[-1]) as victim:
        victim.execute("create table gateway.keys (k text)")
    assert ROLES[-1].schemas == ("gateway",)
    thief = ROLES[1]
    assert (
        refused(
            admin,
            thief,
            "select * from gateway.keys",
            "insert into gateway.keys values ('x')",
            "delete from gateway.keys",
            "truncate gateway.keys",
            "drop table gateway.keys",
            "alter table gateway.keys add column mine int",
            "create table gateway.mine (a int)",
            "create schema mine",
            "create table public.mine (a int)",
            "create temporary table mine (a int)",
            "drop schema gateway cascade",
            "alter schema gateway owner to t_curation",
            "set role t_gateway",
            "create role mine",
            "alter role t_gateway password 'mine'",
            "grant t_gateway to t_curation",
            "create function gateway.f() returns int language sql as 'select 1'",
            "create trigger t before insert on gateway.keys execute function suppress_redundant_updates_trigger()",
            "copy gateway.keys to program 'cat'",
            "copy (select 1) to '/tmp/mine'",
            "select pg_read_file('/etc/passwd')",
            "do $$ begin lock table gateway.keys; end $$",
            "comment on table gateway.keys is 'mine'",
            "grant all on schema gateway to public",
        )
        == []
    )


async def test_tables_of_a_shared_role_become_their_service_s(admin: str) -> None:
    """As an installation before this had them: every service as the superuser."""
    db = Database(admin, schema="training")
    await db.migrate(AUDIT, "posology.core.jobs")
    async with db.begin() as tx:
        for statement in (
            "create type training.kind as enum ('a')",
            "create table training.numbered (id serial primary key, k training.kind)",
            "create sequence training.apart",
            "create view training.seen as select id from training.numbered",
        ):
            await tx.execute(text(statement))
    grant(admin, ROLES)
    [training] = [role for role in ROLES if role.schemas == ("training",)]
    with connection(admin, training) as own:
        others = own.execute(
            "select relname from pg_class where relnamespace = 'training'::regnamespace and"
            " pg_get_userbyid(relowner) <> current_user"
        ).fetchall()
        assert others == []
        own.execute("insert into training.numbered (k) values ('a')")
        own.execute("select nextval('training.apart')")
    async with db.begin() as tx:  # pods of the release before go on until they are replaced
        await tx.execute(text("insert into training.numbered (k) values ('a')"))
    await db.close()


async def test_a_second_run_changes_nothing_but_a_password(admin: str) -> None:
    grant(admin, ROLES)
    grant(admin, ROLES)
    changed = ServiceRole(ROLES[0].name, "another", ROLES[0].schemas)
    grant(admin, [changed])
    with connection(admin, changed) as own:
        own.execute("create table orchestrator.a (a int)")
    grant(admin, ROLES)


def test_urls_of_services_say_which_roles_there_are() -> None:
    url = "postgresql+psycopg://posology_{0}:p%40ss@db:5432/posology"
    environment = {f"{OF_SERVICE}{name.upper()}": url.format(name) for name in SCHEMAS}
    roles = roles_of(environment)
    assert {role.name for role in roles} == {f"posology_{name}" for name in SCHEMAS}
    assert {role.password for role in roles} == {"p@ss"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OPERATOR": "postgresql://a:b@db/x"}, "of no service that keeps data"),
        ({"CURATION": "postgresql://db/x"}, "a role and its password"),
        ({"CURATION": "postgresql://a@db/x"}, "a role and its password"),
        ({"CURATION": "postgresql://a:b@db/x", "GATEWAY": "postgresql://a:b@db/x"}, "each needs its own"),
    ],
)
def test_what_would_be_no_role_per_service_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        roles_of({f"{OF_SERVICE}{name}": value for name, value in variables.items()})


def test_what_the_documentation_says_in_sql_works(admin: str) -> None:
    page = (REPOSITORY / "docs" / "kubernetes" / "production.md").read_text()
    [block] = re.findall(r"```sql\n(.*?)```", page, re.S)
    database = make_url(admin).database
    statements = block.replace("database posology", f'database "{database}"').replace("posology_gateway", "doc_gateway")
    with psycopg.connect(make_url(admin).set(drivername="postgresql").render_as_string(), autocommit=True) as owner:
        owner.execute("drop role if exists doc_gateway")
        owner.execute("create schema curation")
        owner.execute("create table curation.a (a int)")
        owner.execute(statements.encode())
    role = ServiceRole("doc_gateway", "PASSWORD", ["gateway"])
    with connection(admin, role) as own:
        own.execute("create table gateway.a (a int)")
    assert (
        refused(admin, role, "select * from curation.a", "create schema mine", "create table public.mine (a int)") == []
    )
