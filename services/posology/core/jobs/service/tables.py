"""Jobs, attempts and events; `await db.migrate("posology.core.jobs")` makes these tables in any service."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

from posology.core.store.columns import Json, UtcDateTime

metadata = MetaData()
_DIRTY = text("not cleaned")

jobs = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("spec", Json(), nullable=False),
    Column("spec_digest", Text, nullable=False),
    Column("request_id", Text),  # null, not "": nulls never collide in the unique index
    Column("creator", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("wake_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("sequence", BigInteger, nullable=False),
    Column("progress_sequence", BigInteger, nullable=False),
    Column("progress", Json()),
    Column("error", Json()),
    Column("product", Json()),
    Column("artifact", Text, nullable=False),
    Column("cleaned", Boolean, nullable=False),
    Column("queue_state", Text),
    Column("traceparent", Text, nullable=False, server_default=""),
    Index("jobs_request", "namespace", "kind", "request_id", unique=True),
    Index("jobs_listing", "namespace", "kind", "created_at", "name"),
    Index("jobs_open", "state", "wake_at"),
    Index("jobs_dirty", "state", sqlite_where=_DIRTY, postgresql_where=_DIRTY),
)

attempts = Table(
    "job_attempts",
    metadata,
    Column("job", Text, ForeignKey("jobs.name"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("token_hash", Text, nullable=False),
    Column("handle", Json()),
    Column("process", Text),
    Column("launched_at", UtcDateTime, nullable=False),
    Column("attached_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("stop_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("outcome", Text),
    Column("exit_code", Integer),
    Column("gone_at", UtcDateTime),
    Column("acknowledged", BigInteger, nullable=False),
    Index(
        "job_attempts_alive",
        "job",
        sqlite_where=text("gone_at is null"),
        postgresql_where=text("gone_at is null"),
    ),
)

events = Table(
    "job_events",
    metadata,
    Column("job", Text, ForeignKey("jobs.name"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", Json(), nullable=False),
)

model_usage = Table(
    "model_usage",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("job", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
