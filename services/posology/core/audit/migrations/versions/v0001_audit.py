"""The audit table, append-only by trigger."""

import sqlalchemy as sa
from alembic import op

from posology.core.store.columns import UtcDateTime

revision = "audit_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_index("audit_subject", "audit", ["subject", "seq"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_POSTGRESQL)
    else:
        for verb in ("update", "delete"):
            op.execute(_SQLITE.format(verb=verb))


_SQLITE = """
create trigger audit_no_{verb} before {verb} on audit
begin select raise(abort, 'the audit trail only grows'); end
"""

_POSTGRESQL = """
create function audit_only_grows() returns trigger language plpgsql as $$
begin raise exception 'the audit trail only grows'; end $$;
create trigger audit_only_grows before update or delete or truncate on audit
for each statement execute function audit_only_grows();
"""
