"""The audit table; migrations/ makes it, with triggers that refuse to change or delete an entry."""

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

from posology.core.store.columns import UtcDateTime

metadata = MetaData()

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON as text: JSONB would rewrite what was hashed
    Column("previous", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Index("audit_subject", "subject", "seq"),
)
