"""The tables. Times are Unix nanoseconds; what is only kept whole is JSON.

A change here needs a revision in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, default="")


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, default=0)


outbound_trunks = Table(
    "sip_outbound_trunks",
    metadata,
    Column("trunk_id", Text, primary_key=True),
    _text("name"),
    _text("metadata"),
    _text("address"),
    Column("transport", Integer, nullable=False),
    _text("destination_country"),
    Column("numbers", JSON, nullable=False),
    _text("auth_username"),
    _text("auth_password"),
    Column("headers", JSON, nullable=False),
    Column("headers_to_attributes", JSON, nullable=False),
    Column("attributes_to_headers", JSON, nullable=False),
    Column("include_headers", Integer, nullable=False),
    Column("media", JSON, nullable=False),
    _text("from_host"),
    _number("created_at"),
    _number("updated_at"),
)

inbound_trunks = Table(
    "sip_inbound_trunks",
    metadata,
    Column("trunk_id", Text, primary_key=True),
    _text("name"),
    _text("metadata"),
    Column("numbers", JSON, nullable=False),
    Column("allowed_addresses", JSON, nullable=False),
    Column("allowed_numbers", JSON, nullable=False),
    _text("auth_username"),
    _text("auth_password"),
    _text("auth_realm"),
    Column("headers", JSON, nullable=False),
    Column("headers_to_attributes", JSON, nullable=False),
    Column("attributes_to_headers", JSON, nullable=False),
    Column("include_headers", Integer, nullable=False),
    Column("ringing_timeout", Double, nullable=False),
    Column("ringing_timeout_status", Integer, nullable=False),
    Column("max_call_duration", Double, nullable=False),
    Column("krisp_enabled", Boolean, nullable=False),
    Column("media", JSON, nullable=False),
    _number("created_at"),
    _number("updated_at"),
)

dispatch_rules = Table(
    "sip_dispatch_rules",
    metadata,
    Column("rule_id", Text, primary_key=True),
    Column("room", JSON, nullable=False),
    Column("trunk_ids", JSON, nullable=False),
    Column("hide_phone_number", Boolean, nullable=False),
    Column("inbound_numbers", JSON, nullable=False),
    Column("numbers", JSON, nullable=False),
    _text("name"),
    _text("metadata"),
    Column("attributes", JSON, nullable=False),
    _text("room_preset"),
    Column("room_config", JSON(none_as_null=True)),
    Column("krisp_enabled", Boolean, nullable=False),
    Column("media", JSON, nullable=False),
    _number("created_at"),
    _number("updated_at"),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, primary_key=True),
    _text("direction"),
    _text("rule_id"),
    Column("hides_numbers", Boolean, nullable=False),
    _text("sip_call_id"),
    _text("remote_address"),
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
    Column("path", JSON, nullable=False),
    _text("codec"),
    _text("encryption"),
    Column("media", JSON(none_as_null=True)),
    Column("transfers", JSON, nullable=False),
    Column("termination", JSON(none_as_null=True)),
    Column("cause", Text),
    Column("ended_by", Text),
    Column("sip_status", Integer),
    Column("q850_cause", Integer),
    Column("dialog", JSON(none_as_null=True)),
    Column("open", Boolean, nullable=False),
    _text("request_key"),
    _text("request_digest"),
)
Index("calls_created_at", calls.c.created_at)
Index("calls_sip_call_id", calls.c.sip_call_id)
# Both are looked up at every start, in a table that only grows.
Index(
    "calls_open",
    calls.c.open,
    sqlite_where=calls.c.open,
    postgresql_where=calls.c.open,
)
Index(
    "calls_request_key",
    calls.c.request_key,
    sqlite_where=calls.c.request_key != "",
    postgresql_where=calls.c.request_key != "",
)

rooms = Table(
    "rooms",
    metadata,
    Column("name", Text, primary_key=True),
    _text("sid"),
    _text("metadata"),
    Column("empty_timeout", Integer, nullable=False),
    Column("departure_timeout", Integer, nullable=False),
    Column("max_participants", Integer, nullable=False),
    _number("created_at_ns"),
    _text("configuration"),
)

agent_dispatches = Table(
    "agent_dispatches",
    metadata,
    Column("dispatch_id", Text, primary_key=True),
    _text("room_name"),
    _text("room_sid"),
    _text("agent_name"),
    _text("metadata"),
    Column("attributes", JSON, nullable=False),
    _text("deployment"),
    Column("restart_policy", Integer, nullable=False),
    Column("implicit", Boolean, nullable=False),
    _number("created_at_ns"),
)

agent_jobs = Table(
    "agent_jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    _text("dispatch_id"),
    Column("kind", Integer, nullable=False),
    _text("outcome"),
    Column("status", Integer, nullable=False),
    Column("reason", Integer, nullable=False),
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
Index("agent_jobs_dispatch_id", agent_jobs.c.dispatch_id)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("url", Text, primary_key=True),
    _text("event_id"),
    _text("name"),
    _text("room_sid"),
    _text("body"),
)

webhook_announcements = Table(
    "webhook_announcements",
    metadata,
    Column("room_sid", Text, primary_key=True),
    Column("participant_sid", Text, primary_key=True),
    _text("body"),
)
