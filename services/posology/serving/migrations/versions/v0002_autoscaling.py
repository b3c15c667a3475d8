"""Engines by load: what a deployment allows, and what load asked for last. Older code serves as many as planned."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import Json

revision = "serving_0002"
down_revision = "serving_0001"


def upgrade() -> None:
    op.add_column("deployments", sa.Column("autoscaling", Json()))
    op.add_column("deployments", sa.Column("scale", Json()))
