"""`livekit.SIP` messages to telephony's records and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]  # generated, without stubs
from livekit.protocol import models, sip as wire

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.termination import Termination
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound.outbound_request import (
    CreateSipParticipant,
    Destination,
    InlineTrunk,
    NamedAddress,
    SipAddress,
    SipParticipantInfo,
)
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.media_config import (
    DEFAULT_MEDIA,
    Encryption,
    ListedCodec,
    MediaConfig,
)
from switchroom.telephony.routing.trunks import OutboundTrunk, OutboundTrunkUpdate, Transport
from switchroom.telephony.routing.updates import ListUpdate, MediaUpdate

_NS = 1_000_000_000


# ── what calls ask for ───────────────────────────────────────────────────────


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
        attributes=dict(request.participant_attributes),
        dtmf=request.dtmf,
        play_dialtone=request.play_dialtone or request.play_ringtone,
        hide_phone_number=request.hide_phone_number,
        headers=dict(request.headers),
        include_headers=_header_options(request.include_headers),
        ringing_timeout=_seconds(request.ringing_timeout),
        max_call_duration=_seconds(request.max_call_duration),
        media=_media(
            request.media if request.HasField("media") else None, request.media_encryption
        ),
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
        transport=_transport(trunk.transport),
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
        raw, values.user, values.host, values.ip, values.port, _transport(values.transport)
    )


def _destination(request: wire.CreateSIPParticipantRequest) -> Destination | None:
    if not request.HasField("destination"):
        return None
    given = request.destination
    return Destination(given.city, given.country, given.region)


# ── trunks ───────────────────────────────────────────────────────────────────


def trunk_from_wire(trunk: wire.SIPOutboundTrunkInfo) -> OutboundTrunk:
    """Raises InvalidRequestError for enumeration values that nobody knows."""
    return OutboundTrunk(
        trunk_id=trunk.sip_trunk_id,
        name=trunk.name,
        metadata=trunk.metadata,
        address=trunk.address,
        transport=_transport(trunk.transport),
        destination_country=trunk.destination_country,
        numbers=tuple(trunk.numbers),
        auth_username=trunk.auth_username,
        auth_password=trunk.auth_password,
        headers=dict(trunk.headers),
        headers_to_attributes=dict(trunk.headers_to_attributes),
        attributes_to_headers=dict(trunk.attributes_to_headers),
        include_headers=_header_options(trunk.include_headers),
        media=_media(trunk.media if trunk.HasField("media") else None, trunk.media_encryption),
        from_host=trunk.from_host,
    )


def trunk_to_wire(trunk: OutboundTrunk) -> wire.SIPOutboundTrunkInfo:
    """LiveKit's message; the deprecated ``media_encryption`` repeats what ``media`` says."""
    encryption = trunk.media.encryption or Encryption.DISABLE
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
        media_encryption=wire.SIPMediaEncryption.Name(encryption),
        media=_media_to_wire(trunk.media),
        from_host=trunk.from_host,
        created_at=_timestamp(trunk.created_at),
        updated_at=_timestamp(trunk.updated_at),
    )


def trunk_to_legacy_wire(trunk: OutboundTrunk) -> wire.SIPTrunkInfo:
    """The deprecated form, which had one number and one set of credentials a direction."""
    return wire.SIPTrunkInfo(
        sip_trunk_id=trunk.trunk_id,
        kind=wire.SIPTrunkInfo.TRUNK_OUTBOUND,
        name=trunk.name,
        metadata=trunk.metadata,
        outbound_address=trunk.address,
        transport=wire.SIPTransport.Name(trunk.transport),
        outbound_number=trunk.numbers[0] if trunk.numbers else "",
        outbound_username=trunk.auth_username,
        outbound_password=trunk.auth_password,
    )


def update_from_wire(update: wire.SIPOutboundTrunkUpdate) -> OutboundTrunkUpdate:
    """Raises InvalidRequestError for enumeration values that nobody knows."""
    def text(name: str) -> str | None:
        return getattr(update, name) if update.HasField(name) else None

    return OutboundTrunkUpdate(
        address=text("address"),
        transport=_transport(update.transport) if update.HasField("transport") else None,
        destination_country=text("destination_country"),
        numbers=_list_update(update.numbers) if update.HasField("numbers") else None,
        auth_username=text("auth_username"),
        auth_password=text("auth_password"),
        name=text("name"),
        metadata=text("metadata"),
        media=_media_update(update),
        from_host=text("from_host"),
    )


