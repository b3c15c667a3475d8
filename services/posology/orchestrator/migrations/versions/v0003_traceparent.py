"""Where in a trace a run was submitted: the span that its own is below."""

import sqlalchemy as sa
from alembic import op

revision = "orchestrator_0003"
down_revision = "orchestrator_0002"


def upgrade() -> None:
    op.add_column("runs", sa.Column("traceparent", sa.Text, nullable=False, server_default=""))
