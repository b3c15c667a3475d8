"""Which process an attempt belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0002"
down_revision = "jobs_0001"


def upgrade() -> None:
    op.add_column("job_attempts", sa.Column("process", sa.Text))
