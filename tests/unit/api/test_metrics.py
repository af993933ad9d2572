"""What /metrics says after calls, rooms and requests of which everything is known."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from switchroom.agents.events import JobEnded, JobStarted
from switchroom.api.call_figures import CallFigures
from switchroom.api.metrics import Metrics
from switchroom.api.node_figures import NodeFigures
from switchroom.api.room_figures import RoomFigures
from switchroom.api.twirp import Answered
from switchroom.base.config_settings import PrometheusSettings
from switchroom.base.errors import ErrorCode
from switchroom.base.metrics import Figures
from switchroom.base.overload import Load, Overloaded
from switchroom.media.stats import EngineStats
from switchroom.rooms.dispatches import Dispatch, DispatchSpec, Job, JobKind, JobStatus
from switchroom.rooms.events import (
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from switchroom.rooms.info import (
    ParticipantInfo,
    ParticipantKind,
    ParticipantState,
    Permissions,
    RoomInfo,
    TrackInfo,
    TrackType,
)
from switchroom.rooms.reasons import DisconnectReason
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import (
    CallDirection,
    CallRecord,
    MediaFigures,
    StatusChange,
)
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer_outcome import TransferRecord, TransferStatus
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)

from .conftest import Client, Clock

SECOND = 1_000_000_000
NOW = 1_800_001_000 * SECOND
"""What the clock of these tests shows."""

RINGING = CallRecord(
    call_id="SCL_1",
    room_name="r",
    participant_identity="phone",
    from_number="+15550000000",
    to_number="+15105550123",
    trunk_id="ST_1",
    trunk_address="sip.example.com:5070;transport=tcp",
    created_at=NOW,
    path=(StatusChange(CallStatus.RINGING, NOW + SECOND),),
)
ANSWERED = replace(RINGING, answered_at=NOW + 4 * SECOND, codec="PCMU/8000")
OVER = replace(
    ANSWERED,
    ended_at=NOW + 64 * SECOND,
    termination=Termination(Cause.BYE, was_active=True),
    media=MediaFigures(packets_in=2970, lost_in=30, jitter_in_ms=4.0, packets_out=3000, lost_out=3),
)
OUT = 'dir="out",to="sip.example.com"'


@pytest.fixture
def figures() -> Figures:
    return Figures({})


def lines(figures: Figures) -> list[str]:
    return figures.text().decode().splitlines()


def test_a_call_is_counted_once_at_each_of_its_steps(figures: Figures) -> None:
    calls = CallFigures(figures)
    calls.hear(CallStarted(RINGING))
    calls.hear(CallChanged(RINGING))
    assert f"livekit_sip_calls_active{{{OUT}}} 1" in lines(figures)
    for _ in range(2):
        calls.hear(CallChanged(ANSWERED))
    calls.hear(CallEnded(OVER))
    told = lines(figures)
    for line in (
        'livekit_sip_invite_requests{dir="out"} 1',
        f"livekit_sip_invite_accepted{{{OUT}}} 1",
        f"livekit_sip_calls_active{{{OUT}}} 0",
        f'livekit_sip_calls_terminated{{{OUT},result="success",reason="bye"}} 1',
        'livekit_sip_dur_call_sec_sum{dir="out"} 60',
        'livekit_sip_dur_session_sec_sum{dir="out"} 64',
        'livekit_sip_post_dial_delay_seconds_sum{dir="out"} 1',
        'livekit_sip_answer_delay_seconds_sum{dir="out"} 4',
        f'livekit_sip_packets_rtp{{{OUT},op="recv",payload="PCMU/8000"}} 2970',
        'livekit_sip_rtp_loss_ratio_sum{dir="out",op="recv"} 0.01',
        'livekit_sip_rtp_loss_ratio_sum{dir="out",op="send"} 0.001',
        'livekit_sip_rtp_jitter_seconds_sum{dir="out",op="recv"} 0.004',
    ):
        assert line in told, line
    assert not [line for line in told if line.startswith("livekit_sip_invite_error{")]


def test_a_call_that_was_refused_at_once_is_a_request_and_an_error(figures: Figures) -> None:
    calls = CallFigures(figures)
    refused = replace(
        RINGING,
        direction=CallDirection.INBOUND,
        trunk_address="",
        path=(),
        ended_at=NOW,
        termination=Termination(Cause.NO_RULE),
    )
    calls.hear(CallEnded(refused))
    told = lines(figures)
    assert 'livekit_sip_invite_requests{dir="in"} 1' in told
    assert 'livekit_sip_invite_error{dir="in",to="",reason="no-rule"} 1' in told
    assert 'livekit_sip_calls_active{dir="in",to=""} 0' in told


def test_transfers_and_holds_are_counted_as_they_go(figures: Figures) -> None:
    calls = CallFigures(figures)
    transfer = TransferRecord("STR_1", "tel:+1", NOW)
    calls.hear(CallTransferChanged(ANSWERED, transfer))
    assert 'livekit_sip_transfers_active{dir="out"} 1' in lines(figures)
    calls.hear(CallTransferChanged(ANSWERED, replace(transfer, status=TransferStatus.SUCCESSFUL)))
    calls.hear(CallTransferChanged(ANSWERED, transfer))
    calls.hear(CallTransferChanged(ANSWERED, replace(transfer, status=TransferStatus.FAILED)))
    calls.hear(CallHeld(ANSWERED, held=True))
    told = lines(figures)
    for line in (
        'livekit_sip_transfers_total{dir="out"} 2',
        'livekit_sip_transfers_succeeded_total{dir="out"} 1',
        'livekit_sip_transfers_failed_total{dir="out",reason="unspecified"} 1',
        'livekit_sip_transfers_active{dir="out"} 0',
        'switchroom_sip_holds_total{what="held"} 1',
    ):
        assert line in told, line


ROOM = RoomInfo("RM_1", "r", 300, 20, 0, NOW - 30 * SECOND)
ANN = ParticipantInfo(
    sid="PA_1",
    identity="ann",
    name="",
    state=ParticipantState.ACTIVE,
    kind=ParticipantKind.STANDARD,
    kind_details=(),
    metadata="",
    attributes={},
    tracks=(),
    permissions=Permissions(),
    joined_at_ns=NOW - 10 * SECOND,
    version=1,
    is_publisher=True,
    disconnect_reason=DisconnectReason.CLIENT_INITIATED,
    client_protocol=1,
    capabilities=(),
)
VOICE = TrackInfo("TR_1", TrackType.AUDIO)


def test_rooms_and_those_in_them_are_counted(figures: Figures, clock: Clock) -> None:
    rooms = RoomFigures(figures, clock)
    rooms.hear(RoomStarted(ROOM, ""))
    rooms.hear(ParticipantJoined(ROOM, ANN))
    rooms.hear(TrackPublished(ROOM, ANN, VOICE))
    told = lines(figures)
    assert "livekit_room_total 1" in [line.replace("{}", "") for line in told]
    assert 'livekit_track_published_total{kind="AUDIO"} 1' in told
    rooms.hear(TrackUnpublished(ROOM, ANN, VOICE))
    rooms.hear(ParticipantLeft(ROOM, ANN))
    rooms.hear(ParticipantConnectionAborted(ROOM, ANN))
    rooms.hear(RoomFinished(ROOM, DisconnectReason.ROOM_DELETED))
    told = [line.replace("{}", "") for line in lines(figures)]
    for line in (
        "livekit_room_total 0",
        "livekit_room_duration_seconds_sum 30",
        "livekit_participant_total 0",
        'livekit_session_duration_ms_sum{protocol_version="1"} 10000',
        'livekit_participant_join_total{state="rtc_canceled"} 1',
        'livekit_track_published_total{kind="AUDIO"} 0',
        'livekit_track_publish_counter{kind="AUDIO",state="success"} 1',
    ):
        assert line in told, line


def test_jobs_are_counted_and_one_that_nobody_took_was_never_begun(
    figures: Figures, clock: Clock
) -> None:
    rooms = RoomFigures(figures, clock)
    dispatch = Dispatch("AD_1", ROOM.name, ROOM.sid, DispatchSpec("a"), NOW)
    job = Job("AJ_1", "AD_1", JobKind.ROOM)
    rooms.hear_job(JobEnded(ROOM, dispatch, replace(job, id="AJ_0", status=JobStatus.FAILED)))
    rooms.hear_job(JobStarted(ROOM, dispatch, job))
    assert "switchroom_agent_jobs{} 1" in lines(figures)
    rooms.hear_job(JobEnded(ROOM, dispatch, replace(job, status=JobStatus.SUCCESS)))
    told = lines(figures)
    assert "switchroom_agent_jobs{} 0" in told
    assert 'switchroom_agent_jobs_ended_total{status="success",reason="unspecified"} 1' in told
    assert 'switchroom_agent_jobs_ended_total{status="failed",reason="unspecified"} 1' in told


def test_the_node_tells_its_load_and_how_the_api_fared(figures: Figures) -> None:
    node = NodeFigures(figures, lambda: Load(0.5, 0.003), lambda: True, lambda: 7, lambda: 9)
    node.answered(Answered("RoomService", "ListRooms", None, 0.004))
    node.answered(Answered("SIP", "CreateSIPParticipant", ErrorCode.UNAVAILABLE, 0.1))
    node.invite_came()
    node.refused(Overloaded("cpu", "…", 30))
    node.engine(EngineStats((), (), players=1, sources=2, sinks=3, unknown_datagrams=4))
    told = [line.replace("{}", "") for line in lines(figures)]
    for line in (
        'livekit_node_cpu_load{node_type="SIP"} 0.5',
        "livekit_sip_available 1",
        "livekit_sip_invite_requests_raw 1",
        "switchroom_webhooks_waiting 7",
        "switchroom_sip_transactions 9",
        "switchroom_event_loop_lag_seconds 0.003",
        'switchroom_calls_refused_total{reason="cpu"} 1',
        'switchroom_engine_open{kind="sinks"} 3',
        "switchroom_engine_unknown_datagrams_total 4",
    ):
        assert line in told, line
    served = 'service="RoomService",method="ListRooms",status="2xx"'
    failed = 'service="SIP",method="CreateSIPParticipant",status="5xx"'
    assert f'livekit_node_twirp_request_status{{{served},code=""}} 1' in told
    assert f'livekit_node_twirp_request_status{{{failed},code="unavailable"}} 1' in told
    assert f"livekit_node_twirp_request_latency_ms_sum{{{served}}} 4" in told


@pytest.fixture
def serve_metrics(figures: Figures) -> Callable[..., Client]:
    def build(**settings: Any) -> Client:
        async def refresh() -> None:
            figures.counter("refreshed", "…").add()

        return Client(Metrics(figures, PrometheusSettings(port=1, **settings), refresh))

    return build


async def test_the_figures_are_served_to_everybody_without_a_password(
    serve_metrics: Callable[..., Client],
) -> None:
    reply = await serve_metrics().send("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "process_open_fds" in reply.text
    assert "refreshed{} 1" in reply.text
    assert (await serve_metrics().send("POST", "/metrics")).status == 405


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Basic " + base64.b64encode(b"prom:hunter2").decode(), 200),
        ("basic " + base64.b64encode(b"prom:hunter2").decode(), 200),
        ("Basic " + base64.b64encode(b"prom:wrong").decode(), 401),
        ("Bearer " + base64.b64encode(b"prom:hunter2").decode(), 401),
        ("Basic ÄÖ%%", 401),
        ("", 401),
    ],
)
async def test_with_a_password_only_who_knows_it_is_served(
    serve_metrics: Callable[..., Client], authorization: str, status: int
) -> None:
    client = serve_metrics(username="prom", password="hunter2")
    reply = await client.send("GET", "/metrics", headers={"Authorization": authorization})
    assert reply.status == status
    assert ("process_open_fds" in reply.text) is (status == 200)
