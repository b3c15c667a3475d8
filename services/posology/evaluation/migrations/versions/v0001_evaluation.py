"""Verdicts, uses of holdout suites, and where the base's scores lie."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import Json, UtcDateTime

revision = "evaluation_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "base_scores",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
    op.create_table(
        "holdout_uses",
        sa.Column("suite", sa.Text, primary_key=True),
        sa.Column("verdict", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
    op.create_table(
        "verdicts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("evaluation", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("gates", Json(), nullable=False),
        sa.Column("envelope", Json(), nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
    op.create_index("verdicts_model", "verdicts", ["namespace", "model", "created", "name"])
    op.create_index("verdicts_created", "verdicts", ["namespace", "created", "name"])
