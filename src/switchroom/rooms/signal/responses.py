"""Writes what clients are told: each function makes the bytes of one SignalResponse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

from livekit.protocol import models, rtc

from switchroom.rooms.info import (
    ConnectionQuality,
    ParticipantInfo,
    RoomInfo,
    Speaker,
    TrackInfo,
)
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.signal.convert import (
    number,
    participant_to_wire,
    room_to_wire,
    speaker_to_wire,
    track_to_wire,
)
from switchroom.rooms.signal.requests import AddTrack, Unsupported, UpdateMetadata

PROTOCOL = 17
"""The newest signal protocol that we speak; clients of the next one are served the same."""

SERVER_VERSION = "1.13.5"
"""The livekit-server release whose behaviour we follow: clients compare it with their needs."""

PING_INTERVAL = 5
PING_TIMEOUT = 15

_SCORES = {
    ConnectionQuality.EXCELLENT: 5.0,
    ConnectionQuality.GOOD: 4.0,
    ConnectionQuality.POOR: 2.0,
    ConnectionQuality.LOST: 0.0,
}


class LeaveAction(IntEnum):
    """What the client is to do: stop, come back with the same connection, or start anew."""

    DISCONNECT = 0
    RESUME = 1
    RECONNECT = 2


class Outcome(IntEnum):
    """LiveKit's RequestResponse.Reason."""

    OK = 0
    NOT_FOUND = 1
    NOT_ALLOWED = 2
    LIMIT_EXCEEDED = 3
    QUEUED = 4
    UNSUPPORTED_TYPE = 5
    UNCLASSIFIED_ERROR = 6


class SubscriptionFailure(IntEnum):
    """LiveKit's SubscriptionError."""

    CODEC_UNSUPPORTED = 1
    TRACK_NOT_FOUND = 2


def join(
    node_id: str,
    room: RoomInfo,
    participant: ParticipantInfo,
    others: Sequence[ParticipantInfo],
    *,
    subscriber_primary: bool,
) -> bytes:
    """The first message of a session. Every field that a client was seen to need is set."""
    return _response(
        join=rtc.JoinResponse(
            room=room_to_wire(room),
            participant=participant_to_wire(participant),
            other_participants=[participant_to_wire(other) for other in others],
            server_version=SERVER_VERSION,
            server_info=server_info(node_id),
            subscriber_primary=subscriber_primary,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            # The browser SDK picks a video codec from this list even if it never sends video.
            enabled_publish_codecs=[
                models.Codec(mime="video/VP8"),
                models.Codec(mime="audio/opus"),
            ],
            fast_publish=participant.permissions.can_publish,
        )
    )


def reconnect(node_id: str, last_sequence: int) -> bytes:
    """The first message of a resumed session; `last_sequence` of the client's reliable messages."""
    return _response(
        reconnect=rtc.ReconnectResponse(
            server_info=server_info(node_id), last_message_seq=last_sequence
        )
    )


def answer(sdp: str, offer_id: int, tracks: Mapping[str, str]) -> bytes:
    """`tracks` maps every mid that carries a track to its sid."""
    return _response(
        answer=rtc.SessionDescription(type="answer", sdp=sdp, id=offer_id, mid_to_track_id=tracks)
    )


def offer(sdp: str, offer_id: int) -> bytes:
    """Our offer for the subscriber connection."""
    return _response(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=offer_id))


def update(participants: Sequence[ParticipantInfo]) -> bytes:
    """Participants as they are now."""
    return _response(
        update=rtc.ParticipantUpdate(
            participants=[participant_to_wire(participant) for participant in participants]
        )
    )


def room_update(room: RoomInfo) -> bytes:
    """The room as it is now."""
    return _response(room_update=rtc.RoomUpdate(room=room_to_wire(room)))


def track_published(cid: str, track: TrackInfo) -> bytes:
    """The answer to AddTrack."""
    return _response(
        track_published=rtc.TrackPublishedResponse(cid=cid, track=track_to_wire(track))
    )


def track_unpublished(track_sid: str) -> bytes:
    """The server ended a track of the client."""
    return _response(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=track_sid))


def track_subscribed(track_sid: str) -> bytes:
    """Somebody receives the client's track: agents send no sound before this."""
    return _response(track_subscribed=rtc.TrackSubscribed(track_sid=track_sid))


