"""The gateway's tables: keys, answers, and the last snapshot of the routes."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

from posology.core.store import Json, UtcDateTime

metadata = MetaData()

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("namespace", String(63), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("requests_per_minute", Integer, nullable=False),
    Column("concurrent_requests", Integer, nullable=False),
    Column("max_tokens", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("request_id", String(200)),
    Index("api_keys_by_request", "namespace", "request_id", unique=True),
)

answers = Table(
    "answers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("namespace", String(63), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("model", String(200), nullable=False),
    Column("deployment", String(300), nullable=False),
    Column("agent", String(300), nullable=False),
    Column("model_digest", String(80), nullable=False),
    Column("verdict_digest", String(80), nullable=False),
    Column("run", String(300), nullable=False),
    Column("dataset", String(300), nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("prompt_hash", String(80), nullable=False),
    Column("prompt", Text),
    Column("state", String(16), nullable=False),
    Column("answer_hash", String(80), nullable=False),
    Column("text", Text),
    Column("finish_reason", String(100), nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("erased_at", UtcDateTime),
    Index("answers_by_time", "namespace", "created_at", "id"),
    Index("answers_by_model", "model_digest", "created_at"),
    Index("answers_running", "state", "created_at"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("routes", Json(), nullable=False),
    Column("taken_at", UtcDateTime, nullable=False),
)

key_uses = Table(
    "key_uses",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("refilled_at", UtcDateTime, nullable=False),
    Column("running", Text, nullable=False),
)
