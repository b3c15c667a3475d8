"""Signed deny-lists, each with a number that never goes back."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import Json, UtcDateTime

revision = "catalog_0003"
down_revision = "catalog_0002"


def upgrade() -> None:
    op.create_table(
        "deny_lists",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("envelope", Json(), nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
