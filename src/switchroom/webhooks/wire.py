"""What rooms, agents and telephony tell, in LiveKit's words: the WebhookEvent receivers know."""

from __future__ import annotations

from google.protobuf import json_format
from livekit.protocol import models, webhook

from switchroom.agents.events import JobEnded, JobEvent, JobStarted
from switchroom.agents.protocol import job_to_wire
from switchroom.rooms import events
from switchroom.rooms.info import ParticipantInfo, RoomInfo
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.signal.convert import participant_to_wire, room_to_wire, track_to_wire
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)
from switchroom.webhooks.call_wire import call_event_body, call_event_name
from switchroom.webhooks.notice import Notice
from switchroom.webhooks.stores import Announcement

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
_ENDS: dict[type[object], str] = {
    events.RoomStarted: "room_finished",
    events.ParticipantJoined: "participant_left",
}
_END_REASONS = {
    DisconnectReason.ROOM_DELETED: models.ROOM_END_API_DELETE,
    DisconnectReason.ROOM_CLOSED: models.ROOM_END_IDLE_TIMEOUT,
    DisconnectReason.SERVER_SHUTDOWN: models.ROOM_END_SERVER_SHUTDOWN,
}
_NS = 1_000_000_000

Event = events.RoomEvent | JobEvent | CallEvent
_CALL_EVENTS = (CallStarted, CallChanged, CallHeld, CallTransferChanged, CallEnded)


def name_of(event: Event) -> str:
    """LiveKit's name of an event; empty for what is told to nobody outside."""
    if isinstance(event, _CALL_EVENTS):
        return call_event_name(event)
    # A room that is kept neither ends nor begins by a restart of the server.
    if isinstance(event, events.RoomStarted) and event.restored:
        return ""
    if isinstance(event, events.RoomFinished) and event.resumes:
        return ""
    return _NAMES.get(type(event), "")


def end_name_of(event: Event) -> str:
    """The name of the event that will end what this one announces, if it announces anything."""
    return _ENDS.get(type(event), "")


def notice_of(event: Event, sequence: int, id_: str) -> Notice:
    """An event that has a name, as it is sent. `sequence` is its time in Unix nanoseconds."""
    name = name_of(event)
    if isinstance(event, _CALL_EVENTS):
        body = call_event_body(event, sequence, id_)
        return Notice(sequence, id_, name, event.record.room_sid, body)
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
    return Notice(sequence, id_, name, event.room.sid, _to_json(message))


def announcement_of(event: Event, notice: Notice) -> Announcement | None:
    """What a notice announces, if it announces somebody or a room."""
    match event:
        case events.RoomStarted():
            return Announcement(event.room.sid, "", notice.body)
        case events.ParticipantJoined():
            return Announcement(event.room.sid, event.participant.sid, notice.body)
        case _:
            return None


def ended_by(event: Event) -> Announcement | None:
    """The announcement that an event brings to its end."""
    match event:
        case events.RoomFinished(resumes=False):
            return Announcement(event.room.sid, "", "")
        case events.ParticipantLeft():
            return Announcement(event.room.sid, event.participant.sid, "")
        case _:
            return None


def end_of(announced: Announcement, sequence: int, id_: str) -> Notice:
    """The end of somebody, or a room, that went down with the server."""
    message = webhook.WebhookEvent()
    json_format.Parse(announced.body, message, ignore_unknown_fields=True)
    message.id, message.created_at = id_, sequence // _NS
    message.room.num_participants = message.room.num_publishers = 0
    if announced.participant_sid:
        message.event = "participant_left"
        message.participant.state = models.ParticipantInfo.DISCONNECTED
        message.participant.disconnect_reason = models.SERVER_SHUTDOWN
    else:
        message.event = "room_finished"
        message.room_end_reason = models.ROOM_END_SERVER_SHUTDOWN
    return Notice(sequence, id_, message.event, announced.room_sid, _to_json(message))


def _room_in_short(room: RoomInfo) -> models.Room:
    return models.Room(sid=room.sid, name=room.name)


def _participant_in_short(participant: ParticipantInfo) -> models.ParticipantInfo:
    return models.ParticipantInfo(
        sid=participant.sid, identity=participant.identity, name=participant.name
    )


def _to_json(message: webhook.WebhookEvent) -> str:
    return json_format.MessageToJson(message, indent=None)
