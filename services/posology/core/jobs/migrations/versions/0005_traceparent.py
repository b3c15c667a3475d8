"""Where in a trace a job was made: the span that its own is below."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0005"
down_revision = "jobs_0004"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("traceparent", sa.Text, nullable=False, server_default=""))
