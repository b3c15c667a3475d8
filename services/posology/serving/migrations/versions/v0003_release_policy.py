"""Which release policy let weights in. Older code writes none."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0003"
down_revision = "serving_0002"


def upgrade() -> None:
    op.add_column("deployments", sa.Column("policy", sa.Text))
