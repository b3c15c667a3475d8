"""The catalog's tables: artifacts, the edges between them, and pins."""

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

from posology.core.store import Json, UtcDateTime

metadata = MetaData()

artifacts = Table(
    "artifacts",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("producer", Text, nullable=False),
    Column("parameters", Json(), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("quarantine_reason", Text, nullable=False),
    Index("artifacts_created", "namespace", "created", "digest"),
)

edges = Table(
    "edges",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("child", Text, primary_key=True),
    Column("parent", Text, primary_key=True),
    Index("edges_parent", "namespace", "parent"),
)

pins = Table(
    "pins",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("created", UtcDateTime, nullable=False),
)

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Index("withdrawals_digest", "digest", unique=True),
)
"""By digest, for every namespace; rows are only added."""

namespace_withdrawals = Table(
    "namespace_withdrawals",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)
"""By digest, for one namespace: what others have too, and nobody withdrew for all; rows are only added."""

deny_lists = Table(
    "deny_lists",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("envelope", Json(), nullable=False),
    Column("created", UtcDateTime, nullable=False),
)
"""Every signed deny-list; the one with the largest number counts. Rows are only added."""
