"""Reviewers may be asked to label answers, and not whether they are correct."""

import sqlalchemy as sa
from alembic import op

revision = "curation_0004"
down_revision = "curation_0003"


def upgrade() -> None:
    op.add_column("reviews", sa.Column("task", sa.Text, nullable=False, server_default="RATE_CORRECTNESS"))
