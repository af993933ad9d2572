"""What rooms and agents tell, in LiveKit's words: the WebhookEvent that receivers know."""

from __future__ import annotations

from google.protobuf import json_format
from livekit.protocol import models, webhook

from switchroom.agents.events import JobEnded, JobEvent, JobStarted
from switchroom.agents.protocol import job_to_wire
from switchroom.rooms import events
from switchroom.rooms.info import ParticipantInfo, RoomInfo
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.signal_convert import participant_to_wire, room_to_wire, track_to_wire
from switchroom.webhooks.notice import Notice

_NAMES: dict[type[object], str] = {
    events.RoomStarted: "room_started",
    events.RoomFinished: "room_finished",
    events.ParticipantJoined: "participant_joined",
    events.ParticipantLeft: "participant_left",
    events.ParticipantConnectionAborted: "participant_connection_aborted",
    events.TrackPublished: "track_published",
    events.TrackUnpublished: "track_unpublished",
    JobStarted: "agent_job_started",
    JobEnded: "agent_job_ended",
}
_END_REASONS = {
    DisconnectReason.ROOM_DELETED: models.ROOM_END_API_DELETE,
    DisconnectReason.ROOM_CLOSED: models.ROOM_END_IDLE_TIMEOUT,
    DisconnectReason.SERVER_SHUTDOWN: models.ROOM_END_SERVER_SHUTDOWN,
}
_NS = 1_000_000_000

Event = events.RoomEvent | JobEvent


def name_of(event: Event) -> str:
    """LiveKit's name of an event; empty for what is told to nobody outside."""
    # A room that is kept neither ends nor begins by a restart of the server.
    if isinstance(event, events.RoomStarted) and event.restored:
        return ""
    if isinstance(event, events.RoomFinished) and event.resumes:
        return ""
    return _NAMES.get(type(event), "")


def notice_of(event: Event, sequence: int, id_: str) -> Notice:
    """An event that has a name, as it is sent. `sequence` is its time in Unix nanoseconds."""
    name = name_of(event)
    message = webhook.WebhookEvent(event=name, id=id_, created_at=sequence // _NS)
    match event:
        case events.TrackPublished() | events.TrackUnpublished():
            # LiveKit sends no more of the room and the participant with these.
            message.room.CopyFrom(_room_in_short(event.room))
            message.participant.CopyFrom(_participant_in_short(event.participant))
            message.track.CopyFrom(track_to_wire(event.track))
        case events.RoomStarted():
            message.room.CopyFrom(room_to_wire(event.room))
        case events.RoomFinished():
            message.room.CopyFrom(room_to_wire(event.room))
            message.room_end_reason = _END_REASONS.get(event.reason, models.ROOM_END_UNKNOWN)
        case (
            events.ParticipantJoined()
            | events.ParticipantLeft()
            | events.ParticipantConnectionAborted()
        ):
            message.room.CopyFrom(room_to_wire(event.room))
            message.participant.CopyFrom(participant_to_wire(event.participant))
        case JobStarted() | JobEnded():
            message.room.CopyFrom(_room_in_short(event.room))
            message.job.CopyFrom(job_to_wire(event.room, event.dispatch, event.job))
        case _:
            message.room.CopyFrom(_room_in_short(event.room))
    return Notice(sequence, id_, name, event.room.sid, _to_json(message))


def _room_in_short(room: RoomInfo) -> models.Room:
    return models.Room(sid=room.sid, name=room.name)


def _participant_in_short(participant: ParticipantInfo) -> models.ParticipantInfo:
    return models.ParticipantInfo(
        sid=participant.sid, identity=participant.identity, name=participant.name
    )


def _to_json(message: webhook.WebhookEvent) -> str:
    return json_format.MessageToJson(message, indent=None)
