"""The orchestrator's tables."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

from posology.core.store import Json, UtcDateTime

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("uid", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("spec", Json(), nullable=False),
    Column("spec_sha256", Text, nullable=False),
    Column("labels", Json(), nullable=False),
    Column("phase", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("cancel_reason", Text, nullable=False),
    Column("approvals", Json(), nullable=False),
    Column("reductions", Integer, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("wake_at", UtcDateTime),  # null = nothing to do until somebody wakes it
    Column("lease_until", UtcDateTime),
    Column("version", BigInteger, nullable=False),  # rises with each claim: the fencing token of a pass
    Column("traceparent", Text, nullable=False, server_default=""),
    UniqueConstraint("namespace", "run_id"),
    Index("runs_wake_at", "wake_at"),
    Index("runs_request_id", "namespace", "request_id"),
    Index("runs_created", "namespace", "created", "uid"),
)

stages = Table(
    "stages",
    metadata,
    Column("uid", Text, ForeignKey("runs.uid"), primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("reused", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("input_digest", Text, nullable=False),
    Column("progress", Json()),
    Column("error", Json()),
    Column("started", UtcDateTime),
    Column("ended", UtcDateTime),
    Column("retry_at", UtcDateTime),
    Column("details", Json(), nullable=False),
    Column("queue_state", Text),
    Index("stages_input_digest", "stage", "input_digest"),
    Index("stages_resource", "resource"),
)

events = Table(
    "run_events",
    metadata,
    Column("uid", Text, ForeignKey("runs.uid"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("stage", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
