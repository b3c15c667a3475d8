"""Keys, answers, and the last snapshot of the routes."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import Json, UtcDateTime

revision = "gateway_0001"
down_revision = None


def upgrade() -> None:
    _api_keys()
    _answers()
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("routes", Json(), nullable=False),
        sa.Column("taken_at", UtcDateTime, nullable=False),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("requests_per_minute", sa.Integer, nullable=False),
        sa.Column("concurrent_requests", sa.Integer, nullable=False),
        sa.Column("max_tokens", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.Column("request_id", sa.String(200)),
    )
    op.create_index("api_keys_by_request", "api_keys", ["namespace", "request_id"], unique=True)


def _answers() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("deployment", sa.String(300), nullable=False),
        sa.Column("agent", sa.String(300), nullable=False),
        sa.Column("model_digest", sa.String(80), nullable=False),
        sa.Column("verdict_digest", sa.String(80), nullable=False),
        sa.Column("run", sa.String(300), nullable=False),
        sa.Column("dataset", sa.String(300), nullable=False),
        sa.Column("streamed", sa.Boolean, nullable=False),
        sa.Column("prompt_hash", sa.String(80), nullable=False),
        sa.Column("prompt", sa.Text),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer_hash", sa.String(80), nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("finish_reason", sa.String(100), nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("latency_ms", sa.Float, nullable=False),
    )
    op.create_index("answers_by_time", "answers", ["namespace", "created_at", "id"])
    op.create_index("answers_by_model", "answers", ["model_digest", "created_at"])
    op.create_index("answers_running", "answers", ["state", "created_at"])
