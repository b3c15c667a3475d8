"""Serving's tables: deployments and their replicas."""

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text

from posology.core.store import Json, UtcDateTime

metadata = MetaData()

deployments = Table(
    "deployments",
    metadata,
    Column("namespace", String(63), primary_key=True),
    Column("id", String(63), primary_key=True),
    Column("model", String(80), nullable=False),
    Column("verdict", String(80), nullable=False),
    Column("plan", Json(), nullable=False),
    Column("engine", Json(), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("run", String(300), nullable=False),
    Column("dataset", String(300), nullable=False),
    Column("goal", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("traffic", Integer, nullable=False),
    Column("promoted", Boolean, nullable=False),
    Column("step_at", UtcDateTime),
    Column("ready_at", UtcDateTime),
    Column("replaced", String(63), nullable=False),
    Column("token", String(100), nullable=False),
    Column("request_id", String(128)),
    Column("autoscaling", Json()),
    Column("scale", Json()),
    Column("policy", Text),
    Index("deployments_by_request", "namespace", "request_id", unique=True),
    Index("deployments_by_time", "namespace", "created_at", "id"),
    Index("deployments_by_state", "state"),
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("deployment", String(300), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("url", String(300), nullable=False),
    Column("restarts", Integer, nullable=False),
    Column("start_at", UtcDateTime),
    Column("launched_at", UtcDateTime),
    Column("stop_at", UtcDateTime),
    Index("replicas_by_deployment", "deployment"),
)
