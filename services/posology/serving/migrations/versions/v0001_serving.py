"""Deployments and their replicas."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import Json, UtcDateTime

revision = "serving_0001"
down_revision = None


def upgrade() -> None:
    _deployments()
    _replicas()


def _deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("namespace", sa.String(63), primary_key=True),
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("verdict", sa.String(80), nullable=False),
        sa.Column("plan", Json(), nullable=False),
        sa.Column("engine", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("run", sa.String(300), nullable=False),
        sa.Column("dataset", sa.String(300), nullable=False),
        sa.Column("goal", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("traffic", sa.Integer, nullable=False),
        sa.Column("promoted", sa.Boolean, nullable=False),
        sa.Column("step_at", UtcDateTime),
        sa.Column("ready_at", UtcDateTime),
        sa.Column("replaced", sa.String(63), nullable=False),
        sa.Column("token", sa.String(100), nullable=False),
        sa.Column("request_id", sa.String(128)),
    )
    op.create_index("deployments_by_request", "deployments", ["namespace", "request_id"], unique=True)
    op.create_index("deployments_by_time", "deployments", ["namespace", "created_at", "id"])
    op.create_index("deployments_by_state", "deployments", ["state"])


def _replicas() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("deployment", sa.String(300), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("url", sa.String(300), nullable=False),
        sa.Column("restarts", sa.Integer, nullable=False),
        sa.Column("start_at", UtcDateTime),
        sa.Column("launched_at", UtcDateTime),
        sa.Column("stop_at", UtcDateTime),
    )
    op.create_index("replicas_by_deployment", "replicas", ["deployment"])
