"""What messages of `livekit.SIP` have in common, to telephony's records and back."""

from __future__ import annotations

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message
from livekit.protocol import models, sip as wire

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.media_config import (
    DEFAULT_MEDIA,
    Encryption,
    ListedCodec,
    MediaConfig,
)
from switchroom.telephony.routing.trunks import Transport
from switchroom.telephony.routing.updates import ListUpdate, MediaUpdate

_NS = 1_000_000_000
#: Some ten thousand years (google/protobuf/duration.proto).
_LONGEST_DURATION = 315_576_000_000.0

_Info = wire.SIPOutboundTrunkInfo | wire.SIPInboundTrunkInfo | wire.SIPDispatchRuleInfo
_Updated = wire.SIPOutboundTrunkUpdate | wire.SIPInboundTrunkUpdate | wire.SIPDispatchRuleUpdate


_TRANSPORTS = {value.value: value for value in Transport}
_HEADER_OPTIONS = {value.value: value for value in HeaderOptions}
_ENCRYPTIONS = {value.value: value for value in Encryption}


def transport_from_wire(value: int) -> Transport:
    transport = _TRANSPORTS.get(value)
    if transport is None:
        raise InvalidRequestError(f"unknown SIP transport {value}")
    return transport


def header_options_from_wire(value: int) -> HeaderOptions:
    options = _HEADER_OPTIONS.get(value)
    if options is None:
        raise InvalidRequestError(f"unknown SIP header option {value}")
    return options


def encryption_from_wire(value: int) -> Encryption:
    encryption = _ENCRYPTIONS.get(value)
    if encryption is None:
        raise InvalidRequestError(f"unknown SIP media encryption {value}")
    return encryption


def status_from_wire(value: int) -> int:
    """A SIP status that LiveKit's enumeration has; 0 is none."""
    if value not in wire.SIPStatusCode.values():
        raise InvalidRequestError(f"unknown SIP status {value}")
    return value


def media_from_wire(media: wire.SIPMediaConfig | None, legacy_encryption: int) -> MediaConfig:
    config = DEFAULT_MEDIA
    if media is not None:
        config = MediaConfig(
            media.only_listed_codecs,
            tuple(ListedCodec(codec.name, codec.rate) for codec in media.codecs),
            encryption_from_wire(media.encryption) if media.HasField("encryption") else None,
            seconds(media.media_timeout) if media.HasField("media_timeout") else None,
        )
    return config.with_legacy_encryption(encryption_from_wire(legacy_encryption))


def media_of(info: _Info | wire.CreateSIPParticipantRequest) -> MediaConfig:
    """Its media settings, with the deprecated ``media_encryption`` where that still counts."""
    media = info.media if info.HasField("media") else None
    return media_from_wire(media, info.media_encryption)


def legacy_encryption_to_wire(media: MediaConfig) -> str:
    """The deprecated ``media_encryption`` repeats what ``media`` says; the value's name."""
    return wire.SIPMediaEncryption.Name(media.encryption or Encryption.DISABLE)


def media_to_wire(media: MediaConfig) -> wire.SIPMediaConfig:
    config = wire.SIPMediaConfig(
        only_listed_codecs=media.only_listed_codecs,
        codecs=[wire.SIPCodec(name=codec.name, rate=codec.rate) for codec in media.codecs],
    )
    if media.encryption is not None:
        config.encryption = wire.SIPMediaEncryption.Name(media.encryption)  # type: ignore[assignment]
    if media.timeout is not None:
        config.media_timeout.CopyFrom(duration(media.timeout))
    return config


def seconds(duration: duration_pb2.Duration) -> float:
    """What a Duration says, within what JSON can say of one: binary clients can send any number."""
    given = duration.seconds + duration.nanos / _NS
    return min(max(given, -_LONGEST_DURATION), _LONGEST_DURATION)


def seconds_of(message: Message, name: str) -> float:
    """What its Duration of that name says, 0 if it was not given."""
    return seconds(getattr(message, name)) if message.HasField(name) else 0.0


def duration(seconds: float) -> duration_pb2.Duration:
    whole, nanos = divmod(round(seconds * _NS), _NS)
    return duration_pb2.Duration(seconds=whole, nanos=nanos)


def duration_or_none(seconds: float) -> duration_pb2.Duration | None:
    """0 is what was not given."""
    return duration(seconds) if seconds else None


def timestamp(ns: int) -> timestamp_pb2.Timestamp | None:
    return timestamp_pb2.Timestamp(seconds=ns // _NS, nanos=ns % _NS) if ns else None


def media_update_from_wire(update: _Updated) -> MediaUpdate:
    """Raises InvalidRequestError for enumeration values that nobody knows."""
    legacy = None
    if update.HasField("media_encryption"):
        legacy = encryption_from_wire(update.media_encryption)
    return MediaUpdate(
        media_from_wire(update.media, 0) if update.HasField("media") else None, legacy
    )


def list_update_from_wire(update: _Updated, name: str) -> ListUpdate | None:
    """The change to the list of that name, None where there is none."""
    if not update.HasField(name):
        return None
    given: models.ListUpdate = getattr(update, name)
    return ListUpdate(tuple(given.set), tuple(given.add), tuple(given.remove), given.clear)


def text_update_from_wire(update: _Updated, name: str) -> str | None:
    """The new text of the field of that name, None where there is none."""
    if not update.HasField(name):
        return None
    return str(getattr(update, name))
