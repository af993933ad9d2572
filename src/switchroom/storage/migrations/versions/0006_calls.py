"""Calls of both directions, with their codecs, media figures, transfers and who ended them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEXTS = ("rule_id", "sip_call_id", "remote_address", "codec", "encryption")
_OTHERS = ("media", "transfers", "ended_by", "q850_cause")


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(sa.Column("direction", sa.Text, nullable=False, server_default="outbound"))
        calls.add_column(
            sa.Column("hides_numbers", sa.Boolean, nullable=False, server_default=sa.false())
        )
        for name in _TEXTS:
            calls.add_column(sa.Column(name, sa.Text, nullable=False, server_default=""))
        calls.add_column(sa.Column("media", sa.JSON(none_as_null=True)))
        calls.add_column(sa.Column("transfers", sa.JSON, nullable=False, server_default="[]"))
        calls.add_column(sa.Column("ended_by", sa.Text))
        calls.add_column(sa.Column("q850_cause", sa.Integer))


def downgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        for name in (
            "direction",
            *_TEXTS,
            "media",
            "transfers",
            "ended_by",
            "q850_cause",
            "hides_numbers",
        ):
            calls.drop_column(name)
