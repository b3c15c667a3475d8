"""Artifacts, edges, pins."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import Json, UtcDateTime

revision = "catalog_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("parameters", Json(), nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
        sa.Column("quarantine_reason", sa.Text, nullable=False),
    )
    op.create_index("artifacts_created", "artifacts", ["namespace", "created", "digest"])
    op.create_table(
        "edges",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("child", sa.Text, primary_key=True),
        sa.Column("parent", sa.Text, primary_key=True),
    )
    op.create_index("edges_parent", "edges", ["namespace", "parent"])
    op.create_table(
        "pins",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("created", UtcDateTime, nullable=False),
    )
