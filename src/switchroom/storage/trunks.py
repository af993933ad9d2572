"""Trunks as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from switchroom.storage.connection import Database
from switchroom.storage.media_config import media_from_json, media_to_json
from switchroom.storage.record_store import SqlRecordStore
from switchroom.storage.schema import inbound_trunks, outbound_trunks
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.inbound_trunks import InboundTrunk
from switchroom.telephony.routing.trunks import OutboundTrunk, Transport


class SqlTrunkStore(SqlRecordStore[OutboundTrunk]):
    """The outbound trunks."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, outbound_trunks, _outbound_row, _outbound_trunk)


class SqlInboundTrunkStore(SqlRecordStore[InboundTrunk]):
    """The inbound trunks."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, inbound_trunks, _inbound_row, _inbound_trunk)


def _outbound_row(trunk: OutboundTrunk) -> dict[str, Any]:
    return {
        **_shared_row(trunk),
        "address": trunk.address,
        "transport": int(trunk.transport),
        "destination_country": trunk.destination_country,
        "from_host": trunk.from_host,
    }


def _outbound_trunk(row: Mapping[str, Any]) -> OutboundTrunk:
    return OutboundTrunk(**{**_shared_fields(row), "transport": Transport(row["transport"])})


def _inbound_row(trunk: InboundTrunk) -> dict[str, Any]:
    return {
        **_shared_row(trunk),
        "allowed_addresses": list(trunk.allowed_addresses),
        "allowed_numbers": list(trunk.allowed_numbers),
        "auth_realm": trunk.auth_realm,
        "ringing_timeout": trunk.ringing_timeout,
        "ringing_timeout_status": trunk.ringing_timeout_status,
        "max_call_duration": trunk.max_call_duration,
        "krisp_enabled": trunk.krisp_enabled,
    }


def _inbound_trunk(row: Mapping[str, Any]) -> InboundTrunk:
    return InboundTrunk(
        **{
            **_shared_fields(row),
            "allowed_addresses": tuple(row["allowed_addresses"]),
            "allowed_numbers": tuple(row["allowed_numbers"]),
        }
    )


def _shared_row(trunk: OutboundTrunk | InboundTrunk) -> dict[str, Any]:
    return {
        "trunk_id": trunk.trunk_id,
        "name": trunk.name,
        "metadata": trunk.metadata,
        "numbers": list(trunk.numbers),
        "auth_username": trunk.auth_username,
        "auth_password": trunk.auth_password,
        "headers": dict(trunk.headers),
        "headers_to_attributes": dict(trunk.headers_to_attributes),
        "attributes_to_headers": dict(trunk.attributes_to_headers),
        "include_headers": int(trunk.include_headers),
        "media": media_to_json(trunk.media),
        "created_at": trunk.created_at,
        "updated_at": trunk.updated_at,
    }


def _shared_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "numbers": tuple(row["numbers"]),
        "include_headers": HeaderOptions(row["include_headers"]),
        "media": media_from_json(row["media"]),
    }
