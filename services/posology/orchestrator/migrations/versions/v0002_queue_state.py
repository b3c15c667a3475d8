"""What the cluster's queue decided about the worker of a stage."""

import sqlalchemy as sa
from alembic import op

revision = "orchestrator_0002"
down_revision = "orchestrator_0001"


def upgrade() -> None:
    op.add_column("stages", sa.Column("queue_state", sa.Text))
