"""Runs, their stages and their events."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import Json, UtcDateTime

revision = "orchestrator_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("spec", Json(), nullable=False),
        sa.Column("spec_sha256", sa.Text, nullable=False),
        sa.Column("labels", Json(), nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("cancel_reason", sa.Text, nullable=False),
        sa.Column("approvals", Json(), nullable=False),
        sa.Column("reductions", sa.Integer, nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
        sa.Column("ended", UtcDateTime),
        sa.Column("wake_at", UtcDateTime),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("namespace", "run_id"),
    )
    op.create_index("runs_wake_at", "runs", ["wake_at"])
    op.create_index("runs_request_id", "runs", ["namespace", "request_id"])
    op.create_index("runs_created", "runs", ["namespace", "created", "uid"])
    op.create_table(
        "stages",
        sa.Column("uid", sa.Text, sa.ForeignKey("runs.uid"), primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("reused", sa.Boolean, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("input_digest", sa.Text, nullable=False),
        sa.Column("progress", Json()),
        sa.Column("error", Json()),
        sa.Column("started", UtcDateTime),
        sa.Column("ended", UtcDateTime),
        sa.Column("retry_at", UtcDateTime),
        sa.Column("details", Json(), nullable=False),
    )
    op.create_index("stages_input_digest", "stages", ["stage", "input_digest"])
    op.create_index("stages_resource", "stages", ["resource"])
    op.create_table(
        "run_events",
        sa.Column("uid", sa.Text, sa.ForeignKey("runs.uid"), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
