"""Tries of a suite, what was said against weight files, and which weight files runs made."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import UtcDateTime

revision = "evaluation_0002"
down_revision = "evaluation_0001"


def upgrade() -> None:
    op.create_table(
        "suite_tries",
        sa.Column("evaluation", sa.Text, primary_key=True),
        sa.Column("suite", sa.Text, primary_key=True),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("weights", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
    names = ["suite", "root", "namespace", "model_name", "number"]
    op.create_index("suite_tries_number", "suite_tries", names, unique=True)
    op.create_index("suite_tries_weights", "suite_tries", ["weights", "suite"])
    op.create_table(
        "failures",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("verdict", sa.Text, primary_key=True),
        sa.Column("created", UtcDateTime, nullable=False),
    )
    op.create_index("failures_verdict", "failures", ["verdict"])
    op.create_table(
        "made_weights",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
    )
