"""What a namespace withdrew for itself alone."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import UtcDateTime

revision = "catalog_0004"
down_revision = "catalog_0003"


def upgrade() -> None:
    op.create_table(
        "namespace_withdrawals",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
