"""Inbound trunks and dispatch rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _boolean(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _seconds(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False)


def upgrade() -> None:
    _create_trunks()
    _create_rules()


def downgrade() -> None:
    op.drop_table("sip_dispatch_rules")
    op.drop_table("sip_inbound_trunks")


def _create_trunks() -> None:
    op.create_table(
        "sip_inbound_trunks",
        sa.Column("trunk_id", sa.Text, primary_key=True),
        _text("name"),
        _text("metadata"),
        _json("numbers"),
        _json("allowed_addresses"),
        _json("allowed_numbers"),
        _text("auth_username"),
        _text("auth_password"),
        _text("auth_realm"),
        _json("headers"),
        _json("headers_to_attributes"),
        _json("attributes_to_headers"),
        _integer("include_headers"),
        _seconds("ringing_timeout"),
        _integer("ringing_timeout_status"),
        _seconds("max_call_duration"),
        _boolean("krisp_enabled"),
        _json("media"),
        _number("created_at"),
        _number("updated_at"),
    )


def _create_rules() -> None:
    op.create_table(
        "sip_dispatch_rules",
        sa.Column("rule_id", sa.Text, primary_key=True),
        _json("room"),
        _json("trunk_ids"),
        _boolean("hide_phone_number"),
        _json("inbound_numbers"),
        _json("numbers"),
        _text("name"),
        _text("metadata"),
        _json("attributes"),
        _text("room_preset"),
        sa.Column("room_config", sa.JSON),
        _boolean("krisp_enabled"),
        _json("media"),
        _number("created_at"),
        _number("updated_at"),
    )
