"""`livekit.SIP`'s trunks to telephony's records and back."""

from __future__ import annotations

from livekit.protocol import sip as wire

from switchroom.api.convert_sip_fields import (
    duration_or_none,
    header_options_from_wire,
    legacy_encryption_to_wire,
    list_update_from_wire,
    media_of,
    media_to_wire,
    media_update_from_wire,
    seconds,
    status_from_wire,
    text_update_from_wire,
    timestamp,
    transport_from_wire,
)
from switchroom.telephony.routing.inbound_trunks import InboundTrunk, InboundTrunkUpdate
from switchroom.telephony.routing.trunks import OutboundTrunk, OutboundTrunkUpdate

# ── outbound ─────────────────────────────────────────────────────────────────


def trunk_from_wire(trunk: wire.SIPOutboundTrunkInfo) -> OutboundTrunk:
    """Raises InvalidRequestError for enumeration values that nobody knows."""
    return OutboundTrunk(
        trunk_id=trunk.sip_trunk_id,
        name=trunk.name,
        metadata=trunk.metadata,
        address=trunk.address,
        transport=transport_from_wire(trunk.transport),
        destination_country=trunk.destination_country,
        numbers=tuple(trunk.numbers),
        auth_username=trunk.auth_username,
        auth_password=trunk.auth_password,
        headers=dict(trunk.headers),
        headers_to_attributes=dict(trunk.headers_to_attributes),
        attributes_to_headers=dict(trunk.attributes_to_headers),
        include_headers=header_options_from_wire(trunk.include_headers),
        media=media_of(trunk),
        from_host=trunk.from_host,
    )


def trunk_to_wire(trunk: OutboundTrunk) -> wire.SIPOutboundTrunkInfo:
    """LiveKit's message; the deprecated ``media_encryption`` repeats what ``media`` says."""
    return wire.SIPOutboundTrunkInfo(
        sip_trunk_id=trunk.trunk_id,
        name=trunk.name,
        metadata=trunk.metadata,
        address=trunk.address,
        transport=wire.SIPTransport.Name(trunk.transport),
        destination_country=trunk.destination_country,
        numbers=trunk.numbers,
        auth_username=trunk.auth_username,
        auth_password=trunk.auth_password,
        headers=dict(trunk.headers),
        headers_to_attributes=dict(trunk.headers_to_attributes),
        attributes_to_headers=dict(trunk.attributes_to_headers),
        include_headers=wire.SIPHeaderOptions.Name(trunk.include_headers),
        media_encryption=legacy_encryption_to_wire(trunk.media),
        media=media_to_wire(trunk.media),
        from_host=trunk.from_host,
        created_at=timestamp(trunk.created_at),
        updated_at=timestamp(trunk.updated_at),
    )


def update_from_wire(update: wire.SIPOutboundTrunkUpdate) -> OutboundTrunkUpdate:
    """Raises InvalidRequestError for enumeration values that nobody knows."""

    def text(name: str) -> str | None:
        return text_update_from_wire(update, name)

    return OutboundTrunkUpdate(
        address=text("address"),
        transport=transport_from_wire(update.transport) if update.HasField("transport") else None,
        destination_country=text("destination_country"),
        numbers=list_update_from_wire(update, "numbers"),
        auth_username=text("auth_username"),
        auth_password=text("auth_password"),
        name=text("name"),
        metadata=text("metadata"),
        media=media_update_from_wire(update),
        from_host=text("from_host"),
    )


# ── inbound ──────────────────────────────────────────────────────────────────


def inbound_trunk_from_wire(trunk: wire.SIPInboundTrunkInfo) -> InboundTrunk:
    """Raises InvalidRequestError for enumeration values that nobody knows."""
    return InboundTrunk(
        trunk_id=trunk.sip_trunk_id,
        name=trunk.name,
        metadata=trunk.metadata,
        numbers=tuple(trunk.numbers),
        allowed_addresses=tuple(trunk.allowed_addresses),
        allowed_numbers=tuple(trunk.allowed_numbers),
        auth_username=trunk.auth_username,
        auth_password=trunk.auth_password,
        auth_realm=trunk.auth_realm,
        headers=dict(trunk.headers),
        headers_to_attributes=dict(trunk.headers_to_attributes),
        attributes_to_headers=dict(trunk.attributes_to_headers),
        include_headers=header_options_from_wire(trunk.include_headers),
        ringing_timeout=max(0.0, seconds(trunk.ringing_timeout)),
        ringing_timeout_status=status_from_wire(trunk.ringing_timeout_status),
        max_call_duration=max(0.0, seconds(trunk.max_call_duration)),
        krisp_enabled=trunk.krisp_enabled,
        media=media_of(trunk),
    )


