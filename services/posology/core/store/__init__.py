"""SQL for every service: one code for SQLite (embedded) and PostgreSQL (cluster)."""

from posology.core.store.clock import now
from posology.core.store.columns import Json, UtcDateTime
from posology.core.store.database import Database, Transaction
from posology.core.store.failures import is_duplicate

__all__ = ["Database", "Json", "Transaction", "UtcDateTime", "is_duplicate", "now"]
