"""What keys use, over all replicas; and when the text of an answer was erased."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import UtcDateTime

revision = "gateway_0002"
down_revision = "gateway_0001"


def upgrade() -> None:
    op.add_column("answers", sa.Column("erased_at", UtcDateTime, nullable=True))
    op.create_table(
        "key_uses",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("tokens", sa.Float, nullable=False),
        sa.Column("refilled_at", UtcDateTime, nullable=False),
        sa.Column("running", sa.Text, nullable=False),
    )
