"""`livekit.SIP`'s calls and transfers to telephony's records and back."""

from __future__ import annotations

from livekit.protocol import sip as wire

from switchroom.api.convert_sip_fields import (
    header_options_from_wire,
    media_of,
    seconds_of,
    transport_from_wire,
)
from switchroom.telephony.calls.transfer_outcome import TransferRecord
from switchroom.telephony.outbound.outbound_request import (
    CreateSipParticipant,
    Destination,
    InlineTrunk,
    NamedAddress,
    SipAddress,
    SipParticipantInfo,
)
from switchroom.telephony.routing.transfer_request import TransferRequest


def request_from_wire(request: wire.CreateSIPParticipantRequest) -> CreateSipParticipant:
    """Raises InvalidRequestError for enumeration values that nobody knows."""
    return CreateSipParticipant(
        room_name=request.room_name,
        call_to=request.sip_call_to,
        trunk_id=request.sip_trunk_id,
        trunk=_inline_trunk(request.trunk) if request.HasField("trunk") else None,
        number=request.sip_number,
        request_uri=_request_uri(request),
        from_header=_from_header(request),
        has_to_header=request.HasField("sip_to_header"),
        to_user_override=request.to_user_override,
        identity=request.participant_identity,
        name=request.participant_name,
        metadata=request.participant_metadata,
        # An empty map is looked through in Python, for longer than a full one.
        attributes=dict(request.participant_attributes) if request.participant_attributes else {},
        dtmf=request.dtmf,
        play_dialtone=request.play_dialtone or request.play_ringtone,
        hide_phone_number=request.hide_phone_number,
        headers=dict(request.headers) if request.headers else {},
        include_headers=header_options_from_wire(request.include_headers),
        ringing_timeout=seconds_of(request, "ringing_timeout"),
        max_call_duration=seconds_of(request, "max_call_duration"),
        krisp_enabled=request.krisp_enabled,
        media=media_of(request),
        wait_until_answered=request.wait_until_answered,
        display_name=request.display_name if request.HasField("display_name") else None,
        destination=_destination(request),
    )


def info_to_wire(info: SipParticipantInfo) -> wire.SIPParticipantInfo:
    return wire.SIPParticipantInfo(
        participant_id=info.participant_id,
        participant_identity=info.participant_identity,
        room_name=info.room_name,
        sip_call_id=info.call_id,
    )


def _inline_trunk(trunk: wire.SIPOutboundConfig) -> InlineTrunk:
    return InlineTrunk(
        hostname=trunk.hostname,
        destination_country=trunk.destination_country,
        transport=transport_from_wire(trunk.transport),
        auth_username=trunk.auth_username,
        auth_password=trunk.auth_password,
        headers_to_attributes=dict(trunk.headers_to_attributes),
        attributes_to_headers=dict(trunk.attributes_to_headers),
        from_host=trunk.from_host,
    )


def _request_uri(request: wire.CreateSIPParticipantRequest) -> SipAddress | None:
    if not request.HasField("sip_request_uri"):
        return None
    return _address(request.sip_request_uri.raw, request.sip_request_uri.values)


def _from_header(request: wire.CreateSIPParticipantRequest) -> NamedAddress | None:
    if not request.HasField("sip_from_header"):
        return None
    given = request.sip_from_header
    return NamedAddress(given.display_name, _address(given.raw, given.values))


def _address(raw: str, values: wire.SIPUri) -> SipAddress:
    return SipAddress(
        raw, values.user, values.host, values.ip, values.port, transport_from_wire(values.transport)
    )


def _destination(request: wire.CreateSIPParticipantRequest) -> Destination | None:
    if not request.HasField("destination"):
        return None
    given = request.destination
    return Destination(given.city, given.country, given.region)


# ── transfers ────────────────────────────────────────────────────────────────


def transfer_from_wire(request: wire.TransferSIPParticipantRequest) -> TransferRequest:
    return TransferRequest(
        room_name=request.room_name,
        participant_identity=request.participant_identity,
        transfer_to=request.transfer_to,
        play_dialtone=request.play_dialtone,
        headers=dict(request.headers),
        ringing_timeout=seconds_of(request, "ringing_timeout"),
    )


def transfer_to_wire(record: TransferRecord) -> wire.TransferSIPParticipantResponse:
    """Without ``sip_status``: SDKs before August 2026 fail on a transfer that went well with it."""
    return wire.TransferSIPParticipantResponse(
        transfer_id=record.transfer_id,
        status=wire.SIPTransferStatus.Name(record.status.value),
        reason=wire.SIPTransferReason.Name(record.reason.value),
    )
