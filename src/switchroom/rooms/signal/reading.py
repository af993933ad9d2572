"""Reads what clients say: SignalRequest bytes to records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from switchroom.rooms.info import TrackType
from switchroom.rooms.reasons import LEAVE_REASONS, DisconnectReason
from switchroom.rooms.signal.convert import audio_features, track_source
from switchroom.rooms.signal.requests import (
    AddTrack,
    Answer,
    Leave,
    MuteTrack,
    Offer,
    Ping,
    SetAudience,
    SignalRequest,
    Simulate,
    Subscription,
    SyncState,
    TrackSettings,
    Trickle,
    Unsupported,
    UpdateAudioTrack,
    UpdateMetadata,
)
from switchroom.rooms.subscriptions import Audience, TrackPermission

_MAX_SIMULATED = 60
"""Seconds that a simulated speaker speaks at most."""

_MAX_LISTED = 10_000
"""Sids read from one message; what is beyond is ignored."""


class SignalGarbage(Exception):
    """The bytes are no SignalRequest."""


def read_request(data: bytes) -> SignalRequest | None:
    """Decode one message; None for those that need no answer and no action here.

    Raises SignalGarbage.
    """
    try:
        message = rtc.SignalRequest.FromString(data)
    except (DecodeError, ValueError) as garbage:
        raise SignalGarbage("not a SignalRequest") from garbage
    field = message.WhichOneof("message")
    reader = _READERS.get(field or "")
    return reader(message) if reader is not None else None


def read_add_track(message: rtc.AddTrackRequest) -> AddTrack:
    """An AddTrackRequest, alone or inside a join request."""
    features = audio_features(
        [
            *message.audio_features,
            *((0,) if message.stereo else ()),
            *((1,) if message.disable_dtx else ()),
        ]
    )
    return AddTrack(
        cid=message.cid,
        name=message.name,
        type=TrackType(message.type) if message.type in (0, 1, 2) else TrackType.DATA,
        source=track_source(message.source),
        muted=message.muted,
        sid=message.sid,
        stream=message.stream,
        disable_dtx=message.disable_dtx,
        stereo=message.stereo,
        disable_red=message.disable_red,
        encryption=message.encryption,
        audio_features=features,
    )


def read_sync_state(message: rtc.SyncState) -> SyncState:
    """A SyncState, alone or inside a join request."""
    return SyncState(
        published=tuple(published.track.sid for published in message.publish_tracks[:_MAX_LISTED]),
        subscription=(
            _subscription(message.subscription) if message.HasField("subscription") else None
        ),
        disabled=tuple(message.track_sids_disabled[:_MAX_LISTED]),
        last_sequences={
            state.publisher_sid: state.last_seq
            for state in message.datachannel_receive_states[:_MAX_LISTED]
        },
    )


def _subscription(message: rtc.UpdateSubscription) -> Subscription:
    sids: list[str] = list(message.track_sids[:_MAX_LISTED])
    for tracks in message.participant_tracks[:_MAX_LISTED]:
        sids.extend(tracks.track_sids[:_MAX_LISTED])
    return Subscription(tuple(sids[:_MAX_LISTED]), message.subscribe)


def _trickle(message: rtc.SignalRequest) -> Trickle | None:
    """The candidate inside `candidateInit`, JSON as RTCIceCandidateInit has it."""
    trickle = message.trickle
    try:
        init = json.loads(trickle.candidateInit)
    except (ValueError, RecursionError):
        return None
    candidate = init.get("candidate") if isinstance(init, dict) else None
    # It is ASCII (RFC 8839 section 5.1); JSON can bring half of a surrogate pair.
    if not isinstance(candidate, str) or not candidate or not candidate.isascii():
        return None
    return Trickle(candidate, subscriber=trickle.target == rtc.SignalTarget.SUBSCRIBER)


def _leave(message: rtc.SignalRequest) -> Leave:
    known = {reason.value: reason for reason in LEAVE_REASONS}
    return Leave(known.get(message.leave.reason, DisconnectReason.CLIENT_INITIATED))


def _audience(message: rtc.SignalRequest) -> SetAudience:
    said = message.subscription_permission
    permissions = (
        TrackPermission(
            participant_sid=entry.participant_sid,
            participant_identity=entry.participant_identity,
            all_tracks=entry.all_tracks,
            track_sids=frozenset(entry.track_sids[:_MAX_LISTED]),
        )
        for entry in said.track_permissions[:_MAX_LISTED]
    )
    return SetAudience(Audience() if said.all_participants else Audience.of(permissions))


def _update_metadata(message: rtc.SignalRequest) -> UpdateMetadata:
    said = message.update_metadata
    return UpdateMetadata(said.name, said.metadata, dict(said.attributes), said.request_id)


def _sids(listed: Iterable[str]) -> tuple[str, ...]:
    return tuple(listed)[:_MAX_LISTED]


def _unsupported(field: str) -> Callable[[rtc.SignalRequest], Unsupported]:
    def read(message: rtc.SignalRequest) -> Unsupported:
        request_id = getattr(getattr(message, field), "request_id", 0)
        return Unsupported(field, request_id, message.SerializeToString())

    return read


_READERS: dict[str, Callable[[rtc.SignalRequest], SignalRequest | None]] = {
    "offer": lambda m: Offer(m.offer.sdp, m.offer.id),
    "answer": lambda m: Answer(m.answer.sdp, m.answer.id),
    "trickle": _trickle,
    "add_track": lambda m: read_add_track(m.add_track),
    "mute": lambda m: MuteTrack(m.mute.sid, m.mute.muted),
    "subscription": lambda m: _subscription(m.subscription),
    "track_setting": lambda m: TrackSettings(
        _sids(m.track_setting.track_sids), m.track_setting.disabled
    ),
    "leave": _leave,
    "subscription_permission": _audience,
    "sync_state": lambda m: read_sync_state(m.sync_state),
    "simulate": lambda m: Simulate(
        m.simulate.WhichOneof("scenario") or "", min(abs(m.simulate.speaker_update), _MAX_SIMULATED)
    ),
    "ping": lambda m: Ping(m.ping, legacy=True),
    "ping_req": lambda m: Ping(m.ping_req.timestamp, legacy=False),
    "update_metadata": _update_metadata,
    "update_audio_track": lambda m: UpdateAudioTrack(
        m.update_audio_track.track_sid, audio_features(m.update_audio_track.features)
    ),
    "publish_data_track_request": _unsupported("publish_data_track_request"),
    "unpublish_data_track_request": _unsupported("unpublish_data_track_request"),
    "store_data_blob_request": _unsupported("store_data_blob_request"),
    "get_data_blob_request": _unsupported("get_data_blob_request"),
}
