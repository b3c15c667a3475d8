"""Users say of answers whether they were good."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import UtcDateTime

revision = "curation_0006"
down_revision = "curation_0005"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("answer", sa.Text, primary_key=True),
        sa.Column("author", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("thumb", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("has_text", sa.Boolean, nullable=False),
        sa.Column("review", sa.Text, nullable=False),
    )
    op.create_index("feedback_listing", "feedback", ["namespace", "at", "answer", "author"])
    op.create_index("feedback_unreviewed", "feedback", ["namespace", "review", "at"])
