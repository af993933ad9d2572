"""An index of SIP Call-IDs: what a carrier's trace names is found without reading every call."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("calls_sip_call_id", "calls", ["sip_call_id"])


def downgrade() -> None:
    op.drop_index("calls_sip_call_id", "calls")
