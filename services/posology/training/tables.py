"""Training's own table: the signed statement about each thing that a job made."""

from sqlalchemy import Column, MetaData, Table, Text

from posology.core.store import Json, UtcDateTime

metadata = MetaData()

statements = Table(
    "statements",
    metadata,
    Column("job", Text, primary_key=True),
    Column("artifact", Text, nullable=False),
    Column("envelope", Json(), nullable=False),
    Column("signed_at", UtcDateTime, nullable=False),
)
