"""Verdicts are looked up by the weight files that they are about."""

import sqlalchemy as sa
from alembic import op

revision = "evaluation_0004"
down_revision = "evaluation_0003"


def upgrade() -> None:
    op.add_column("verdicts", sa.Column("weights", sa.Text))
    op.create_index("verdicts_weights", "verdicts", ["weights"])
