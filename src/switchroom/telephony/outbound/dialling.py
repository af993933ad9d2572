"""An outbound call up to the answer, as a pure machine around a `Call`.

It hands over to the `Call` alone as soon as there is nothing more that only a dial knows: when the
call is active and whoever waited has been told, or when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from switchroom.base.records import record, replace
from switchroom.sdp.codecs import Codec
from switchroom.sdp.crypto import SrtpPolicy
from switchroom.sdp.errors import SdpError
from switchroom.sip.invite_session import Answered, Failed, Provisional
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
)
from switchroom.telephony.calls.call_events import (
    AnswerStored,
    CallStatus,
    DeadlineReached,
    DigitsPlayed,
    Guest,
    Joined,
)
from switchroom.telephony.calls.dial_failure import of_failure, of_sdp
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.outbound import dial_events as dial
from switchroom.telephony.outbound.dial_events import (
    DialStored,
    Undialable,
    WaiterJoined,
)
from switchroom.telephony.routing.headers import answer_attributes, provider_attributes


class Stage(Enum):
    """How far the dial has come."""

    # As of `Phase`.
    __hash__ = object.__hash__

    PREPARING = "preparing"  # a leg and a seat are being made; nothing has left the house
    DIALING = "dialing"
    RINGING = "ringing"
    AUTOMATION = "automation"  # answered; digits are being sent
    STORING = "storing"  # active; whoever waits is told when the dialog is stored


@record
class DialPlan:
    """What was decided before the dial. Times are seconds.

    ``durable_dial``: the record must be on disk before the INVITE leaves, because the request can
    come again after a crash. ``answer_by`` is the monotonic time until which the request waits,
    None if it does not. ``early_media``: what the network says before the answer (SDP in a 183) is
    heard in the room.
    """

    call: CallPlan
    guest: Guest
    codecs: tuple[Codec, ...]
    ringing_timeout: float
    digits: str = ""
    play_dialtone: bool = False
    durable_dial: bool = False
    answer_by: float | None = None
    srtp: SrtpPolicy = SrtpPolicy.IF_INSISTED
    early_media: bool = False


@record
class Dialling:
    """The state. ``ring_until`` and ``answer_by`` are deadlines that hold until the answer."""

    plan: DialPlan
    call: Call
    stage: Stage = Stage.PREPARING
    answer_by: float | None = None
    ring_until: float | None = None
    answer_stored: bool = False

    @property
    def deadline(self) -> float | None:
        """When DeadlineReached is due (monotonic s)."""
        due = self.call.deadline
        for time in (self.answer_by, self.ring_until):
            if time is not None and (due is None or time < due):
                due = time
        return due

    @property
    def finished(self) -> bool:
        """Never: the end of a dial is the `Call`'s."""
        return False

    def step(self, event: object, now: float) -> tuple[Machine, Sequence[object]]:
        """What `event` at time `now` makes of the dial."""
        cell = _CELLS.get((self.stage, type(event)))
        if cell is not None:
            return cell(self, event, now)
        call, commands = self.call.step(event, now)
        if call.phase is Phase.ENDED:
            if self.stage is Stage.STORING:
                # The two sides were connected: what ended that is no failure of the dial.
                return call, [*commands, dial.ReportActive()]
            return _told_of(call, commands)
        return (self if call is self.call else replace(self, call=call)), commands


_Step = tuple[Machine, Sequence[object]]
_Cell = Callable[[Dialling, Any, float], _Step]


def begin(plan: DialPlan, leg: LegDescription, now: float) -> tuple[Dialling, Sequence[do.Command]]:
    """A new dial, its media leg being open and described by `leg`."""
    call = early(plan.call, leg, now, joining=True)
    return Dialling(plan, call, answer_by=plan.answer_by), [do.JoinRoom(plan.guest)]


def _end(state: Dialling, ending: Termination, wire: Wire | None = None) -> _Step:
    return _told_of(*end(state.call, ending, wire=wire))


def _told_of(call: Call, commands: Sequence[object]) -> _Step:
    """Requests still waiting get their error."""
    ending = call.termination or Termination(Cause.ABANDONED)
    return call, [*commands, dial.ReportEnded(ending)]


# ── before the INVITE ────────────────────────────────────────────────────────


def _joined(state: Dialling, _event: Joined, now: float) -> _Step:
    """The track is there before anybody is called: agents look for it at once."""
    plan = state.plan
    commands: list[object] = [
        do.PublishTrack(tone=plan.play_dialtone),
        dial.StoreDial(durable=plan.durable_dial),
    ]
    if plan.durable_dial:
        return replace(state, call=seated(state.call)), commands
    return _dial(state, seated(state.call, Wire.INVITED), commands, now)


def _dial_stored(state: Dialling, event: DialStored, now: float) -> _Step:
    if event.failure:
        # Dialling without the record could make the phone ring again after a crash.
        return _end(state, Termination(Cause.STORAGE_FAILED, detail=event.failure))
    return _dial(state, replace(state.call, wire=Wire.INVITED), [], now)


def _dial(state: Dialling, call: Call, commands: list[object], now: float) -> _Step:
    state = replace(
        state,
        call=call,
        stage=Stage.DIALING,
        ring_until=now + state.plan.ringing_timeout,
    )
    return state, [*commands, dial.SendInvite(state.call.leg.body), dial.ReportDialed()]


# ── until the answer ─────────────────────────────────────────────────────────


