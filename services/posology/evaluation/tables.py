"""Evaluation's own tables, beside those of jobs and audit."""

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, Table, Text

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
    Column("weights", Text),  # digest of the weight files; null in rows from before it was kept
    Column("created", UtcDateTime, nullable=False),
    Index("verdicts_model", "namespace", "model", "created", "name"),
    Index("verdicts_created", "namespace", "created", "name"),
    Index("verdicts_weights", "weights"),
)


suite_tries = Table(
    "suite_tries",
    metadata,
    Column("evaluation", Text, primary_key=True),
    Column("suite", Text, primary_key=True),  # digest of the suite's bytes
    Column("root", Text, nullable=False),  # digest over the weight files of what gates compare with
    Column("namespace", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("weights", Text, nullable=False),  # digest over the candidate's weight files
    Column("number", Integer, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Index("suite_tries_number", "suite", "root", "namespace", "model_name", "number", unique=True),
    Index("suite_tries_weights", "weights", "suite"),
)

failures = Table(
    "failures",
    metadata,
    Column("file", Text, primary_key=True),  # hex sha256 of a weight file
    Column("verdict", Text, primary_key=True),
    Column("created", UtcDateTime, nullable=False),
    Column("everywhere", Boolean, nullable=True),  # False: in the verdict's namespace only; null is from before
    Index("failures_verdict", "verdict"),
)

made_weights = Table(
    "made_weights",
    metadata,
    Column("file", Text, primary_key=True),  # hex sha256 of a weight file that a run made
    Column("artifact", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

tuned_files = Table(
    "tuned_files",
    metadata,
    Column("file", Text, primary_key=True),  # hex sha256 of a weight file that the root does not have
    Column("artifact", Text, primary_key=True),  # a model that a run tuned from the root, without a model in between
    Column("root", Text, nullable=False),  # digest over the weight files of the root
    Index("tuned_files_artifact", "artifact"),
)
