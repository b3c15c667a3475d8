"""Evaluation's own tables, beside those of jobs and audit."""

from sqlalchemy import Column, Index, MetaData, Table, Text

from posology.core.store import Json, UtcDateTime

metadata = MetaData()

base_scores = Table(
    "base_scores",
    metadata,
    Column("key", Text, primary_key=True),  # digest over base model, suite and engine as asked for
    Column("artifact", Text, nullable=False),  # the evaluation that holds the items
    Column("created", UtcDateTime, nullable=False),
)

holdout_uses = Table(
    "holdout_uses",
    metadata,
    Column("suite", Text, primary_key=True),  # digest of the suite's bytes
    Column("verdict", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("evaluation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("gates", Json(), nullable=False),
    Column("envelope", Json(), nullable=False),
    Column("artifact", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Index("verdicts_model", "namespace", "model", "created", "name"),
    Index("verdicts_created", "namespace", "created", "name"),
)
