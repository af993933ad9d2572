"""What rooms tell the rest of the house. The listeners are named in `app.py`.

A listener is called at once and must not wait or fail; what it has to do that takes time, it does
in a task of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from switchroom.base.records import record
from switchroom.rooms.info import ParticipantInfo, RoomInfo, TrackInfo
from switchroom.rooms.reasons import DisconnectReason


@record
class RoomStarted:
    """A room came to be. `configuration` is the proto-JSON it was created with, or empty.

    A `restored` room was created before a restart of the server and kept.
    """

    room: RoomInfo
    configuration: str
    restored: bool = False


@record
class RoomFinished:
    """A room is closed; everybody has left.

    `reason` is ROOM_DELETED, ROOM_CLOSED or SERVER_SHUTDOWN. One that `resumes` is there again,
    with the same sid, when the server is back.
    """

    room: RoomInfo
    reason: DisconnectReason
    resumes: bool = False


@record
class ParticipantJoined:
    """A participant became ACTIVE: media can flow."""

    room: RoomInfo
    participant: ParticipantInfo


@record
class ParticipantLeft:
    """A participant that had been ACTIVE left; `participant.disconnect_reason` says why."""

    room: RoomInfo
    participant: ParticipantInfo


@record
class ParticipantConnectionAborted:
    """A participant left without ever having been ACTIVE."""

    room: RoomInfo
    participant: ParticipantInfo


@record
class TrackPublished:
    """A track can be heard from now on."""

    room: RoomInfo
    participant: ParticipantInfo
    track: TrackInfo


@record
class TrackUnpublished:
    """A track ended."""

    room: RoomInfo
    participant: ParticipantInfo
    track: TrackInfo


RoomEvent = (
    RoomStarted
    | RoomFinished
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantConnectionAborted
    | TrackPublished
    | TrackUnpublished
)
Listener = Callable[[RoomEvent], None]
