"""Jobs, their attempts and their events."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import Json, UtcDateTime

revision = "jobs_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("spec", Json(), nullable=False),
        sa.Column("spec_digest", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("trace", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("wake_at", UtcDateTime, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("progress_sequence", sa.BigInteger, nullable=False),
        sa.Column("progress", Json()),
        sa.Column("error", Json()),
        sa.Column("product", Json()),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("cleaned", sa.Boolean, nullable=False),
    )
    op.create_index("jobs_request", "jobs", ["namespace", "kind", "request_id"], unique=True)
    op.create_index("jobs_listing", "jobs", ["namespace", "kind", "created_at", "name"])
    op.create_index("jobs_open", "jobs", ["state", "wake_at"])
    _partial_index("jobs_dirty", "jobs", ["state"], "not cleaned")
    op.create_table(
        "job_attempts",
        sa.Column("job", sa.Text, sa.ForeignKey("jobs.name"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("handle", Json()),
        sa.Column("launched_at", UtcDateTime, nullable=False),
        sa.Column("attached_at", UtcDateTime),
        sa.Column("heartbeat_at", UtcDateTime, nullable=False),
        sa.Column("stop_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("outcome", sa.Text),
        sa.Column("exit_code", sa.Integer),
        sa.Column("gone_at", UtcDateTime),
        sa.Column("acknowledged", sa.BigInteger, nullable=False),
    )
    _partial_index("job_attempts_alive", "job_attempts", ["job"], "gone_at is null")
    op.create_table(
        "job_events",
        sa.Column("job", sa.Text, sa.ForeignKey("jobs.name"), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", Json(), nullable=False),
    )


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
