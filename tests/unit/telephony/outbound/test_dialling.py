"""The dial, cell by cell, up to the end of its call: no clock, no loop, no socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from switchroom.rooms.reasons import DisconnectReason
from switchroom.sdp.codecs import PCMA, PCMU, telephone_event
from switchroom.sdp.crypto import FreshKeys, SrtpPolicy
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Acknowledged,
    Answered,
    AuthProblem,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    InfoReceived,
    OfferReceived,
    Provisional,
    SipFailure,
)
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call import CallPlan, Machine, Phase
from switchroom.telephony.calls.call_events import CallStatus, Guest
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.outbound import dial_events as dial
from switchroom.telephony.outbound.dialling import _CELLS, Dialling, DialPlan, Stage, begin
from switchroom.telephony.routing.headers import AttributeRules, HeaderOptions

_GUEST = Guest("room", "sip_1", attributes={"sip.callStatus": "dialing"})
_PLAN = DialPlan(
    call=CallPlan(max_duration=600.0, first_silence=30.0, silence=15.0),
    guest=_GUEST,
    codecs=(PCMU, PCMA, telephone_event()),
    ringing_timeout=30.0,
)
_LEG = LegDescription.offering(("192.0.2.1", 10000), _PLAN.codecs, 42)
_HEADERS = Headers((("To", "<sip:1@c>;tag=far"), ("Call-ID", "abc"), ("X-Call_Leg_Id", "leg-1")))


def _sdp(codecs: str = "0 8 101", direction: str = "sendrecv", port: int = 4000) -> bytes:
    return (
        "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codecs}\r\na=rtpmap:101 telephone-event/8000\r\n"
        f"a={direction}\r\n"
    ).encode()


_ANSWER = Answered(200, "OK", _HEADERS, _sdp(), "far")
_RINGING = Provisional(180, "Ringing", Headers(), b"")
_SDP_BODY = Headers((("Content-Type", "application/sdp"),))
_CANCELLED = Failed(SipFailure(FailureKind.CANCELLED))


def _call(plan: DialPlan = _PLAN) -> Machine:
    return begin(plan, _LEG, 0.0)[0]


def _after(call: Machine, *events: object, now: float = 1.0) -> Machine:
    for event in events:
        call, _ = call.step(event, now)
    return call


def _commands(call: Machine, event: object, now: float = 1.0) -> Sequence[object]:
    return call.step(event, now)[1]


def _ending(call: Machine) -> Termination | None:
    return call.call.termination


def _kinds(commands: Sequence[object]) -> list[str]:
    return [type(command).__name__ for command in commands]


_WITH_DIGITS = replace(_PLAN, digits="12w3")
_WAITED_FOR = _call(replace(_PLAN, answer_by=50.0))
_PREPARING = _call()
_DIALING = _after(_PREPARING, do.Joined())
_RINGS = _after(_DIALING, _RINGING)
_AUTOMATION = _after(_call(_WITH_DIGITS), do.Joined(), _ANSWER)
_STORING = _after(_WAITED_FOR, do.Joined(), _ANSWER)
_ACTIVE = _after(_RINGS, _ANSWER)
_ENDED = _after(_ACTIVE, do.Stopping())
_STAGES = {
    Stage.PREPARING: _PREPARING,
    Stage.DIALING: _DIALING,
    Stage.RINGING: _RINGS,
    Stage.AUTOMATION: _AUTOMATION,
    Stage.STORING: _STORING,
}
_EVENTS: tuple[object, ...] = (
    do.Joined(),
    do.JoinRefused("room is full"),
    dial.DialStored(),
    dial.Undialable("bad"),
    do.AnswerStored(),
    do.MediaStarted(),
    do.MediaLost(),
    do.DigitsPlayed(),
    do.DigitFromPhone("5"),
    do.DigitsFromRoom("5"),
    do.RoomClosed(DisconnectReason.ROOM_DELETED),
    dial.WaiterJoined(5.0),
    do.Abandoned(),
    do.Stopping(),
    do.DeadlineReached(),
    _RINGING,
    _ANSWER,
    _CANCELLED,
    ByeReceived(Headers()),
    DialogEnded(),
    OfferReceived(1, _sdp(), Headers()),
    Acknowledged(1, b""),
    InfoReceived("application/dtmf", Headers(), b"5"),
)


def _stage(machine: Machine) -> Stage | None:
    return machine.stage if isinstance(machine, Dialling) else None


@pytest.mark.parametrize("stage", Stage)
def test_the_samples_are_in_the_stages_they_stand_for(stage: Stage) -> None:
    assert _stage(_STAGES[stage]) is stage


@pytest.mark.parametrize("event", _EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_every_event_is_handled_by_the_dial_or_its_call(stage: Stage, event: object) -> None:
    before = _STAGES[stage]
    after, commands = before.step(event, 1.0)
    if (stage, type(event)) not in _CELLS:
        assert (after.call, commands[: len(before.call.step(event, 1.0)[1])]) == (
            before.call.step(event, 1.0)
        )
    if after.call.phase is Phase.ENDED:
        assert _ending(after) is not None
        assert _stage(after) is None
        told = "ReportActive" if stage is Stage.STORING else "ReportEnded"
        assert _kinds(commands)[-3:] == ["CloseLeg", "StoreEnd", told]


def test_every_cell_of_the_table_is_walked() -> None:
    walked = {(stage, type(event)) for stage in Stage for event in _EVENTS}
    assert set(_CELLS) <= walked


# ── a call that goes well ────────────────────────────────────────────────────


def test_the_phone_joins_the_room_before_anybody_is_called() -> None:
    assert _kinds(begin(_PLAN, _LEG, 0.0)[1]) == ["JoinRoom"]


def test_the_record_is_queued_before_the_invite_and_the_request_told_after() -> None:
    commands = _commands(_PREPARING, do.Joined())
    assert _kinds(commands) == ["PublishTrack", "StoreDial", "SendInvite", "ReportDialed"]
    assert dial.SendInvite(_LEG.body) in commands


def test_a_durable_dial_waits_for_the_disk() -> None:
    call = _call(replace(_PLAN, durable_dial=True))
    call, commands = call.step(do.Joined(), 1.0)
    assert commands == [do.PublishTrack(tone=False), dial.StoreDial(durable=True)]
    assert _kinds(_commands(call, dial.DialStored())) == ["SendInvite", "ReportDialed"]


def test_a_dial_that_cannot_be_recorded_is_not_placed() -> None:
    call = _after(_call(replace(_PLAN, durable_dial=True)), do.Joined())
    call, commands = call.step(dial.DialStored("disk full"), 1.0)
    assert _ending(call) == Termination(Cause.STORAGE_FAILED, detail="disk full")
    assert "SendInvite" not in _kinds(commands)
    assert do.LeaveRoom(DisconnectReason.UNKNOWN_REASON) in commands


def test_the_track_carries_the_dial_tone_if_asked() -> None:
    commands = _commands(_call(replace(_PLAN, play_dialtone=True)), do.Joined())
    assert do.PublishTrack(tone=True) in commands


@pytest.mark.parametrize("status", [180, 181, 182, 183, 199])
def test_the_first_status_from_180_on_rings(status: int) -> None:
    call, commands = _DIALING.step(Provisional(status, "", Headers(), b""), 1.0)
    assert _stage(call) is Stage.RINGING
    assert commands == [do.SetStatus(CallStatus.RINGING, {})]


def test_trying_does_not_ring_and_ringing_is_told_once() -> None:
    assert _commands(_DIALING, Provisional(100, "Trying", Headers(), b"")) == []
    assert _commands(_RINGS, _RINGING) == []


def test_providers_identifiers_are_told_as_they_come() -> None:
    trying = Provisional(100, "", Headers((("X-Twilio-CallSid", "CA1"),)), b"")
    told = {"sip.twilio.callSid": "CA1"}
    assert _commands(_DIALING, trying) == [do.SetAttributes(told)]
    ringing = replace(trying, status=180)
    assert _commands(_DIALING, ringing) == [do.SetStatus(CallStatus.RINGING, told)]
    assert _commands(_RINGS, ringing) == [do.SetAttributes(told)]


def test_the_answer_connects_both_ways_in_order_and_the_room_is_heard_last() -> None:
    commands = _commands(_RINGS, _ANSWER)
    assert _kinds(commands) == [
        "UpdateLeg", "StoreAnswer", "ConnectTrack", "SetStatus", "HearRoom", "ReportActive",
    ]  # fmt: skip


def test_the_answer_tells_the_dialog_and_the_providers_identifiers() -> None:
    status = next(c for c in _commands(_RINGS, _ANSWER) if isinstance(c, do.SetStatus))
    assert status == do.SetStatus(
        CallStatus.ACTIVE,
        {"sip.callTag": "far", "sip.callIDFull": "abc", "sip.telnyx.callLegID": "leg-1"},
    )


def test_the_answers_headers_are_told_as_the_trunk_wishes() -> None:
    rules = AttributeRules(HeaderOptions.X_HEADERS, (("To", "callee"),))
    plan = replace(_PLAN, call=replace(_PLAN.call, attribute_rules=rules))
    call = _after(_call(plan), do.Joined())
    status = next(c for c in _commands(call, _ANSWER) if isinstance(c, do.SetStatus))
    assert status.attributes["sip.h.x-call_leg_id"] == "leg-1"
    assert status.attributes["callee"] == "<sip:1@c>;tag=far"


def test_an_answer_without_a_ring_is_an_answer() -> None:
    assert _after(_DIALING, _ANSWER).call.phase is Phase.ACTIVE


def test_a_request_that_waits_is_told_only_when_the_dialog_is_on_disk() -> None:
    call, commands = _after(_WAITED_FOR, do.Joined()).step(_ANSWER, 1.0)
    assert do.StoreAnswer(at_once=True) in commands
    assert dial.ReportActive() not in commands
    call, commands = call.step(do.AnswerStored(), 1.0)
    assert commands == [dial.ReportActive()]
    assert _commands(call, do.AnswerStored()) == []


def test_a_phone_that_hangs_up_before_the_disk_is_done_had_answered_all_the_same() -> None:
    call, commands = _STORING.step(ByeReceived(Headers()), 2.0)
    assert commands[-1] == dial.ReportActive()
    assert _ending(call) == Termination(Cause.BYE, was_active=True)


def test_without_a_request_that_waits_the_dialog_may_be_stored_a_moment_later() -> None:
    commands = _commands(_RINGS, _ANSWER)
    assert do.StoreAnswer(at_once=False) in commands
    assert commands[-1] == dial.ReportActive()


def test_digits_are_played_before_the_call_is_active() -> None:
    call, commands = _after(_call(_WITH_DIGITS), do.Joined()).step(_ANSWER, 1.0)
    assert _stage(call) is Stage.AUTOMATION
    assert _kinds(commands) == ["UpdateLeg", "StoreAnswer", "SetStatus", "PlayDigits"]
    assert commands[-1] == do.PlayDigits("12w3")
    assert _kinds(_commands(call, do.DigitsPlayed())) == [
        "ConnectTrack", "SetStatus", "HearRoom", "ReportActive",
    ]  # fmt: skip


def test_the_request_is_told_after_the_digits_whichever_of_disk_and_digits_is_slower() -> None:
    waiting = _after(_call(replace(_WITH_DIGITS, answer_by=50.0)), do.Joined(), _ANSWER)
    stored = _after(waiting, do.AnswerStored())
    assert _kinds(_commands(stored, do.DigitsPlayed()))[-1] == "ReportActive"
    played = _after(waiting, do.DigitsPlayed())
    assert _commands(played, do.AnswerStored()) == [dial.ReportActive()]


# ── sound ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", [_DIALING, _RINGS])
def test_an_offer_before_the_answer_to_ours_has_to_wait(call: Machine) -> None:
    commands = _commands(call, OfferReceived(2, _sdp(), Headers()))
    assert commands == [do.RespondOffer(2, 491, "Request Pending")]


def test_keys_pressed_on_the_phone_are_told_to_the_room() -> None:
    assert _commands(_ACTIVE, do.DigitFromPhone("5")) == [do.TellDigit("5")]
    assert _commands(_AUTOMATION, do.DigitFromPhone("5")) == []


# ── a dial that fails ────────────────────────────────────────────────────────


def test_a_refusal_ends_the_dial_without_a_hangup_status() -> None:
    busy = Failed(SipFailure(FailureKind.REJECTED, 486, "Busy Here"))
    call, commands = _RINGS.step(busy, 1.0)
    ending = Termination(Cause.BUSY, 486, "Busy Here")
    assert commands == [
        do.SetAttributes(
            {"sip.termination": "busy", "sip.statusCode": "486", "sip.statusText": "Busy Here"}
        ),
        do.LeaveRoom(DisconnectReason.USER_REJECTED),
        do.CloseLeg(),
        do.StoreEnd(ending),
        dial.ReportEnded(ending),
    ]
    assert call.finished


@pytest.mark.parametrize(
    ("failure", "ending"),
    [
        (
            SipFailure(FailureKind.REJECTED, 404, "x", Headers((("X-Twilio-Error", "13227"),))),
            Termination(Cause.NOT_FOUND, 404, "13227"),
        ),
        (
            SipFailure(
                FailureKind.REJECTED, 480, "x", Headers((("Content-Type", "text/plain"),)), b"gone"
            ),
            Termination(Cause.UNAVAILABLE, 480, "gone"),
        ),
        (
            SipFailure(
                FailureKind.REJECTED,
                488,
                "x",
                Headers((("Content-Type", "application/sdp"),)),
                b"v",
            ),
            Termination(Cause.NOT_ACCEPTABLE, 488, "x"),
        ),
        (
            SipFailure(FailureKind.AUTH, 407, "Auth", auth=AuthProblem.NO_CREDENTIALS),
            Termination(Cause.AUTH_FAILED),
        ),
        (
            SipFailure(FailureKind.AUTH, 407, "Auth", auth=AuthProblem.REJECTED),
            Termination(Cause.AUTH_REQUIRED, 407, "Auth"),
        ),
        (
            SipFailure(FailureKind.AUTH, 401, "Auth", auth=AuthProblem.TOO_MANY_ATTEMPTS),
            Termination(Cause.AUTH_FAILED, text="max auth retry attempts reached"),
        ),
        (
            SipFailure(FailureKind.DNS, reason="no such host"),
            Termination(Cause.DNS_RESOLUTION, detail="no such host"),
        ),
        (
            SipFailure(FailureKind.TRANSPORT, reason="refused"),
            Termination(Cause.NETWORK_ERROR, detail="refused"),
        ),
        (SipFailure(FailureKind.NO_RESPONSE), Termination(Cause.NO_RESPONSE)),
        (
            SipFailure(FailureKind.TIMED_OUT, provisional_seen=2),
            Termination(
                Cause.NO_FINAL_RESPONSE,
                text="transaction failed to complete (2 intermediate responses)",
            ),
        ),
    ],
)
def test_each_failure_of_the_dial_has_its_ending(failure: SipFailure, ending: Termination) -> None:
    assert _ending(_after(_DIALING, Failed(failure))) == ending


def test_an_answer_without_a_common_codec_is_hung_up_at_once() -> None:
    call, commands = _RINGS.step(replace(_ANSWER, body=_sdp("18")), 1.0)
    ending = _ending(call)
    assert ending is not None
    assert ending.cause is Cause.NO_COMMON_CODEC
    assert commands[0] == do.Bye('SIP;cause=488;text="Not Acceptable Here"')
    assert do.LeaveRoom(DisconnectReason.MEDIA_FAILURE) in commands
    assert not call.finished
    assert _after(call, DialogEnded()).finished


@pytest.mark.parametrize("body", [b"", b"nonsense", _sdp(port=0)])
def test_an_answer_that_cannot_be_used_is_hung_up_at_once(body: bytes) -> None:
    call, commands = _RINGS.step(replace(_ANSWER, body=body), 1.0)
    ending = _ending(call)
    assert ending is not None
    assert ending.cause is Cause.SDP_ERROR
    assert isinstance(commands[0], do.Bye)


def test_a_phone_that_may_not_join_calls_nobody() -> None:
    call, commands = _PREPARING.step(do.JoinRefused("room is full"), 1.0)
    ending = Termination(Cause.JOIN_FAILED, detail="room is full")
    assert commands == [do.CloseLeg(), do.StoreEnd(ending), dial.ReportEnded(ending)]
    assert call.finished


def test_an_invite_that_cannot_be_written_never_was_on_the_wire() -> None:
    call = _after(_DIALING, dial.Undialable("bad number"))
    assert _ending(call) == Termination(Cause.ADDRESS_ERROR, detail="bad number")
    assert call.finished


# ── deadlines ────────────────────────────────────────────────────────────────


def test_ringing_has_its_own_time_from_the_invite_on() -> None:
    assert _DIALING.deadline == 31.0
    assert _commands(_RINGS, do.DeadlineReached(), 30.9) == []
    call, commands = _RINGS.step(do.DeadlineReached(), 31.0)
    assert isinstance(commands[0], do.Cancel)
    assert _ending(call) == Termination(Cause.NO_ANSWER)
    assert do.LeaveRoom(DisconnectReason.USER_UNAVAILABLE) in commands


def test_the_answer_ends_the_time_for_ringing() -> None:
    assert _ACTIVE.deadline == 600.0
    assert _ENDED.deadline is None


def test_the_longest_duration_counts_ringing_and_hangs_up_a_call() -> None:
    commands = _commands(_ACTIVE, do.DeadlineReached(), 600.0)
    assert commands[0] == do.Bye('Q.850;cause=16;text="Normal call clearing"')
    assert commands[1] == do.SetStatus(CallStatus.HANGUP, {"sip.termination": "hangup"})
    assert do.LeaveRoom(DisconnectReason.CLIENT_INITIATED) in commands
    ringing = _after(_call(replace(_PLAN, ringing_timeout=999.0)), do.Joined(), _RINGING)
    assert isinstance(_commands(ringing, do.DeadlineReached(), 600.0)[0], do.Cancel)


def test_a_request_that_waits_bounds_the_dial_and_not_the_call() -> None:
    waiting = _call(replace(_PLAN, answer_by=10.0))
    assert waiting.deadline == 10.0
    dialing = _after(waiting, do.Joined())
    assert _ending(_after(dialing, do.DeadlineReached(), now=10.0)) == Termination(Cause.NO_ANSWER)
    assert _after(dialing, _ANSWER).deadline == 600.0


def test_digits_still_belong_to_the_request_that_waits() -> None:
    plan = replace(_WITH_DIGITS, answer_by=10.0)
    call = _after(_call(plan), do.Joined(), _ANSWER)
    assert call.deadline == 10.0
    call, commands = call.step(do.DeadlineReached(), 10.0)
    assert isinstance(commands[0], do.Bye)
    assert _ending(call) == Termination(Cause.ABANDONED)


def test_the_dial_lasts_as_long_as_the_most_patient_request() -> None:
    waiting = _call(replace(_PLAN, answer_by=10.0))
    assert _after(waiting, dial.WaiterJoined(20.0)).deadline == 20.0
    assert waiting.step(dial.WaiterJoined(5.0), 1.0) == (waiting, [])
    assert _after(_PREPARING, dial.WaiterJoined(5.0)) == _PREPARING


# ── endings ──────────────────────────────────────────────────────────────────


def test_a_callee_that_hangs_up_during_the_digits_fails_the_request() -> None:
    call = _after(_AUTOMATION, ByeReceived(Headers()))
    assert _ending(call) == Termination(Cause.BYE)


@pytest.mark.parametrize(
    ("call", "farewell", "status"),
    [
        (_PREPARING, None, None),
        (_DIALING, do.Cancel('Q.850;cause=16;text="Caller gave up"'), None),
        (_RINGS, do.Cancel('Q.850;cause=16;text="Caller gave up"'), None),
        (_AUTOMATION, do.Bye('Q.850;cause=16;text="Normal call clearing"'), CallStatus.HANGUP),
        (_ACTIVE, do.Bye('Q.850;cause=16;text="Normal call clearing"'), CallStatus.HANGUP),
    ],
)
def test_a_room_that_closes_lets_the_phone_say_goodbye_first(
    call: Machine, farewell: do.Cancel | do.Bye | None, status: CallStatus | None
) -> None:
    call, commands = call.step(do.RoomClosed(DisconnectReason.ROOM_DELETED), 1.0)
    assert (commands[0] == farewell) is (farewell is not None)
    told = [c for c in commands if isinstance(c, do.SetStatus)]
    assert [c.status for c in told] == ([status] if status else [])
    assert "LeaveRoom" not in _kinds(commands)
    ending = _ending(call)
    assert ending is not None
    assert ending.room_reason is DisconnectReason.ROOM_DELETED


def test_nobody_waiting_any_more_cancels_the_dial() -> None:
    assert _commands(_RINGS, do.Abandoned())[0] == do.Cancel('Q.850;cause=16;text="Caller gave up"')


@pytest.mark.parametrize("call", [_STORING, _ACTIVE])
def test_a_call_whose_answer_nobody_waited_to_hear_of_is_hung_up(call: Machine) -> None:
    call, commands = call.step(do.Abandoned(), 2.0)
    assert _ending(call) == Termination(Cause.ABANDONED, was_active=True)
    assert _kinds(commands)[0] == "Bye"


@pytest.mark.parametrize("call", [_DIALING, _RINGS])
def test_a_planned_stop_cancels_a_dial(call: Machine) -> None:
    commands = _commands(call, do.Stopping())
    assert isinstance(commands[0], do.Cancel)
    assert do.LeaveRoom(DisconnectReason.SERVER_SHUTDOWN) in commands


# ── races ────────────────────────────────────────────────────────────────────


def test_an_answer_that_crosses_our_cancel_changes_nothing_for_us() -> None:
    """The SIP layer acknowledges it, hangs up, and reports the dial as cancelled."""
    cancelled = _after(_RINGS, do.RoomClosed(DisconnectReason.ROOM_DELETED))
    assert _after(cancelled, _ANSWER) == cancelled
    assert not cancelled.finished
    done, commands = cancelled.step(_CANCELLED, 2.0)
    assert commands == [do.ForgetDialog()]
    assert done.finished


def test_a_timeout_just_after_the_answer_is_no_timeout() -> None:
    assert _commands(_ACTIVE, do.DeadlineReached(), 31.0) == []


def test_a_call_that_ends_while_it_joins_leaves_as_soon_as_it_has_joined() -> None:
    ended = _after(_PREPARING, do.Stopping())
    assert not ended.finished
    call, commands = ended.step(do.Joined(), 1.0)
    assert commands == [do.LeaveRoom(DisconnectReason.SERVER_SHUTDOWN)]
    assert call.finished
    assert _after(ended, do.JoinRefused("full")).finished


def test_a_removal_during_the_durable_write_dials_nobody() -> None:
    writing = _after(_call(replace(_PLAN, durable_dial=True)), do.Joined())
    removed = _after(writing, do.RoomClosed(DisconnectReason.PARTICIPANT_REMOVED))
    assert _commands(removed, dial.DialStored()) == []
    assert removed.finished


# ── early media, and a second try in the clear ───────────────────────────────

_EARLY_SDP = Provisional(183, "Session Progress", Headers(), _sdp(port=4444))


def test_early_media_is_heard_in_the_room_where_that_is_wanted() -> None:
    dialing = _after(_call(replace(_PLAN, early_media=True)), do.Joined())
    call, commands = dialing.step(_EARLY_SDP, 1.0)
    assert _kinds(commands) == ["SetStatus", "UpdateLeg", "ConnectTrack"]
    update = commands[1]
    assert isinstance(update, do.UpdateLeg)
    assert (update.media.remote, update.patience) == (("198.51.100.7", 4444), do.NO_HURRY)
    assert _stage(call) is Stage.RINGING
    assert _kinds(_commands(_DIALING, _EARLY_SDP)) == ["SetStatus"]


def test_early_media_that_cannot_be_used_is_no_fault_before_the_answer() -> None:
    dialing = _after(_call(replace(_PLAN, early_media=True)), do.Joined())
    assert _kinds(_commands(dialing, replace(_EARLY_SDP, body=_sdp("18")))) == ["SetStatus"]


def _encrypted(policy: SrtpPolicy) -> Machine:
    keys = tuple(FreshKeys(bytes))
    leg = LegDescription.offering(("192.0.2.1", 10000), _PLAN.codecs, 42, srtp=policy, keys=keys)
    return _after(begin(_PLAN, leg, 0.0)[0], do.Joined())


@pytest.mark.parametrize("status", [415, 488, 606])
def test_a_far_end_without_srtp_is_asked_once_more_in_the_clear(status: int) -> None:
    refusal = Failed(SipFailure(FailureKind.REJECTED, status, "No"))
    call, commands = _encrypted(SrtpPolicy.PREFERRED).step(refusal, 1.0)
    assert _kinds(commands) == ["SendInvite"]
    invite = commands[0]
    assert isinstance(invite, dial.SendInvite)
    assert b"RTP/AVP" in invite.body
    assert b"a=crypto" not in invite.body
    assert _ending(_after(call, refusal)) is not None


def test_sound_that_must_be_encrypted_is_never_offered_in_the_clear() -> None:
    refusal = Failed(SipFailure(FailureKind.REJECTED, 488, "No"))
    assert _ending(_after(_encrypted(SrtpPolicy.REQUIRED), refusal)) is not None
    busy = Failed(SipFailure(FailureKind.REJECTED, 486, "Busy"))
    assert _ending(_after(_encrypted(SrtpPolicy.PREFERRED), busy)) is not None