def _progress(state: Dialling, event: Provisional, _now: float) -> _Step:
    """Any status from 180 on rings; the providers' identifiers may come with each."""
    attributes = provider_attributes(event.headers)
    heard = _heard_early(state, event)
    if event.status >= 180 and state.stage is Stage.DIALING:
        ringing = replace(state, stage=Stage.RINGING)
        return ringing, [do.SetStatus(CallStatus.RINGING, attributes), *heard]
    return state, [do.SetAttributes(attributes), *heard] if attributes else heard


def _heard_early(state: Dialling, event: Provisional) -> list[object]:
    """The room hears announcements and ringing of the network; the phone hears nobody yet.

    Each dialog of a forked call may send its own: the last one that does is heard, as RFC 3960
    section 3.1 has it. An unusable description is no fault before the answer.
    """
    if not state.plan.early_media or not event.body:
        return []
    try:
        media = state.call.leg.accept(event.body)
    except SdpError:
        return []
    return [do.UpdateLeg(media, do.NO_HURRY), do.ConnectTrack()]


def _refused(state: Dialling, event: Failed, _now: float) -> _Step:
    """A far end without SRTP is asked again in the clear where that is allowed, and only once."""
    failure = event.failure
    plainer = None if failure.status is None else state.call.leg.after_refusal(failure.status)
    if plainer is None:
        return _end(state, of_failure(failure), Wire.CLOSED)
    return replace(state, call=replace(state.call, leg=plainer)), [dial.SendInvite(plainer.body)]


def _undialable(state: Dialling, event: Undialable, _now: float) -> _Step:
    return _end(state, Termination(Cause.ADDRESS_ERROR, detail=event.detail), Wire.IDLE)


def _answered(state: Dialling, event: Answered, _now: float) -> _Step:
    try:
        media = state.call.leg.accept(event.body)
    except SdpError as error:
        return _end(state, of_sdp(error), Wire.CONNECTED)
    waited_for = state.answer_by is not None
    call, commands = answered(state.call, media)
    attributes = _learnt(state, event)
    told = [*commands, do.StoreAnswer(at_once=waited_for)]
    if not state.plan.digits:
        return _connect(state, call, told, attributes, stored=not waited_for)
    status = do.SetStatus(CallStatus.AUTOMATION, attributes)
    state = replace(
        state, call=call, stage=Stage.AUTOMATION, ring_until=None, answer_stored=not waited_for
    )
    return state, [*told, status, do.PlayDigits(state.plan.digits)]


def _learnt(state: Dialling, event: Answered) -> dict[str, str]:
    attributes = answer_attributes(event.headers, state.call.plan.attribute_rules)
    attributes["sip.callTag"] = event.dialog
    attributes["sip.callIDFull"] = event.headers.get("Call-ID") or ""
    return attributes


def _digits_played(state: Dialling, _event: DigitsPlayed, _now: float) -> _Step:
    return _connect(state, state.call, [], {}, stored=state.answer_stored)


def _connect(
    state: Dialling,
    call: Call,
    before: Sequence[object],
    attributes: Mapping[str, str],
    *,
    stored: bool,
) -> _Step:
    """Both sides hear each other; whoever waits is told at once if the answer is `stored`."""
    call, commands = bridged(call, attributes)
    if stored:
        return call, [*before, *commands, dial.ReportActive()]
    storing = replace(state, call=call, stage=Stage.STORING, ring_until=None, answer_by=None)
    return storing, [*before, *commands]


def _stored_early(state: Dialling, _event: AnswerStored, _now: float) -> _Step:
    return replace(state, answer_stored=True), []


def _stored(state: Dialling, _event: AnswerStored, _now: float) -> _Step:
    """A request is told of the answer only when a crash could no longer orphan the call."""
    return state.call, [dial.ReportActive()]


# ── at any time ──────────────────────────────────────────────────────────────


def _deadline(state: Dialling, event: DeadlineReached, now: float) -> _Step:
    if now >= state.call.ends_at:
        return _told_of(*state.call.step(event, now))
    waited = (state.answer_by, state.ring_until)
    if not any(time is not None and now >= time for time in waited):
        return state, []
    answered_already = state.stage is Stage.AUTOMATION
    return _end(state, Termination(Cause.ABANDONED if answered_already else Cause.NO_ANSWER))


def _waiter_joined(state: Dialling, event: WaiterJoined, _now: float) -> _Step:
    """The dial lasts as long as the most patient request; a request of its own it outlasts."""
    if state.answer_by is None or event.deadline <= state.answer_by:
        return state, []
    return replace(state, answer_by=event.deadline), []


_EARLY = (Stage.DIALING, Stage.RINGING)
_WAITED_FOR = (Stage.PREPARING, *_EARLY, Stage.AUTOMATION)

_ROWS: tuple[tuple[tuple[Stage, ...], type[Any], _Cell], ...] = (
    ((Stage.PREPARING,), Joined, _joined),
    ((Stage.PREPARING,), DialStored, _dial_stored),
    (_EARLY, Provisional, _progress),
    (_EARLY, Failed, _refused),
    (_EARLY, Undialable, _undialable),
    (_EARLY, Answered, _answered),
    ((Stage.AUTOMATION,), DigitsPlayed, _digits_played),
    ((Stage.AUTOMATION,), AnswerStored, _stored_early),
    ((Stage.STORING,), AnswerStored, _stored),
    (_WAITED_FOR, DeadlineReached, _deadline),
    (_WAITED_FOR, WaiterJoined, _waiter_joined),
)
_CELLS: Mapping[tuple[Stage, type[Any]], _Cell] = {
    (stage, event): cell for stages, event, cell in _ROWS for stage in stages
}
