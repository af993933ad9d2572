"""Agent dispatches and their jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def upgrade() -> None:
    _create_dispatches()
    _create_jobs()


def downgrade() -> None:
    op.drop_table("agent_jobs")
    op.drop_table("agent_dispatches")


def _create_dispatches() -> None:
    op.create_table(
        "agent_dispatches",
        sa.Column("dispatch_id", sa.Text, primary_key=True),
        _text("room_name"),
        _text("room_sid"),
        _text("agent_name"),
        _text("metadata"),
        sa.Column("attributes", sa.JSON, nullable=False),
        _text("deployment"),
        _integer("restart_policy"),
        sa.Column("implicit", sa.Boolean, nullable=False),
        _number("created_at_ns"),
    )


def _create_jobs() -> None:
    op.create_table(
        "agent_jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        _text("dispatch_id"),
        _integer("kind"),
        _text("outcome"),
        _integer("status"),
        _integer("reason"),
        _text("error"),
        _text("participant_identity"),
        _text("agent_identity"),
        _text("namespace"),
        _text("worker_id"),
        _text("api_key"),
        _number("started_at_ns"),
        _number("ended_at_ns"),
        _number("updated_at_ns"),
    )
    op.create_index("agent_jobs_dispatch_id", "agent_jobs", ["dispatch_id"])
