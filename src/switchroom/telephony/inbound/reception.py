"""A call to us up to the moment when both sides hear each other, as a pure machine around a `Call`.

It rings while its room is made, and is answered when somebody in it can be heard; or at once, as
the plan says. A caller who owes a PIN is answered first and led into a room afterwards. When both
sides hear each other, or the call has ended, the `Call` goes on alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Any

from switchroom.base.legible import legible
from switchroom.base.records import record, replace
from switchroom.sdp.errors import SdpError
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    InfoReceived,
)
from switchroom.sip.responses import reason_phrase
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call import (
    Call,
    CallPlan,
    Machine,
    Phase,
    Wire,
    answered,
    bridged,
    early,
    end,
    seated,
    while_in,
)
from switchroom.telephony.calls.call_events import (
    DeadlineReached,
    DigitFromPhone,
    Guest,
    Joined,
    JoinRefused,
    MediaStarted,
)
from switchroom.telephony.calls.dial_failure import of_sdp
from switchroom.telephony.calls.dtmf import digit_of_info
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.inbound import inbound_events as desk
from switchroom.telephony.inbound.fallback import Fallback, Forward, Redirect, Refuse
from switchroom.telephony.inbound.inbound_events import (
    ForwardFailed,
    NobodyComes,
    PinAccepted,
    PinRefused,
    SomebodyHeard,
    Sound,
    SoundPlayed,
)
from switchroom.telephony.inbound.pin import PinEntry, Verdict


class AnswerWhen(StrEnum):
    """When a call without a PIN is answered, and what is heard until somebody talks."""

    WHEN_HEARD = "when_heard"
    NOW = "now"
    RING_TONE = "ring_tone"
    HOLD_MUSIC = "hold_music"


class Stage(Enum):
    """How far the call has come."""

    SEATING = "seating"  # it rings while the room is made
    RINGING = "ringing"  # in the room; nobody can be heard yet
    WAITING = "waiting"  # answered and in the room; the caller hears a tone or music
    CONNECTING = "connecting"  # answered; its ACK or first packet is on the way, then both talk
    OPENING = "opening"  # answered before there is a room: a PIN is owed
    TYPING = "typing"
    WELCOMING = "welcoming"  # the PIN was right, which the caller is told
    ENTERING = "entering"  # the room is made
    LEAVING = "leaving"  # the last word to a caller who has no PIN


@record
class ReceptionPlan:
    """What was decided before the first step. Times are seconds.

    ``guest`` is the phone as it joins, None while a PIN is owed. ``ringing_status`` is what a
    caller gets when nobody could be heard in time. ``fallback_after`` is when a fallback is tried
    though no agent has declined.
    """

    call: CallPlan
    guest: Guest | None
    answer: AnswerWhen = AnswerWhen.WHEN_HEARD
    ringing_timeout: float = 180.0
    ringing_status: int = 486
    pin_timeout: float = 15.0
    pin_tries: int = 3
    fallback: Fallback | None = None
    fallback_after: float = 30.0


@record
class Reception:
    """The state. ``media`` is what our answer settles, None where the caller's ACK will bring it.

    ``until`` is the monotonic time at which patience ends: with ringing, with typing, or with a
    prompt that never ends. ``guest`` is who joins after a PIN. ``forwarded`` is whether the
    fallback has been tried.
    """

    plan: ReceptionPlan
    call: Call
    media: NegotiatedMedia | None
    stage: Stage = Stage.SEATING
    until: float | None = None
    entry: PinEntry | None = None
    guest: Guest | None = None
    forwarded: bool = False

    @property
    def deadline(self) -> float | None:
        """When DeadlineReached is due (monotonic s)."""
        due = (self.call.deadline, self.until)
        return min((time for time in due if time is not None), default=None)

    @property
    def finished(self) -> bool:
        """Never: the end is the `Call`'s."""
        return False

    def step(self, event: object, now: float) -> tuple[Machine, Sequence[object]]:
        """What `event` at time `now` makes of the call."""
        cell = _CELLS.get((self.stage, type(event)), _beside)
        return cell(self, event, now)


_Step = tuple[Machine, Sequence[object]]
_Cell = Callable[[Reception, Any, float], _Step]


def _beside(state: Reception, event: object, now: float) -> _Step:
    """What means nothing to the reception may mean something to the call in it."""
    call, commands = state.call.step(event, now)
    if call.phase is Phase.ENDED:
        return call, commands
    return (state if call is state.call else replace(state, call=call)), commands


#: Seconds that a prompt may last which the caller must hear to its end.
_LONGEST_PROMPT = 15.0


