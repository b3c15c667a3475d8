"""Items may come a second time, unmarked, to see whether reviewers agree with themselves."""

import sqlalchemy as sa
from alembic import op

revision = "curation_0003"
down_revision = "curation_0002"


def upgrade() -> None:
    op.add_column("reviews", sa.Column("repeats", sa.Integer, nullable=False, server_default="0"))
    op.add_column("review_items", sa.Column("repeat_of", sa.Text, nullable=False, server_default=""))
