"""A review closes once its reviewers confirm, or some time after it was settled."""

import sqlalchemy as sa
from alembic import op

from posology.core.store import UtcDateTime

revision = "curation_0002"
down_revision = "curation_0001"


def upgrade() -> None:
    op.add_column("reviews", sa.Column("settled", UtcDateTime))
    op.create_table(
        "review_confirmations",
        sa.Column("review", sa.Text, sa.ForeignKey("reviews.name"), primary_key=True),
        sa.Column("reviewer", sa.Text, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
    )