def _media_update(update: wire.SIPOutboundTrunkUpdate) -> MediaUpdate:
    return MediaUpdate(
        _media(update.media, 0) if update.HasField("media") else None,
        _encryption(update.media_encryption) if update.HasField("media_encryption") else None,
    )


def _list_update(update: models.ListUpdate) -> ListUpdate:
    return ListUpdate(tuple(update.set), tuple(update.add), tuple(update.remove), update.clear)


# ── parts ────────────────────────────────────────────────────────────────────


def _transport(value: int) -> Transport:
    try:
        return Transport(value)
    except ValueError:
        raise InvalidRequestError(f"unknown SIP transport {value}") from None


def _header_options(value: int) -> HeaderOptions:
    try:
        return HeaderOptions(value)
    except ValueError:
        raise InvalidRequestError(f"unknown SIP header option {value}") from None


def _encryption(value: int) -> Encryption:
    try:
        return Encryption(value)
    except ValueError:
        raise InvalidRequestError(f"unknown SIP media encryption {value}") from None


def _media(media: wire.SIPMediaConfig | None, legacy_encryption: int) -> MediaConfig:
    config = DEFAULT_MEDIA
    if media is not None:
        config = MediaConfig(
            media.only_listed_codecs,
            tuple(ListedCodec(codec.name, codec.rate) for codec in media.codecs),
            _encryption(media.encryption) if media.HasField("encryption") else None,
            _seconds(media.media_timeout) if media.HasField("media_timeout") else None,
        )
    return config.with_legacy_encryption(_encryption(legacy_encryption))


def _media_to_wire(media: MediaConfig) -> wire.SIPMediaConfig:
    config = wire.SIPMediaConfig(
        only_listed_codecs=media.only_listed_codecs,
        codecs=[wire.SIPCodec(name=codec.name, rate=codec.rate) for codec in media.codecs],
    )
    if media.encryption is not None:
        config.encryption = wire.SIPMediaEncryption.Name(media.encryption)  # type: ignore[assignment]
    if media.timeout is not None:
        config.media_timeout.CopyFrom(_duration(media.timeout))
    return config


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.seconds + duration.nanos / _NS


def _duration(seconds: float) -> duration_pb2.Duration:
    whole = int(seconds)
    return duration_pb2.Duration(seconds=whole, nanos=round((seconds - whole) * _NS))


def _timestamp(ns: int) -> timestamp_pb2.Timestamp | None:
    return timestamp_pb2.Timestamp(seconds=ns // _NS, nanos=ns % _NS) if ns else None


# ── failures ─────────────────────────────────────────────────────────────────

#: Twirp's codes as gRPC numbers them, for the ``google.rpc.Status`` inside ``error_details``.
_GRPC_CODES: Mapping[ErrorCode, int] = {
    ErrorCode.CANCELED: 1,
    ErrorCode.UNKNOWN: 2,
    ErrorCode.INVALID_ARGUMENT: 3,
    ErrorCode.DEADLINE_EXCEEDED: 4,
    ErrorCode.NOT_FOUND: 5,
    ErrorCode.ALREADY_EXISTS: 6,
    ErrorCode.PERMISSION_DENIED: 7,
    ErrorCode.RESOURCE_EXHAUSTED: 8,
    ErrorCode.FAILED_PRECONDITION: 9,
    ErrorCode.ABORTED: 10,
    ErrorCode.OUT_OF_RANGE: 11,
    ErrorCode.UNIMPLEMENTED: 12,
    ErrorCode.INTERNAL: 13,
    ErrorCode.UNAVAILABLE: 14,
    ErrorCode.DATA_LOSS: 15,
    ErrorCode.UNAUTHENTICATED: 16,
}


def failure_to_wire(failure: CallFailedError) -> ServiceError:
    """The failure with ``error_details``, where a SIP status decided."""
    ending = failure.termination
    if not failure.meta:
        return failure
    details = base64.b64encode(_details(ending)).decode("ascii")
    return ServiceError(failure.code, failure.message, {**failure.meta, "error_details": details})


def _details(ending: Termination) -> bytes:
    status = wire.SIPStatus(status=ending.reason)
    if ending.status in wire.SIPStatusCode.values():
        status.code = wire.SIPStatusCode.Name(ending.status)  # type: ignore[assignment]
    packed = any_pb2.Any()
    packed.Pack(status)
    outer = status_pb2.Status(
        code=_GRPC_CODES[ending.error], message=ending.message, details=[packed]
    )
    return bytes(outer.SerializeToString())