def begin(
    plan: ReceptionPlan, leg: LegDescription, media: NegotiatedMedia | None, now: float
) -> tuple[Reception, Sequence[object]]:
    """A call whose leg is open; `leg` is our answer to its offer, or our offer if it made none."""
    call = early(plan.call, leg, now, Wire.CALLED)
    if plan.guest is None:
        entry = PinEntry(plan.pin_tries)
        return _picked_up(Reception(plan, call, media, entry=entry), Stage.OPENING)
    call = replace(call, joining=True)
    return Reception(plan, call, media), [desk.Ring(), do.JoinRoom(plan.guest)]


def _picked_up(state: Reception, stage: Stage) -> tuple[Reception, list[object]]:
    """The 200 leaves. Sound flows at once where the caller has said where to."""
    commands: list[object] = [desk.Answer(state.call.leg.body)]
    if state.media is not None:
        call, more = answered(state.call, state.media)
        commands += more
    else:
        # RFC 3261 section 13.2.1: an INVITE without an offer gets ours; the ACK brings the answer.
        call = replace(state.call, wire=Wire.CONNECTED)
    # A crash must not leave the caller in a call that nobody knows of.
    commands.append(do.StoreAnswer(at_once=True))
    return replace(state, call=call, stage=stage, until=None), commands


def _end(state: Reception, ending: Termination, wire: Wire | None = None) -> _Step:
    return end(state.call, ending, wire=wire)


# ── into the room ────────────────────────────────────────────────────────────


def _joined(state: Reception, _event: Joined, now: float) -> _Step:
    plan = state.plan
    state = replace(state, call=seated(state.call))
    commands: list[object] = [do.PublishTrack(tone=False), desk.NoteSeat()]
    if plan.answer is AnswerWhen.NOW:
        state, more = _picked_up(state, Stage.CONNECTING)
        return state, [*commands, *more]
    if plan.answer is AnswerWhen.WHEN_HEARD:
        state = replace(state, stage=Stage.RINGING)
        return _patient(state, now), [*commands, desk.WatchCompany()]
    state, more = _picked_up(state, Stage.WAITING)
    if state.media is not None:
        more.append(desk.PlayToPhone(Sound(plan.answer.value)))
    return _patient(state, now), [*commands, *more, desk.WatchCompany()]


def _patient(state: Reception, now: float) -> Reception:
    """Until the ringing ends, or a fallback is tried, whichever comes first."""
    plan = state.plan
    waits = plan.fallback is not None and not state.forwarded
    patience = min(plan.ringing_timeout, plan.fallback_after) if waits else plan.ringing_timeout
    return replace(state, until=now + patience)


def _heard(state: Reception, _event: SomebodyHeard, _now: float) -> _Step:
    """Somebody can be heard: the phone is picked up, and not earlier (LiveKit's rule)."""
    return _picked_up(state, Stage.CONNECTING)


def _heard_while_waiting(state: Reception, _event: SomebodyHeard, _now: float) -> _Step:
    state = replace(state, stage=Stage.CONNECTING, until=None)
    if state.media is None:
        return state, []
    return _connected(state, [desk.StopSound()])


def _acknowledged(state: Reception, event: Acknowledged, now: float) -> _Step:
    """The caller has our answer: what is said from here on is heard."""
    if event.offer_id != 0:
        call, parting = state.call.step(event, now)
        return replace(state, call=call), parting
    commands: list[object] = []
    late = state.media is None
    if late:
        # With a late offer, the ACK brings the description that sound follows.
        try:
            media = state.call.leg.accept(event.body)
        except SdpError as error:
            return _end(state, of_sdp(error))
        call, more = answered(state.call, media)
        state = replace(state, call=call, media=media)
        commands += more
    if state.stage is Stage.CONNECTING:
        return _connected(state, commands)
    if state.stage is Stage.OPENING:
        return _ask_for_pin(state, Sound.ENTER_PIN, now, commands)
    if state.stage is Stage.WAITING and late:
        commands.append(desk.PlayToPhone(Sound(state.plan.answer.value)))
    return state, commands


def _heard_phone(state: Reception, _event: MediaStarted, now: float) -> _Step:
    """Packets of the caller say as well as an ACK that he has our answer."""
    if state.media is None:
        return state, []
    if state.stage is Stage.OPENING:
        return _ask_for_pin(state, Sound.ENTER_PIN, now)
    return _connected(state, [])


def _connected(state: Reception, commands: Sequence[object]) -> _Step:
    call, more = bridged(state.call, {})
    if state.plan.answer is not AnswerWhen.NOW:
        return call, [*commands, *more]
    return call, [*commands, *_ringing_until_heard(more)]


