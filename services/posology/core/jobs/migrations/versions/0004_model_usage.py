"""What attempts used of model endpoints; no foreign key, because it outlives the jobs."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import UtcDateTime

revision = "jobs_0004"
down_revision = "jobs_0003"


def upgrade() -> None:
    op.create_table(
        "model_usage",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
