"""What a database's failure means to the caller, in the words of the one error tree."""

from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from posology.core.errors import Conflict, DataCorrupt, Exhausted, PosologyError, Unavailable

_UNIQUE_VIOLATION = "23505"
_DISK_FULL = {"53100", "53200", "53300"}  # disk, memory, connections
_LOST_RACE = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout


def is_duplicate(error: IntegrityError) -> bool:
    """True if a unique or primary key was already there (and not, say, a foreign key missing)."""
    code = _sqlstate(error)
    if code:
        return code == _UNIQUE_VIOLATION
    name = getattr(error.orig, "sqlite_errorname", "") or ""
    return name in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"}


def translate(error: DBAPIError | PoolTimeout) -> PosologyError | None:
    """The class that tells the caller what to do; None where the SQL itself is at fault (a defect)."""
    if isinstance(error, PoolTimeout):
        return Exhausted("all database connections are busy; try again or raise the pool size")
    if isinstance(error, IntegrityError):
        return None
    code = _sqlstate(error)
    return _translate_postgresql(error, code) if code else _translate_other(error)


def _translate_postgresql(error: DBAPIError, code: str) -> PosologyError | None:
    if code in _DISK_FULL:
        return Exhausted(f"the database has no room left: {_reason(error)}")
    if code in _LOST_RACE:
        return Conflict(f"another transaction was first: {_reason(error)}")
    if code.startswith(("08", "57P", "3D", "28")):
        return Unavailable(f"the database does not take our connection: {_reason(error)}")
    if code.startswith("XX"):
        return DataCorrupt(f"the database reports damage: {_reason(error)}")
    return None


def _translate_other(error: DBAPIError) -> PosologyError | None:
    reason = _reason(error)
    if "disk is full" in reason:
        return Exhausted(f"the disk of the database is full: {reason}")
    if "malformed" in reason or "not a database" in reason:
        return DataCorrupt(f"the database file is damaged; restore it from a backup: {reason}")
    if "locked" in reason or "busy" in reason:
        return Conflict(f"another process holds the database: {reason}")
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return Unavailable(f"the database went away: {reason}")
    if isinstance(error, OperationalError) and ("unable to open" in reason or "connect" in reason):
        return Unavailable(f"the database can't be opened: {reason}")
    return None


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _reason(error: DBAPIError) -> str:
    cause: Any = error.orig
    return " ".join(str(cause).split())
