"""Reviews of one set are counted, and no seed says beforehand which rows are drawn."""

import sqlalchemy as sa
from alembic import op

revision = "curation_0007"
down_revision = "curation_0006"


def upgrade() -> None:
    op.add_column("reviews", sa.Column("number", sa.Integer, nullable=False, server_default="1"))
    op.add_column("reviews", sa.Column("draws", sa.Integer))
    op.create_index("reviews_frame", "reviews", ["frame_digest"])
