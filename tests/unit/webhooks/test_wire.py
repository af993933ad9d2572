"""What receivers read: LiveKit's WebhookEvent as proto-JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from switchroom.agents.events import JobEnded, JobStarted
from switchroom.rooms import events
from switchroom.rooms.dispatches import Dispatch, DispatchSpec, Job, JobKind, JobStatus
from switchroom.rooms.info import ParticipantState, RoomInfo, TrackInfo, TrackType
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.webhooks.wire import Event, name_of, notice_of
from unit.rooms.house import Recorder

ROOM = RoomInfo("RM_1", "büro", 300, 20, 0, 1_800_000_000_123_000_000, metadata="m")
ANN = replace(
    Participant("ann", Recorder(), name="Ann").info(),
    state=ParticipantState.DISCONNECTED,
    disconnect_reason=Reason.DUPLICATE_IDENTITY,
)
TRACK = TrackInfo("TR_1", TrackType.AUDIO, name="mic", mime_type="audio/opus")
AT = 1_800_000_007_999_999_999


def told(event: Event) -> dict[str, Any]:
    notice = notice_of(event, AT, "EV_1")
    assert (notice.sequence, notice.room_sid) == (AT, "RM_1")
    body = json.loads(notice.body)
    assert notice.body.endswith("}")
    assert (body["event"], body["id"]) == (notice.name, "EV_1")
    assert body["createdAt"] == "1800000007"
    return dict(body)


def test_a_room_is_told_whole() -> None:
    body = told(events.RoomStarted(ROOM, ""))
    assert body["event"] == "room_started"
    room = body["room"]
    assert (room["sid"], room["name"], room["metadata"]) == ("RM_1", "büro", "m")
    assert (room["emptyTimeout"], room["creationTimeMs"]) == (300, "1800000000123")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (Reason.ROOM_DELETED, "ROOM_END_API_DELETE"),
        (Reason.ROOM_CLOSED, "ROOM_END_IDLE_TIMEOUT"),
        (Reason.SERVER_SHUTDOWN, "ROOM_END_SERVER_SHUTDOWN"),
    ],
)
def test_the_end_of_a_room_has_a_reason(reason: Reason, word: str) -> None:
    assert told(events.RoomFinished(ROOM, reason))["roomEndReason"] == word


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (events.ParticipantJoined, "participant_joined"),
        (events.ParticipantLeft, "participant_left"),
        (events.ParticipantConnectionAborted, "participant_connection_aborted"),
    ],
)
def test_a_participant_is_told_with_the_whole_room(kind: Any, name: str) -> None:
    body = told(kind(ROOM, ANN))
    assert body["event"] == name
    assert body["room"]["metadata"] == "m"
    assert body["participant"]["identity"] == "ann"
    assert body["participant"]["disconnectReason"] == "DUPLICATE_IDENTITY"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (events.TrackPublished, "track_published"),
        (events.TrackUnpublished, "track_unpublished"),
    ],
)
def test_a_track_is_told_with_room_and_participant_in_short(kind: Any, name: str) -> None:
    body = told(kind(ROOM, ANN, TRACK))
    assert body["event"] == name
    assert body["room"] == {"sid": "RM_1", "name": "büro"}
    assert body["participant"] == {"sid": ANN.sid, "identity": "ann", "name": "Ann"}
    assert (body["track"]["sid"], body["track"]["mimeType"]) == ("TR_1", "audio/opus")


@pytest.mark.parametrize(
    ("kind", "name"), [(JobStarted, "agent_job_started"), (JobEnded, "agent_job_ended")]
)
def test_a_job_is_told_with_its_state(kind: Any, name: str) -> None:
    dispatch = Dispatch("AD_1", "büro", "RM_1", DispatchSpec("caller", metadata="+1"), AT)
    job = Job("AJ_1", "AD_1", JobKind.ROOM, status=JobStatus.FAILED, error="gone", ended_at_ns=AT)
    body = told(kind(ROOM, dispatch, job))
    assert body["event"] == name
    assert body["room"] == {"sid": "RM_1", "name": "büro"}
    assert (body["job"]["id"], body["job"]["agentName"]) == ("AJ_1", "caller")
    assert (body["job"]["state"]["status"], body["job"]["state"]["error"]) == ("JS_FAILED", "gone")


def test_a_room_that_outlives_the_server_neither_ends_nor_begins() -> None:
    assert name_of(events.RoomFinished(ROOM, Reason.SERVER_SHUTDOWN, resumes=True)) == ""
    assert name_of(events.RoomStarted(ROOM, "", restored=True)) == ""
