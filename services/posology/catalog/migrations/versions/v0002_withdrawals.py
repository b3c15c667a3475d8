"""Withdrawals by digest, which outlive the artifacts."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import UtcDateTime

revision = "catalog_0002"
down_revision = "catalog_0001"


def upgrade() -> None:
    op.create_table(
        "withdrawals",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
    op.create_index("withdrawals_digest", "withdrawals", ["digest"], unique=True)