def inbound_trunk_to_wire(trunk: InboundTrunk) -> wire.SIPInboundTrunkInfo:
    return wire.SIPInboundTrunkInfo(
        sip_trunk_id=trunk.trunk_id,
        name=trunk.name,
        metadata=trunk.metadata,
        numbers=trunk.numbers,
        allowed_addresses=trunk.allowed_addresses,
        allowed_numbers=trunk.allowed_numbers,
        auth_username=trunk.auth_username,
        auth_password=trunk.auth_password,
        auth_realm=trunk.auth_realm,
        headers=dict(trunk.headers),
        headers_to_attributes=dict(trunk.headers_to_attributes),
        attributes_to_headers=dict(trunk.attributes_to_headers),
        include_headers=wire.SIPHeaderOptions.Name(trunk.include_headers),
        ringing_timeout=duration_or_none(trunk.ringing_timeout),
        ringing_timeout_status=wire.SIPStatusCode.Name(trunk.ringing_timeout_status),
        max_call_duration=duration_or_none(trunk.max_call_duration),
        krisp_enabled=trunk.krisp_enabled,
        media_encryption=legacy_encryption_to_wire(trunk.media),
        media=media_to_wire(trunk.media),
        created_at=timestamp(trunk.created_at),
        updated_at=timestamp(trunk.updated_at),
    )


def inbound_update_from_wire(update: wire.SIPInboundTrunkUpdate) -> InboundTrunkUpdate:
    """Raises InvalidRequestError for enumeration values that nobody knows."""

    def text(name: str) -> str | None:
        return text_update_from_wire(update, name)

    return InboundTrunkUpdate(
        numbers=list_update_from_wire(update, "numbers"),
        allowed_addresses=list_update_from_wire(update, "allowed_addresses"),
        allowed_numbers=list_update_from_wire(update, "allowed_numbers"),
        auth_username=text("auth_username"),
        auth_password=text("auth_password"),
        auth_realm=text("auth_realm"),
        name=text("name"),
        metadata=text("metadata"),
        media=media_update_from_wire(update),
    )


# ── the deprecated form of both ──────────────────────────────────────────────


def to_legacy_wire(trunk: OutboundTrunk | InboundTrunk) -> wire.SIPTrunkInfo:
    """The form that had one number and one set of credentials a direction."""
    info = wire.SIPTrunkInfo(
        sip_trunk_id=trunk.trunk_id,
        name=trunk.name,
        metadata=trunk.metadata,
        outbound_number=trunk.numbers[0] if trunk.numbers else "",
    )
    if isinstance(trunk, OutboundTrunk):
        info.MergeFrom(_legacy_outbound(trunk))
    else:
        info.MergeFrom(_legacy_inbound(trunk))
    return info


def _legacy_outbound(trunk: OutboundTrunk) -> wire.SIPTrunkInfo:
    return wire.SIPTrunkInfo(
        kind=wire.SIPTrunkInfo.TRUNK_OUTBOUND,
        outbound_address=trunk.address,
        transport=wire.SIPTransport.Name(trunk.transport),
        outbound_username=trunk.auth_username,
        outbound_password=trunk.auth_password,
    )


def _legacy_inbound(trunk: InboundTrunk) -> wire.SIPTrunkInfo:
    """Here ``inbound_numbers`` are those that may call, as in LiveKit."""
    return wire.SIPTrunkInfo(
        kind=wire.SIPTrunkInfo.TRUNK_INBOUND,
        inbound_addresses=trunk.allowed_addresses,
        inbound_numbers=trunk.allowed_numbers,
        inbound_username=trunk.auth_username,
        inbound_password=trunk.auth_password,
    )
