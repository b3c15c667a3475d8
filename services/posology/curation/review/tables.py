"""Reviews, their items and their ratings, and what users said of answers; data sets and preference sets are jobs, whose
tables core.jobs has."""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text

from posology.core.store import UtcDateTime

metadata = MetaData()

reviews = Table(
    "reviews",
    metadata,
    Column("name", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("share", Float, nullable=False),
    Column("max_error_rate", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("reviewers", Integer, nullable=False),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("seed", Integer, nullable=False),
    Column("frame_size", Integer, nullable=False),
    Column("frame_digest", Text, nullable=False),
    Column("planned", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("request_id", Text),  # null, not "": nulls never collide in the unique index
    Column("created", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("artifact", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("settled", UtcDateTime),  # when the last rating settled it; null while something lacks
    Column("task", Text, nullable=False, server_default="RATE_CORRECTNESS"),
    Column("strata", JSON),  # parts of a corrected version; null for other sets
    Column("number", Integer, nullable=False, server_default="1"),  # which try it is
    Column("draws", Integer),  # seed of the sample; null = `seed`
    Index("reviews_frame", "frame_digest"),
    Index("reviews_request", "namespace", "request_id", unique=True),
    Index("reviews_listing", "namespace", "created", "name"),
    Index("reviews_ended", "ended"),
    Index("reviews_state", "state"),
)

items = Table(
    "review_items",
    metadata,
    Column("review", Text, ForeignKey("reviews.name"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("pair", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("rejected", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("repeat_of", Text, nullable=False, server_default=""),
    Column("section_text", Text, nullable=False),
    Column("section_title", Text, nullable=False),
    Column("drug", Text, nullable=False),
    Column("stratum", Text, nullable=False, server_default=""),
)

ratings = Table(
    "review_ratings",
    metadata,
    Column("review", Text, ForeignKey("reviews.name"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("reviewer", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("judgement", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("adjudication", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("correction", Text, nullable=False, server_default=""),
)

confirmations = Table(
    "review_confirmations",
    metadata,
    Column("review", Text, ForeignKey("reviews.name"), primary_key=True),
    Column("reviewer", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("answer", Text, primary_key=True),
    Column("author", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("thumb", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("has_text", Boolean, nullable=False),
    Column("review", Text, nullable=False),  # "" before a review has the answer
    Index("feedback_listing", "namespace", "at", "answer", "author"),
    Index("feedback_unreviewed", "namespace", "review", "at"),
)
