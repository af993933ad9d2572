"""Outbound trunks, call records, rooms created by API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False)


def upgrade() -> None:
    _create_trunks()
    _create_calls()
    _create_rooms()


def downgrade() -> None:
    op.drop_table("rooms")
    op.drop_table("calls")
    op.drop_table("sip_outbound_trunks")


def _create_trunks() -> None:
    op.create_table(
        "sip_outbound_trunks",
        sa.Column("trunk_id", sa.Text, primary_key=True),
        _text("name"),
        _text("metadata"),
        _text("address"),
        _integer("transport"),
        _text("destination_country"),
        _json("numbers"),
        _text("auth_username"),
        _text("auth_password"),
        _json("headers"),
        _json("headers_to_attributes"),
        _json("attributes_to_headers"),
        _integer("include_headers"),
        _json("media"),
        _text("from_host"),
        _number("created_at"),
        _number("updated_at"),
    )


def _create_calls() -> None:
    calls = op.create_table(
        "calls",
        sa.Column("call_id", sa.Text, primary_key=True),
        _text("room_name"),
        _text("room_sid"),
        _text("participant_identity"),
        _text("participant_sid"),
        _text("from_number"),
        _text("to_number"),
        _text("trunk_id"),
        _text("trunk_address"),
        _number("created_at"),
        _number("answered_at"),
        _number("ended_at"),
        _json("path"),
        sa.Column("termination", sa.JSON),
        sa.Column("cause", sa.Text),
        sa.Column("sip_status", sa.Integer),
        sa.Column("dialog", sa.JSON),
        sa.Column("open", sa.Boolean, nullable=False),
        _text("request_key"),
        _text("request_digest"),
    )
    op.create_index("calls_created_at", "calls", ["created_at"])
    is_open, is_keyed = calls.c.open, calls.c.request_key != ""
    op.create_index("calls_open", "calls", ["open"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index(
        "calls_request_key",
        "calls",
        ["request_key"],
        sqlite_where=is_keyed,
        postgresql_where=is_keyed,
    )


def _create_rooms() -> None:
    op.create_table(
        "rooms",
        sa.Column("name", sa.Text, primary_key=True),
        _text("sid"),
        _text("metadata"),
        _integer("empty_timeout"),
        _integer("departure_timeout"),
        _integer("max_participants"),
        _number("created_at_ns"),
        _text("configuration"),
    )
