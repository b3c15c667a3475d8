"""A role of PostgreSQL for each service, which owns its own schemas and sees no other's.

`python -m posology.operator.database_roles`, run by the chart beside the services, as a role that may make roles
(POSOLOGY_DATABASE_ADMIN_URL). It is told the URL that each service will use, which names role and password
(POSOLOGY_DATABASE_URL_CURATION and so on). It changes what is not so yet, also the owner of tables that a shared role
made before.
"""

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from posology.core import telemetry
from posology.core.errors import InvalidInput, PosologyError, Unavailable

log = logging.getLogger("posology.credentials")
ADMIN, OF_SERVICE = "POSOLOGY_DATABASE_ADMIN_URL", "POSOLOGY_DATABASE_URL_"
SCHEMAS: Mapping[str, Sequence[str]] = {
    "orchestrator": ("orchestrator", "catalog"),
    "curation": ("curation",),
    "training": ("training",),
    "evaluation": ("evaluation",),
    "serving": ("serving",),
    "gateway": ("gateway",),
}
"""Service -> schemas; the catalog lives in the orchestrator's process."""
_PATIENCE_SECONDS, _PAUSE_SECONDS = 180.0, 2.0
_LOCK = "posology:roles"


@dataclass(frozen=True)
class ServiceRole:
    """The role of one service."""

    name: str
    password: str
    schemas: Sequence[str]


def roles_of(environment: Mapping[str, str]) -> list[ServiceRole]:
    """The roles that the URLs of services name.

    Raises:
        InvalidInput: a variable names no service, or its URL no role and password, or two services share a role.
    """
    roles: dict[str, ServiceRole] = {}
    for variable in sorted(name for name in environment if name.startswith(OF_SERVICE)):
        service = variable.removeprefix(OF_SERVICE).lower()
        if service not in SCHEMAS:
            raise InvalidInput(f"{variable} is of no service that keeps data; they are {', '.join(sorted(SCHEMAS))}")
        url = make_url(environment[variable])
        if not url.username or not url.password:
            raise InvalidInput(f"{variable} must name a role and its password")
        if url.username in roles:
            raise InvalidInput(f"{variable} names {url.username}, which is another service's role; each needs its own")
        roles[url.username] = ServiceRole(url.username, str(url.password), SCHEMAS[service])
    return list(roles.values())


def grant(admin_url: str, roles: Sequence[ServiceRole]) -> None:
    """All in one transaction; a second run changes nothing. Blocking."""
    with _connection(admin_url) as connection, connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (_LOCK,))
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("revoke all on database {} from public").format(database))
        connection.execute("revoke all on schema public from public")
        for role in roles:
            _make(connection, role, database)
            for schema in role.schemas:
                _own(connection, role, schema)


def _make(connection: psycopg.Connection, role: ServiceRole, database: sql.Composable) -> None:
    exists = connection.execute("select 1 from pg_roles where rolname = %s", (role.name,)).fetchone()
    verb = sql.SQL("alter" if exists else "create")
    name, password = sql.Identifier(role.name), sql.Literal(role.password)
    rights = sql.SQL("login nosuperuser nocreatedb nocreaterole noreplication password")
    connection.execute(sql.SQL("{} role {} {} {}").format(verb, name, rights, password))
    connection.execute(sql.SQL("grant connect on database {} to {}").format(database, name))
    # Whoever gives a schema away must be of its new owner, unless a superuser does it.
    connection.execute(sql.SQL("grant {} to current_user").format(name))


def _own(connection: psycopg.Connection, role: ServiceRole, schema: str) -> None:
    """The schema and all that is in it, with whatever a shared role left there."""
    name, owner = sql.Identifier(schema), sql.Identifier(role.name)
    connection.execute(sql.SQL("create schema if not exists {} authorization {}").format(name, owner))
    connection.execute(sql.SQL("alter schema {} owner to {}").format(name, owner))
    connection.execute(sql.SQL("revoke all on schema {} from public").format(name))
    for kind, relation in _foreign(connection, role, schema):
        statement = sql.SQL("alter {} {} owner to {}")
        connection.execute(statement.format(sql.SQL(kind), sql.Identifier(schema, relation), owner))


def _foreign(connection: psycopg.Connection, role: ServiceRole, schema: str) -> list[tuple[str, str]]:
    """What another role owns there: tables take their indexes and their own sequences along."""
    rows = connection.execute(
        """
        select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
               else 'table' end, c.relname
        from pg_class c
        where c.relnamespace = %(schema)s::regnamespace and pg_get_userbyid(c.relowner) <> %(owner)s
          and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and not exists (
            select 1 from pg_depend d where d.objid = c.oid and c.relkind = 'S' and d.deptype in ('a', 'i'))
        union all
        select 'type', t.typname from pg_type t
        where t.typnamespace = %(schema)s::regnamespace and pg_get_userbyid(t.typowner) <> %(owner)s
          and t.typtype in ('e', 'd')
        """,
        {"schema": f'"{schema}"', "owner": role.name},
    ).fetchall()
    return [(str(kind), str(relation)) for kind, relation in rows]


def _connection(admin_url: str) -> psycopg.Connection:
    """A PostgreSQL that starts at the same moment is waited for."""
    url = make_url(admin_url).set(drivername="postgresql").render_as_string(hide_password=False)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                reason = " ".join(str(error).split())
                raise Unavailable(f"the database does not take our connection: {reason}") from None
            time.sleep(_PAUSE_SECONDS)


def main() -> None:
    """Entry point of the process."""
    telemetry.log_as_json("database-roles")
    try:
        if ADMIN not in os.environ:
            raise InvalidInput(f"{ADMIN} is not set: the URL of a role that may make roles")
        roles = roles_of(os.environ)
        grant(os.environ[ADMIN], roles)
    except PosologyError as error:
        sys.exit(error.message)
    except psycopg.Error as error:
        sys.exit(f"the roles were not made: {' '.join(str(error).split())}")
    log.info("each service has its role", extra={"roles": [role.name for role in roles]})


if __name__ == "__main__":
    main()
