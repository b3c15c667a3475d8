"""Signed statements."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import Json, UtcDateTime

revision = "training_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "statements",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("envelope", Json(), nullable=False),
        sa.Column("signed_at", UtcDateTime, nullable=False),
    )
