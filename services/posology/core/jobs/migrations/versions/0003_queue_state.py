"""Where a job's worker stands in the queue that shares a cluster out."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0003"
down_revision = "jobs_0002"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queue_state", sa.Text))