def _ringing_until_heard(commands: Sequence[object]) -> list[object]:
    """A caller who is connected before anybody has come hears that it rings, and not silence."""
    return [desk.PlayToPhone(Sound.RING_TONE), *commands, desk.WatchCompany()]


# ── nobody comes ─────────────────────────────────────────────────────────────


def _nobody_comes(state: Reception, _event: NobodyComes, now: float) -> _Step:
    if state.plan.fallback is None or state.forwarded:
        return state, []
    return _fall_back(state, state.plan.fallback, now)


def _patience_over(state: Reception, event: DeadlineReached, now: float) -> _Step:
    if _is_early(state, event, now):
        return _beside(state, event, now)
    if state.plan.fallback is not None and not state.forwarded:
        return _fall_back(state, state.plan.fallback, now)
    return _given_up(state, Cause.NOBODY_HEARD, state.plan.ringing_status)


def _given_up(state: Reception, cause: Cause, status: int, detail: str = "") -> _Step:
    """The status is told where the call is not answered; else it is a BYE."""
    if state.stage is not Stage.RINGING:
        return _end(state, Termination(cause, detail=detail))
    return _end(state, Termination(cause, status, reason_phrase(status), detail))


def _fall_back(state: Reception, fallback: Fallback, now: float) -> _Step:
    unanswered = state.stage is Stage.RINGING
    match fallback:
        case Forward(number=number):
            state = _patient(replace(state, forwarded=True), now)
            return state, [desk.ForwardTo(number)]
        case Redirect(uri=uri) if unanswered:
            ending = Termination(Cause.REDIRECTED, status=302)
            call, commands = _end(state, ending, Wire.CLOSED)
            return call, [desk.RedirectCaller(uri), *commands]
        case Redirect():
            # RFC 3261 section 8.3: only a call that is not answered can be sent elsewhere.
            return _end(state, Termination(Cause.NO_AGENT))
        case Refuse(status=status):
            return _given_up(state, Cause.NO_AGENT, status)


def _forward_failed(state: Reception, event: ForwardFailed, _now: float) -> _Step:
    return _given_up(state, Cause.NO_AGENT, 480, event.detail)


# ── the PIN ──────────────────────────────────────────────────────────────────


def _ask_for_pin(
    state: Reception, prompt: Sound, now: float, commands: Sequence[object] = ()
) -> _Step:
    until = now + state.plan.pin_timeout
    state = replace(state, stage=Stage.TYPING, until=until)
    return state, [*commands, desk.PlayToPhone(prompt)]


def _key(state: Reception, event: DigitFromPhone, now: float) -> _Step:
    """Whoever types knows what is wanted: the prompt falls silent."""
    if state.entry is None:
        return state, []
    typed = state.entry.typed
    entry, verdict = state.entry.key(event.digit)
    state = replace(state, entry=entry)
    match verdict:
        case Verdict.TYPING:
            silence = [] if typed else [desk.StopSound()]
            return replace(state, until=now + state.plan.pin_timeout), silence
        case Verdict.SUBMITTED:
            return replace(state, until=None), [desk.StopSound(), desk.TryPin(entry.typed)]
        case _:
            return _wrong(state, verdict, now)


def _key_by_info(state: Reception, event: InfoReceived, now: float) -> _Step:
    """As in a call: INFO counts where no digits come as RTP events (some carriers send both)."""
    by_rtp = state.media is not None and state.media.digits is not None
    digit = None if by_rtp else digit_of_info(event.content_type, event.body)
    return (state, []) if digit is None else _key(state, DigitFromPhone(digit), now)


def _typed_too_slowly(state: Reception, event: DeadlineReached, now: float) -> _Step:
    if _is_early(state, event, now):
        return _beside(state, event, now)
    return _next_try(state, now)


def _pin_refused(state: Reception, _event: PinRefused, now: float) -> _Step:
    return _next_try(state, now)


def _next_try(state: Reception, now: float) -> _Step:
    entry, verdict = (state.entry or PinEntry()).wrong()
    return _wrong(replace(state, entry=entry), verdict, now)


def _wrong(state: Reception, verdict: Verdict, now: float) -> _Step:
    if verdict is not Verdict.EXHAUSTED:
        return _ask_for_pin(state, Sound.WRONG_PIN, now)
    state = replace(state, stage=Stage.LEAVING, until=now + _LONGEST_PROMPT)
    return state, [desk.PlayToPhone(Sound.GOODBYE)]


