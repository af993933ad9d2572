"""Whose end webhooks still have to tell."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_announcements",
        sa.Column("room_sid", sa.Text, primary_key=True),
        sa.Column("participant_sid", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("webhook_announcements")
