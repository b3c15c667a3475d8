"""Reviewers say what a wrong answer should read; a corrected version is reviewed in strata."""

import sqlalchemy as sa
from alembic import op

revision = "curation_0005"
down_revision = "curation_0004"


def upgrade() -> None:
    op.add_column("reviews", sa.Column("strata", sa.JSON))
    op.add_column("review_items", sa.Column("stratum", sa.Text, nullable=False, server_default=""))
    op.add_column("review_ratings", sa.Column("correction", sa.Text, nullable=False, server_default=""))
