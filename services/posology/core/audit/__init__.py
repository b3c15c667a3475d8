"""A service's audit trail: every change leaves an entry in its own transaction, chained by hashes.

Who may edit the database can rewrite the whole chain; who holds an older `Head` (each verdict carries one)
finds that out. `await db.migrate("posology.core.audit")` makes the table.
"""

from posology.core.audit.chain import GENESIS, Entry, Head, verify_chain
from posology.core.audit.trail import append, entries, head

__all__ = ["GENESIS", "Entry", "Head", "append", "entries", "head", "verify_chain"]
