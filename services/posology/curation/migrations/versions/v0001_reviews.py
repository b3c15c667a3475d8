"""Reviews, items, ratings."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import UtcDateTime

revision = "curation_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sample", sa.Integer, nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("max_error_rate", sa.Float, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("reviewers", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("frame_size", sa.Integer, nullable=False),
        sa.Column("frame_digest", sa.Text, nullable=False),
        sa.Column("planned", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("created", UtcDateTime, nullable=False),
        sa.Column("ended", UtcDateTime),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
    )
    op.create_index("reviews_request", "reviews", ["namespace", "request_id"], unique=True)
    op.create_index("reviews_listing", "reviews", ["namespace", "created", "name"])
    op.create_index("reviews_ended", "reviews", ["ended"])
    op.create_index("reviews_state", "reviews", ["state"])
    op.create_table(
        "review_items",
        sa.Column("review", sa.Text, sa.ForeignKey("reviews.name"), primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("pair", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("rejected", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("section_text", sa.Text, nullable=False),
        sa.Column("section_title", sa.Text, nullable=False),
        sa.Column("drug", sa.Text, nullable=False),
    )
    op.create_table(
        "review_ratings",
        sa.Column("review", sa.Text, sa.ForeignKey("reviews.name"), primary_key=True),
        sa.Column("item", sa.Text, primary_key=True),
        sa.Column("reviewer", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("judgement", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("adjudication", sa.Boolean, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
