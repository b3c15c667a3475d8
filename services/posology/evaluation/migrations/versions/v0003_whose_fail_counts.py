"""Where a FAIL counts, and which weight files each model holds that was tuned directly from a root."""

import sqlalchemy as sa
from alembic import op

revision = "evaluation_0003"
down_revision = "evaluation_0002"


def upgrade() -> None:
    # A FAIL from before says nothing of it: it counts everywhere, as it did.
    op.add_column("failures", sa.Column("everywhere", sa.Boolean, nullable=True))
    op.create_table(
        "tuned_files",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("artifact", sa.Text, primary_key=True),
        sa.Column("root", sa.Text, nullable=False),
    )
    op.create_index("tuned_files_artifact", "tuned_files", ["artifact"])