def _pin_accepted(state: Reception, event: PinAccepted, now: float) -> _Step:
    until = now + _LONGEST_PROMPT
    state = replace(state, stage=Stage.WELCOMING, guest=event.guest, until=until)
    return state, [desk.PlayToPhone(Sound.ROOM_JOIN)]


def _welcomed(state: Reception, event: SoundPlayed | DeadlineReached, now: float) -> _Step:
    guest = state.guest
    if guest is None or _is_early(state, event, now):
        return _beside(state, event, now)
    call = replace(state.call, joining=True)
    state = replace(state, call=call, stage=Stage.ENTERING, until=None)
    return state, [do.JoinRoom(guest)]


def _entered(state: Reception, _event: Joined, _now: float) -> _Step:
    """LiveKit's order after a PIN: active at once."""
    call, commands = bridged(seated(state.call), {})
    return call, [do.PublishTrack(tone=False), desk.NoteSeat(), *_ringing_until_heard(commands)]


def _left(state: Reception, event: SoundPlayed | DeadlineReached, now: float) -> _Step:
    if _is_early(state, event, now):
        return _beside(state, event, now)
    return _end(state, Termination(Cause.PIN_FAILED))


def _is_early(state: Reception, event: object, now: float) -> bool:
    """Whether a deadline has come that is not the one of this stage."""
    if not isinstance(event, DeadlineReached):
        return False
    return state.until is None or now < state.until or now >= state.call.ends_at


# ── the caller goes ──────────────────────────────────────────────────────────


def _failed(state: Reception, event: Failed, _now: float) -> _Step:
    """CANCEL, or the INVITE came to nothing in another way; its answer is on the wire."""
    if event.failure.kind is FailureKind.CANCELLED:
        return _end(state, Termination(Cause.CANCELLED), Wire.CLOSED)
    detail = legible(event.failure.reason)
    return _end(state, Termination(Cause.DIALOG_LOST, detail=detail), Wire.CLOSED)


def _hung_up(state: Reception, _event: ByeReceived, _now: float) -> _Step:
    return _end(state, while_in(state.call, Cause.BYE), Wire.CLOSED)


def _dialog_ended(state: Reception, event: DialogEnded, _now: float) -> _Step:
    detail = legible(event.failure.reason) if event.failure is not None else ""
    return _end(state, Termination(Cause.DIALOG_LOST, detail=detail), Wire.CLOSED)


def _join_refused(state: Reception, event: JoinRefused, _now: float) -> _Step:
    call = replace(state.call, joining=False)
    return end(call, Termination(Cause.JOIN_FAILED, detail=event.detail))


_PIN = (Stage.OPENING, Stage.TYPING, Stage.WELCOMING, Stage.ENTERING, Stage.LEAVING)
_UP = (Stage.WAITING, Stage.CONNECTING, *_PIN)
_ALONE = (Stage.RINGING, Stage.WAITING)

_ROWS: tuple[tuple[tuple[Stage, ...], type[Any], _Cell], ...] = (
    ((Stage.SEATING,), Joined, _joined),
    ((Stage.SEATING, Stage.ENTERING), JoinRefused, _join_refused),
    # Also after our answer, which is held back while the caller owes us a PRACK (RFC 3262).
    (tuple(Stage), Failed, _failed),
    ((Stage.RINGING,), SomebodyHeard, _heard),
    ((Stage.WAITING,), SomebodyHeard, _heard_while_waiting),
    (_ALONE, NobodyComes, _nobody_comes),
    (_ALONE, DeadlineReached, _patience_over),
    (_ALONE, ForwardFailed, _forward_failed),
    (_UP, Acknowledged, _acknowledged),
    ((Stage.CONNECTING, Stage.OPENING), MediaStarted, _heard_phone),
    ((Stage.TYPING,), DigitFromPhone, _key),
    ((Stage.TYPING,), InfoReceived, _key_by_info),
    ((Stage.TYPING,), DeadlineReached, _typed_too_slowly),
    ((Stage.TYPING,), PinRefused, _pin_refused),
    ((Stage.TYPING,), PinAccepted, _pin_accepted),
    ((Stage.WELCOMING,), SoundPlayed, _welcomed),
    ((Stage.WELCOMING,), DeadlineReached, _welcomed),
    ((Stage.ENTERING,), Joined, _entered),
    ((Stage.LEAVING,), SoundPlayed, _left),
    ((Stage.LEAVING,), DeadlineReached, _left),
    (_UP, ByeReceived, _hung_up),
    (_UP, DialogEnded, _dialog_ended),
)
_CELLS: Mapping[tuple[Stage, type[Any]], _Cell] = {
    (stage, event): cell for stages, event, cell in _ROWS for stage in stages
}
