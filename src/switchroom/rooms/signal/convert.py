"""Our records as LiveKit's messages, and back. Enumerations have the same numbers on both sides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from livekit.protocol import models

from switchroom.rooms.info import (
    AudioFeature,
    ParticipantInfo,
    Permissions,
    RoomInfo,
    Speaker,
    TrackInfo,
    TrackSource,
)

_ENABLED_CODECS = (
    models.Codec(mime="audio/opus"),
    models.Codec(mime="audio/PCMU"),
    models.Codec(mime="audio/PCMA"),
    models.Codec(mime="audio/G722"),
)


def number(value: int) -> Any:
    """A number for an enumeration's field: protobuf takes it, its stubs ask for their own type."""
    return int(value)


def room_to_wire(room: RoomInfo) -> models.Room:
    """LiveKit's Room."""
    milliseconds = room.created_at_ns // 1_000_000
    return models.Room(
        sid=room.sid,
        name=room.name,
        empty_timeout=room.empty_timeout,
        departure_timeout=room.departure_timeout,
        max_participants=room.max_participants,
        creation_time=milliseconds // 1000,
        creation_time_ms=milliseconds,
        enabled_codecs=_ENABLED_CODECS,
        metadata=room.metadata,
        num_participants=room.num_participants,
        num_publishers=room.num_publishers,
        active_recording=room.active_recording,
    )


def participant_to_wire(participant: ParticipantInfo) -> models.ParticipantInfo:
    """LiveKit's ParticipantInfo."""
    milliseconds = participant.joined_at_ns // 1_000_000
    return models.ParticipantInfo(
        sid=participant.sid,
        identity=participant.identity,
        name=participant.name,
        state=number(participant.state),
        kind=number(participant.kind),
        kind_details=[number(detail) for detail in participant.kind_details],
        metadata=participant.metadata,
        attributes=participant.attributes,
        tracks=[track_to_wire(track) for track in participant.tracks],
        permission=permissions_to_wire(participant.permissions),
        joined_at=milliseconds // 1000,
        joined_at_ms=milliseconds,
        version=participant.version,
        is_publisher=participant.is_publisher,
        disconnect_reason=number(participant.disconnect_reason),
        client_protocol=participant.client_protocol,
        capabilities=[number(capability) for capability in participant.capabilities],
    )


def track_to_wire(track: TrackInfo) -> models.TrackInfo:
    """LiveKit's TrackInfo."""
    return models.TrackInfo(
        sid=track.sid,
        type=number(track.type),
        name=track.name,
        muted=track.muted,
        source=number(track.source),
        mime_type=track.mime_type,
        mid=track.mid,
        codecs=[models.SimulcastCodecInfo(mime_type=track.mime_type, mid=track.mid, cid=track.cid)],
        stream=track.stream,
        disable_dtx=track.disable_dtx,
        stereo=track.stereo,
        disable_red=track.disable_red,
        encryption=number(track.encryption),
        audio_features=[number(feature) for feature in track.audio_features],
        version=models.TimedVersion(unix_micro=track.updated_at_us),
    )


def permissions_to_wire(permissions: Permissions) -> models.ParticipantPermission:
    """LiveKit's ParticipantPermission."""
    return models.ParticipantPermission(
        can_subscribe=permissions.can_subscribe,
        can_publish=permissions.can_publish,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=[number(source) for source in permissions.can_publish_sources],
        hidden=permissions.hidden,
        recorder=permissions.recorder,
        can_update_metadata=permissions.can_update_metadata,
        agent=permissions.agent,
        can_subscribe_metrics=permissions.can_subscribe_metrics,
        can_manage_agent_session=permissions.can_manage_agent_session,
    )


def permissions_from_wire(message: models.ParticipantPermission) -> Permissions:
    """The whole message counts: what is not set is not permitted."""
    return Permissions(
        can_subscribe=message.can_subscribe,
        can_publish=message.can_publish,
        can_publish_data=message.can_publish_data,
        can_publish_sources=tuple(track_source(number) for number in message.can_publish_sources),
        hidden=message.hidden,
        recorder=message.recorder,
        can_update_metadata=message.can_update_metadata,
        agent=message.agent,
        can_subscribe_metrics=message.can_subscribe_metrics,
        can_manage_agent_session=message.can_manage_agent_session,
    )


def speaker_to_wire(speaker: Speaker) -> models.SpeakerInfo:
    """LiveKit's SpeakerInfo."""
    return models.SpeakerInfo(
        sid=speaker.participant_sid, level=speaker.level, active=speaker.active
    )


def track_source(number: int) -> TrackSource:
    """A source by number; one of tomorrow's is UNKNOWN."""
    try:
        return TrackSource(number)
    except ValueError:
        return TrackSource.UNKNOWN


def audio_features(numbers: Iterable[int]) -> tuple[AudioFeature, ...]:
    """The features we know among these numbers, each once."""
    known = {feature.value: feature for feature in AudioFeature}
    return tuple(known[number] for number in dict.fromkeys(numbers) if number in known)
