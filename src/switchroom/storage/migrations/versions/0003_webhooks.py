"""Webhooks that are not delivered yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("url", sa.Text, primary_key=True),
        _text("event_id"),
        _text("name"),
        _text("room_sid"),
        _text("body"),
    )


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