def mute(track_sid: str, *, muted: bool) -> bytes:
    """The server muted a track of the client."""
    return _response(mute=rtc.MuteTrackRequest(sid=track_sid, muted=muted))


def leave(reason: DisconnectReason, action: LeaveAction) -> bytes:
    """Go, and what to do next."""
    return _response(
        leave=rtc.LeaveRequest(
            reason=number(reason),
            action=number(action),
            can_reconnect=action is not LeaveAction.DISCONNECT,
        )
    )


def media_sections_requirement(audios: int) -> bytes:
    """Offer again, with so many more audio sections; zero means just that: offer again."""
    return _response(media_sections_requirement=rtc.MediaSectionsRequirement(num_audios=audios))


def speakers_changed(speakers: Sequence[Speaker]) -> bytes:
    """Who became louder or quieter."""
    return _response(
        speakers_changed=rtc.SpeakersChanged(
            speakers=[speaker_to_wire(speaker) for speaker in speakers]
        )
    )


def connection_quality(qualities: Mapping[str, ConnectionQuality]) -> bytes:
    """Qualities by participant sid."""
    return _response(
        connection_quality=rtc.ConnectionQualityUpdate(
            updates=[
                rtc.ConnectionQualityInfo(
                    participant_sid=sid, quality=number(quality), score=_SCORES[quality]
                )
                for sid, quality in qualities.items()
            ]
        )
    )


def subscription_permission(publisher_sid: str, track_sid: str, *, allowed: bool) -> bytes:
    """Whether the client may hear a track that it wants to hear."""
    return _response(
        subscription_permission_update=rtc.SubscriptionPermissionUpdate(
            participant_sid=publisher_sid, track_sid=track_sid, allowed=allowed
        )
    )


def subscription_failed(track_sid: str, failure: SubscriptionFailure) -> bytes:
    """Why a track that the client asked for does not come."""
    return _response(
        subscription_response=rtc.SubscriptionResponse(track_sid=track_sid, err=number(failure))
    )


def refresh_token(token: str) -> bytes:
    """A token to come back with."""
    return _response(refresh_token=token)


def pong(timestamp: int, now_ms: int, *, legacy: bool) -> bytes:
    """The answer to a ping sent at the client's `timestamp`."""
    if legacy:
        return _response(pong=now_ms)
    return _response(pong_resp=rtc.Pong(last_ping_timestamp=timestamp, timestamp=now_ms))


def metadata_outcome(request: UpdateMetadata, outcome: Outcome, message: str = "") -> bytes:
    """How UpdateMetadata went; clients wait for it."""
    return _response(
        request_response=rtc.RequestResponse(
            request_id=request.request_id,
            reason=number(outcome),
            message=message,
            update_metadata=rtc.UpdateParticipantMetadata(request_id=request.request_id),
        )
    )


def add_track_outcome(request: AddTrack, outcome: Outcome, message: str) -> bytes:
    """Why AddTrack is not answered with a track (yet)."""
    return _response(
        request_response=rtc.RequestResponse(
            reason=number(outcome),
            message=message,
            add_track=rtc.AddTrackRequest(
                cid=request.cid,
                name=request.name,
                type=number(request.type),
                source=number(request.source),
            ),
        )
    )


_ECHOED = {
    "publish_data_track_request": "publish_data_track",
    "unpublish_data_track_request": "unpublish_data_track",
}


def not_supported(request: Unsupported) -> bytes:
    """We do not do this; the request is echoed where the protocol has a place for it."""
    response = rtc.RequestResponse(
        request_id=request.request_id,
        reason=number(Outcome.NOT_ALLOWED),
        message=f"{request.field} is not supported",
    )
    place = _ECHOED.get(request.field)
    if place is not None:
        original = rtc.SignalRequest.FromString(request.echo)
        getattr(response, place).CopyFrom(getattr(original, request.field))
    return _response(request_response=response)


def server_info(node_id: str) -> models.ServerInfo:
    """How the server introduces itself, to clients and to agent workers."""
    return models.ServerInfo(
        edition=models.ServerInfo.Standard,
        version=SERVER_VERSION,
        protocol=PROTOCOL,
        node_id=node_id,
        agent_protocol=1,
    )


def _response(**message: object) -> bytes:
    response = rtc.SignalResponse(**message)  # type: ignore[arg-type]  # one field of the oneof
    return response.SerializeToString()
