"""The call machine, cell by cell: no clock, no loop, no socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from switchroom.rooms.reasons import DisconnectReason
from switchroom.sdp.codecs import PCMA, PCMU, telephone_event
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
    ReferAnswered,
    ReferNotified,
    ReferReceived,
    SipFailure,
)
from switchroom.sip.uri import NameAddr
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call import (
    _CELLS,
    MOST_KEYS,
    Call,
    CallPlan,
    Phase,
    Wire,
    answered,
    bridged,
    early,
    end,
    seated,
)
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer import (
    Refer,
    ReportTransfer,
    RestoreSound,
    TransferAbandoned,
    TransferPlan,
    TransferResult,
    TransferWanted,
)
from switchroom.telephony.calls.transfer_outcome import TransferReason, TransferStatus

_PLAN = CallPlan(max_duration=600.0, first_silence=30.0, silence=15.0)
_LEG = LegDescription.offering(("192.0.2.1", 10000), (PCMU, PCMA, telephone_event()), 42)


def _sdp(codecs: str = "0 8 101", direction: str = "sendrecv", port: int = 4000) -> bytes:
    return (
        "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codecs}\r\na=rtpmap:101 telephone-event/8000\r\n"
        f"a={direction}\r\n"
    ).encode()


def _after(call: Call, *events: object, now: float = 1.0) -> Call:
    for event in events:
        call, _ = call.step(event, now)
    return call


def _commands(call: Call, event: object, now: float = 1.0) -> Sequence[object]:
    return call.step(event, now)[1]


def _kinds(commands: Sequence[object]) -> list[str]:
    return [type(command).__name__ for command in commands]


def _answered(codecs: str = "0 8 101") -> Call:
    return answered(_EARLY, _LEG.accept(_sdp(codecs)))[0]


_TRANSFER = TransferPlan("STR_1", "tel:+1555", "tel:+1555", until=31.0)
_EARLY = seated(early(_PLAN, _LEG, 0.0, Wire.INVITED))
_CALLED = replace(_EARLY, wire=Wire.CALLED)
_ANSWERED = _answered()
_ACTIVE = bridged(_ANSWERED, {})[0]
_DEAF = bridged(_answered("0"), {})[0]
_ENDED = _after(_ACTIVE, do.Stopping())
_PHASES = {
    Phase.EARLY: _EARLY,
    Phase.ANSWERED: _ANSWERED,
    Phase.ACTIVE: _ACTIVE,
    Phase.ENDED: _ENDED,
}
_EVENTS: tuple[object, ...] = (
    do.Joined(),
    do.JoinRefused("room is full"),
    do.AnswerStored(),
    do.MediaStarted(),
    do.MediaLost(),
    do.DigitsPlayed(),
    do.DigitFromPhone("5"),
    do.DigitsFromRoom("5"),
    do.RoomClosed(DisconnectReason.ROOM_DELETED),
    do.Stopping(),
    do.DeadlineReached(),
    Failed(SipFailure(FailureKind.TIMED_OUT)),
    ByeReceived(Headers()),
    DialogEnded(),
    OfferReceived(1, _sdp(), Headers()),
    Acknowledged(1, b""),
    InfoReceived("application/dtmf", Headers(), b"5"),
    OfferAnswered(200, "OK", Headers(), _sdp()),
    do.EndWanted(),
    do.Abandoned(),
    do.TakenOver(_sdp()),
    TransferWanted(_TRANSFER),
    TransferAbandoned(),
    ReferAnswered(1, 202, "Accepted", Headers()),
    ReferNotified(1, 200, "OK", over=True, headers=Headers()),
    ReferReceived(1, NameAddr.parse("<sip:9@c>"), Headers()),
)


@pytest.mark.parametrize("phase", Phase)
def test_the_samples_are_in_the_phases_they_stand_for(phase: Phase) -> None:
    assert _PHASES[phase].phase is phase


@pytest.mark.parametrize("event", _EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.value)
def test_every_event_is_handled_or_ignored_in_every_phase(phase: Phase, event: object) -> None:
    before = _PHASES[phase]
    after, commands = before.step(event, 1.0)
    if (phase, type(event)) not in _CELLS:
        assert (after, commands) == (before, [])
    if before.phase is Phase.ENDED:
        assert after.phase is Phase.ENDED
    if after.phase is Phase.ENDED and before.phase is not Phase.ENDED:
        assert after.termination is not None
        assert not after.in_room
        assert _kinds(commands)[-2:] == ["CloseLeg", "StoreEnd"]


def test_every_cell_of_the_table_is_walked() -> None:
    walked = {(phase, type(event)) for phase in Phase for event in _EVENTS}
    assert set(_CELLS) <= walked


# ── the way up ───────────────────────────────────────────────────────────────


def test_the_answer_lets_sound_flow_and_nobody_hear_it_yet() -> None:
    call, commands = answered(_CALLED, _LEG.accept(_sdp()))
    assert (call.phase, call.wire) == (Phase.ANSWERED, Wire.CONNECTED)
    assert _kinds(commands) == ["UpdateLeg"]


def test_the_bridge_lets_the_room_be_heard_last() -> None:
    call, commands = bridged(_ANSWERED, {"a": "b"})
    assert call.phase is Phase.ACTIVE
    assert commands == [
        do.ConnectTrack(), do.SetStatus(CallStatus.ACTIVE, {"a": "b"}), do.HearRoom(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "status", "phrase"),
    [
        (Termination(Cause.REMOVED), 486, "Rejected"),
        (Termination(Cause.SHUTDOWN), 503, "Service Unavailable"),
        (Termination(Cause.NO_COMMON_CODEC), 488, "Not Acceptable Here"),
        (Termination(Cause.NOT_FOUND, 404, "No such room"), 404, "No such room"),
    ],
)
def test_a_call_to_us_that_is_not_answered_is_refused(
    ending: Termination, status: int, phrase: str
) -> None:
    call, commands = end(_CALLED, ending)
    assert commands[0] == do.Reject(status, phrase)
    assert call.finished


def test_a_call_that_never_got_its_acknowledgement_is_lost() -> None:
    call = _after(_ANSWERED, Failed(SipFailure(FailureKind.TIMED_OUT, reason="no ACK")))
    assert call.termination == Termination(Cause.DIALOG_LOST, detail="no ACK")


# ── sound and keys ───────────────────────────────────────────────────────────


def _leg_updates(commands: Sequence[object]) -> list[do.UpdateLeg]:
    return [command for command in commands if isinstance(command, do.UpdateLeg)]


def test_silence_is_borne_longer_before_the_first_packet() -> None:
    update = _leg_updates(answered(_EARLY, _LEG.accept(_sdp()))[1])[0]
    assert update.patience == do.Patience(30.0, 15.0)
    boundless = replace(_EARLY, plan=replace(_PLAN, first_silence=0.0, silence=0.0))
    update = _leg_updates(answered(boundless, _LEG.accept(_sdp()))[1])[0]
    assert update.patience == do.NO_HURRY


@pytest.mark.parametrize(
    ("theirs", "ours", "patience"),
    [
        ("sendonly", "recvonly", do.Patience(30.0, 15.0)),
        ("inactive", "inactive", do.NO_HURRY),
        ("recvonly", "sendonly", do.NO_HURRY),
    ],
)
def test_hold_is_answered_by_its_mirror_and_its_silence_is_no_fault(
    theirs: str, ours: str, patience: do.Patience
) -> None:
    call, commands = _ACTIVE.step(OfferReceived(7, _sdp(direction=theirs), Headers()), 1.0)
    response = commands[0]
    assert isinstance(response, do.RespondOffer)
    assert (response.offer_id, response.status) == (7, 200)
    assert f"a={ours}".encode() in response.body
    assert b"o=- 42 2 IN IP4 192.0.2.1" in response.body
    update = _leg_updates(commands)[0]
    assert (update.media.direction, update.patience) == (ours, patience)
    assert call.phase is Phase.ACTIVE
    assert (do.SetHold(held=True) in commands) is (ours != "sendonly")


def test_the_room_is_told_of_hold_once_and_of_its_end() -> None:
    hold = OfferReceived(7, _sdp(direction="sendonly"), Headers())
    held = _after(_ACTIVE, hold)
    assert do.SetHold(held=True) not in _commands(held, hold)
    resumed = _commands(held, OfferReceived(8, _sdp(), Headers()))
    assert resumed[-1] == do.SetHold(held=False)


def test_a_phone_that_answers_on_hold_is_seen_to_hold_once_it_is_active() -> None:
    holds = answered(_EARLY, _LEG.accept(_sdp(direction="sendonly")))[0]
    active, commands = bridged(holds, {})
    assert commands[-1] == do.SetHold(held=True)
    resumed = OfferReceived(8, _sdp(), Headers())
    assert _commands(active, resumed)[-1] == do.SetHold(held=False)
    resumed_before = _after(holds, resumed)
    assert do.SetHold(held=False) not in _commands(holds, resumed)
    assert do.SetHold(held=True) not in bridged(resumed_before, {})[1]


def test_a_new_address_moves_the_sound() -> None:
    commands = _commands(_ACTIVE, OfferReceived(1, _sdp(port=5000), Headers()))
    assert _leg_updates(commands)[0].media.remote == ("198.51.100.7", 5000)


@pytest.mark.parametrize(
    ("body", "status"), [(_sdp("18"), 488), (b"v=0\r\nm=video 1 RTP/AVP 96\r\n", 488), (b"x", 400)]
)
def test_an_offer_we_cannot_take_leaves_the_call_as_it_was(body: bytes, status: int) -> None:
    call, commands = _ACTIVE.step(OfferReceived(3, body, Headers()), 1.0)
    assert call == _ACTIVE
    response = commands[0]
    assert isinstance(response, do.RespondOffer)
    assert response.status == status
    assert len(commands) == 1


def test_a_reinvite_without_an_offer_gets_ours_and_its_answer_counts() -> None:
    call, commands = _ACTIVE.step(OfferReceived(3, b"", Headers()), 1.0)
    response = commands[0]
    assert isinstance(response, do.RespondOffer)
    assert (response.status, response.body) == (200, call.leg.body)
    acknowledged = Acknowledged(3, _sdp(port=6000))
    assert _leg_updates(_commands(call, acknowledged))[0].media.remote == ("198.51.100.7", 6000)
    assert _commands(call, Acknowledged(3, b"garbage")) == []
    assert _commands(call, Acknowledged(3, b"")) == []


def test_keys_by_info_count_only_where_none_come_by_rtp() -> None:
    info = InfoReceived("application/dtmf", Headers(), b"5")
    assert _commands(_ACTIVE, info) == []
    assert _commands(_DEAF, info) == [do.TellDigit("5")]
    assert _commands(_DEAF, replace(info, body=b"no key")) == []


def test_keys_from_the_room_wait_in_a_queue_with_an_end() -> None:
    call, commands = _ACTIVE.step(do.DigitsFromRoom("1" * MOST_KEYS), 1.0)
    assert commands == [do.PlayDigits("1" * MOST_KEYS)]
    assert _commands(call, do.DigitsFromRoom("2")) == []
    played = _after(call, do.DigitsPlayed())
    assert _commands(played, do.DigitsFromRoom("2")) == [do.PlayDigits("2")]


def test_the_callee_hangs_up() -> None:
    call, commands = _ACTIVE.step(ByeReceived(Headers()), 1.0)
    ending = Termination(Cause.BYE, was_active=True)
    assert commands == [
        do.SetStatus(CallStatus.HANGUP, {"sip.termination": "bye"}),
        do.LeaveRoom(DisconnectReason.CLIENT_INITIATED),
        do.CloseLeg(),
        do.StoreEnd(ending),
    ]
    assert call.finished


def test_a_far_end_that_forgot_the_call_ends_it() -> None:
    lost = DialogEnded(SipFailure(FailureKind.REJECTED, 481, "no such call"))
    call = _after(_ACTIVE, lost)
    assert call.termination == Termination(
        Cause.DIALOG_LOST, detail="no such call", was_active=True
    )


def test_a_far_end_that_fell_silent_is_hung_up() -> None:
    call, commands = _ACTIVE.step(do.MediaLost(), 1.0)
    assert commands[0] == do.Bye('Q.850;cause=41;text="No media"')
    assert do.LeaveRoom(DisconnectReason.CLIENT_INITIATED) in commands
    assert call.termination == Termination(Cause.MEDIA_TIMEOUT, was_active=True)


def test_a_planned_stop_hangs_up_and_says_why() -> None:
    commands = _commands(_ACTIVE, do.Stopping())
    assert commands[0] == do.Bye('SIP;cause=503;text="Server stopping"')


def test_an_answer_first_and_a_removal_next_is_hung_up() -> None:
    call, commands = _ACTIVE.step(do.RoomClosed(DisconnectReason.PARTICIPANT_REMOVED), 1.0)
    assert isinstance(commands[0], do.Bye)
    assert call.wire is Wire.CLOSING


def test_two_byes_that_cross_end_the_call_once() -> None:
    ours = _after(_ACTIVE, do.Stopping())
    theirs, commands = ours.step(ByeReceived(Headers()), 1.0)
    assert commands == [do.ForgetDialog()]
    assert theirs.finished
    assert _commands(theirs, DialogEnded()) == []


def test_the_answer_to_a_session_refresh_may_move_the_sound() -> None:
    moved = OfferAnswered(200, "OK", Headers(), _sdp(port=6000))
    assert _leg_updates(_commands(_ACTIVE, moved))[0].media.remote == ("198.51.100.7", 6000)
    for nothing in (b"", b"garbage"):
        assert _commands(_ACTIVE, OfferAnswered(200, "OK", Headers(), nothing)) == []
    assert _commands(_ACTIVE, OfferAnswered(488, "No", Headers(), _sdp(port=6000))) == []


def test_what_a_bye_tells_of_trouble_is_kept() -> None:
    headers = Headers((("Reason", 'Q.850;cause=41;text="Temporary failure"'),))
    ending = _after(_ACTIVE, ByeReceived(headers)).termination
    assert ending == Termination(
        Cause.BYE, detail="Q.850 cause 41: Temporary failure", was_active=True, q850=41
    )
    normal = Headers((("Reason", "Q.850;cause=16"),))
    assert _after(_ACTIVE, ByeReceived(normal)).termination == Termination(
        Cause.BYE, was_active=True, q850=16
    )


def test_a_participant_ends_the_call_with_headers_of_its_own() -> None:
    commands = _commands(_ACTIVE, do.EndWanted((("X-Why", "done"),)))
    bye = commands[0]
    assert isinstance(bye, do.Bye)
    assert bye.headers == (("X-Why", "done"),)
    refused = _commands(_CALLED, do.EndWanted((("X-Why", "busy"),)))
    assert refused[0] == do.Reject(486, "Rejected", (("X-Why", "busy"),))


def test_keys_by_info_end_the_listening_for_tones() -> None:
    plan = replace(_PLAN, denoise=True, detect_tones=True)
    early_call = replace(_EARLY, plan=plan)
    call, commands = answered(early_call, _LEG.accept(_sdp("0")))
    assert commands[1] == do.SetProcessing(denoise=True, detect_tones=True)
    active = bridged(call, {})[0]
    info = InfoReceived("application/dtmf", Headers(), b"5")
    call, commands = active.step(info, 1.0)
    assert commands == [do.TellDigit("5"), do.SetProcessing(denoise=True, detect_tones=False)]
    assert _commands(call, info) == [do.TellDigit("5")]


def test_a_phone_with_telephone_events_is_not_listened_to_for_tones() -> None:
    plan = replace(_PLAN, detect_tones=True)
    assert _kinds(answered(replace(_EARLY, plan=plan), _LEG.accept(_sdp()))[1]) == ["UpdateLeg"]


# ── transfers ────────────────────────────────────────────────────────────────

_CONSENT = ReferAnswered(1, 202, "Accepted", Headers())
_TRANSFERRING = _after(_ACTIVE, TransferWanted(_TRANSFER))
_TRYING = _after(_TRANSFERRING, _CONSENT)


def _news(status: int | None, *, over: bool = False) -> ReferNotified:
    return ReferNotified(1, status, "so", over, Headers())


def _reported(commands: Sequence[object]) -> TransferResult | None:
    return next((c.result for c in commands if isinstance(c, ReportTransfer)), None)


def test_a_transfer_is_asked_of_the_phone() -> None:
    assert _commands(_ACTIVE, TransferWanted(_TRANSFER)) == [Refer(_TRANSFER)]
    assert _TRANSFERRING.deadline == 31.0


def test_a_phone_that_has_gone_elsewhere_may_hang_up_itself() -> None:
    done, commands = _TRYING.step(_news(200, over=True), 5.0)
    completed = TransferResult(TransferStatus.SUCCESSFUL, TransferReason.COMPLETED, 200, "so")
    assert commands == [ReportTransfer(completed)]
    assert done.deadline == 6.0
    call, commands = done.step(ByeReceived(Headers()), 5.5)
    assert call.termination == Termination(Cause.TRANSFERRED, was_active=True)
    assert _reported(commands) is None
    assert do.LeaveRoom(DisconnectReason.CLIENT_INITIATED) in commands


def test_a_phone_that_has_gone_elsewhere_without_hanging_up_is_hung_up() -> None:
    done = _after(_TRYING, _news(200), now=5.0)
    assert _commands(done, do.DeadlineReached(), 5.9) == []
    call, commands = done.step(do.DeadlineReached(), 6.0)
    assert isinstance(commands[0], do.Bye)
    assert call.termination == Termination(Cause.TRANSFERRED, was_active=True)


def test_a_bye_before_the_result_is_success_once_the_phone_has_agreed() -> None:
    call, commands = _TRYING.step(ByeReceived(Headers()), 5.0)
    assert call.termination is not None
    assert call.termination.cause is Cause.TRANSFERRED
    assert _reported(commands) == TransferResult(
        TransferStatus.SUCCESSFUL, TransferReason.CALL_ENDED
    )
    call, commands = _TRANSFERRING.step(ByeReceived(Headers()), 5.0)
    assert call.termination is not None
    assert call.termination.cause is Cause.BYE
    assert _reported(commands) == TransferResult(TransferStatus.FAILED, TransferReason.CALL_ENDED)


def test_the_call_goes_on_after_a_transfer_that_failed() -> None:
    call, commands = _TRYING.step(_news(486, over=True), 5.0)
    assert _reported(commands) == TransferResult(
        TransferStatus.FAILED, TransferReason.REJECTED, 486, "so"
    )
    assert (call.phase, call.transfer, call.deadline) == (Phase.ACTIVE, None, 600.0)
    again = _after(call, TransferWanted(_TRANSFER))
    assert again.transfer is not None
    assert again.transfer.number == 2
    assert _commands(again, _news(200)) == []


def test_the_phone_hears_ringing_until_its_transfer_fails() -> None:
    ringing = replace(_TRANSFER, play_dialtone=True)
    call, commands = _ACTIVE.step(TransferWanted(ringing), 1.0)
    assert _kinds(commands) == ["RingPhone", "Refer"]
    _, commands = call.step(ReferAnswered(1, 603, "Decline", Headers()), 2.0)
    assert commands[0] == RestoreSound()


def test_a_phone_may_not_transfer_the_call_unless_it_is_allowed_to() -> None:
    wish = ReferReceived(4, NameAddr.parse("<sip:9@c>"), Headers())
    assert _commands(_ACTIVE, wish) == [do.RespondRefer(4, 603, "Decline")]
    allowed = replace(_ACTIVE, plan=replace(_PLAN, allow_refer=True))
    assert _commands(allowed, wish) == [do.DialReferred(4, wish.refer_to)]


def test_a_call_that_takes_over_brings_its_own_media() -> None:
    call, commands = _ACTIVE.step(do.TakenOver(_sdp(port=7000)), 1.0)
    assert _kinds(commands) == ["AnswerSuccessor", "UpdateLeg", "StoreAnswer"]
    assert _leg_updates(commands)[0].media.remote == ("198.51.100.7", 7000)
    assert call.phase is Phase.ACTIVE
    assert _kinds(_commands(_ACTIVE, do.TakenOver(_sdp("18")))) == ["RefuseSuccessor"]
