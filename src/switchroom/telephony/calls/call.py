"""A call as a pure machine, from the answer on: an event or a deadline in; new state, commands out.

Calls of both directions are this machine once they are answered, and end by it whenever they end.
What comes before the answer is a machine of the direction's own, which holds a `Call` and hands
over to it. The table `_CELLS` is the whole behaviour: a cell for each phase and event that mean
something to each other. What has no cell is ignored, and `test_call` walks all of them. Time is the
monotonic clock's, in seconds, and comes in with the event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Protocol

from switchroom.base.legible import legible
from switchroom.base.records import record, replace
from switchroom.sdp.errors import SdpError
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    Fields,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
    ReferAnswered,
    ReferNotified,
    ReferReceived,
)
from switchroom.telephony.calls import call_events as do, transfer as transfers
from switchroom.telephony.calls.call_events import (
    Abandoned,
    CallStatus,
    DeadlineReached,
    DigitFromPhone,
    DigitsFromRoom,
    DigitsPlayed,
    EndWanted,
    Joined,
    JoinRefused,
    MediaLost,
    RoomClosed,
    Stopping,
    TakenOver,
)
from switchroom.telephony.calls.dtmf import digit_of_info
from switchroom.telephony.calls.leg_description import LegDescription, refusal_of
from switchroom.telephony.calls.q850 import q850_of, trouble_in
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer import (
    Transfer,
    TransferAbandoned,
    TransferWanted,
)
from switchroom.telephony.routing.headers import NO_RULES, AttributeRules


class Phase(Enum):
    """How far the call has come."""

    # What each event looks its cell up by: by identity, which needs no call of Python.
    __hash__ = object.__hash__

    EARLY = "early"  # not answered: the direction's own machine knows more
    ANSWERED = "answered"  # sound flows, and neither the phone nor the room hears the other yet
    ACTIVE = "active"
    ENDED = "ended"


class Wire(Enum):
    """What the far end believes, which may differ while an ending is on its way."""

    IDLE = "idle"
    INVITED = "invited"  # our INVITE has no answer yet
    CALLED = "called"  # theirs has none from us
    CANCELLING = "cancelling"
    CONNECTED = "connected"
    CLOSING = "closing"
    CLOSED = "closed"


def _none() -> Mapping[str, str]:
    return {}


@record
class CallPlan:
    """What holds for the whole call. Times are seconds.

    ``max_duration`` counts from the first step, ringing included, as LiveKit counts it.
    ``first_silence`` and ``silence`` are how long no packet may come before the first and after it.
    ``attributes_to_headers`` (attribute -> header) is what our requests say of the participant.
    ``allow_refer`` is whether the phone may transfer the call, ``denoise`` whether the noise behind
    its voice is taken away, ``detect_tones`` whether a phone without telephone events may press
    keys by their tones.
    """

    max_duration: float
    first_silence: float
    silence: float
    attribute_rules: AttributeRules = NO_RULES
    attributes_to_headers: Mapping[str, str] = field(default_factory=_none)
    allow_refer: bool = False
    denoise: bool = False
    detect_tones: bool = False


@record
class Call:
    """The state. ``joining`` is while the room has been asked for a seat and has not replied."""

    plan: CallPlan
    leg: LegDescription
    ends_at: float
    phase: Phase = Phase.EARLY
    wire: Wire = Wire.IDLE
    joining: bool = False
    in_room: bool = False
    media: NegotiatedMedia | None = None
    keys_queued: int = 0
    refers: int = 0
    transfer: Transfer | None = None
    termination: Termination | None = None

    @property
    def call(self) -> Call:
        """Itself: from the answer on the call needs no other machine."""
        return self

    @property
    def deadline(self) -> float | None:
        """When DeadlineReached is due (monotonic s), None if nothing is waited for."""
        if self.phase is Phase.ENDED:
            return None
        return self.ends_at if self.transfer is None else min(self.ends_at, self.transfer.due)

    @property
    def finished(self) -> bool:
        """Nothing more can happen: the ending is known on both sides."""
        return (
            self.phase is Phase.ENDED and not self.joining and self.wire in (Wire.IDLE, Wire.CLOSED)
        )

    def step(self, event: object, now: float) -> Step:
        """What `event` at time `now` makes of the call."""
        cell = _CELLS.get((self.phase, type(event)))
        return (self, []) if cell is None else cell(self, event, now)


class Machine(Protocol):
    """What a runner drives: a `Call`, or the machine of a direction that still holds one."""

    @property
    def call(self) -> Call: ...

    @property
    def deadline(self) -> float | None: ...

    @property
    def finished(self) -> bool: ...

    def step(self, event: object, now: float) -> tuple[Machine, Sequence[object]]: ...


Step = tuple[Call, Sequence[object]]
_Cell = Callable[[Call, Any, float], Step]

#: Keys and pauses from the room that may wait to be played.
MOST_KEYS = 256

#: Reason headers of our BYE (RFC 3326): what a carrier's record will say.
_NORMAL = 'Q.850;cause=16;text="Normal call clearing"'
_REASONS: Mapping[Cause, str] = {
    Cause.MEDIA_TIMEOUT: 'Q.850;cause=41;text="No media"',
    Cause.NO_COMMON_CODEC: 'SIP;cause=488;text="Not Acceptable Here"',
    Cause.SDP_ERROR: 'SIP;cause=488;text="Not Acceptable Here"',
    Cause.SHUTDOWN: 'SIP;cause=503;text="Server stopping"',
}

#: Reason headers of our CANCEL, where there is more to say than that nobody answered.
_CANCEL_REASONS: Mapping[Cause, str] = {
    Cause.NO_ANSWER: 'Q.850;cause=19;text="No answer"',
    Cause.ABANDONED: 'Q.850;cause=16;text="Caller gave up"',
    Cause.REMOVED: 'Q.850;cause=16;text="Caller gave up"',
    Cause.END_CALL: 'Q.850;cause=16;text="Caller gave up"',
    Cause.MAX_DURATION: 'Q.850;cause=19;text="No answer"',
    Cause.SHUTDOWN: 'SIP;cause=503;text="Server stopping"',
}

#: How a call to us is refused whose ending has no status of its own.
_REJECTIONS: Mapping[Cause, tuple[int, str]] = {
    Cause.NO_COMMON_CODEC: (488, "Not Acceptable Here"),
    Cause.SDP_ERROR: (400, "Bad Session Description"),
    Cause.MEDIA_FAILED: (503, "Service Unavailable"),
    Cause.STORAGE_FAILED: (500, "Server Internal Error"),
    Cause.JOIN_FAILED: (500, "Server Internal Error"),
    Cause.SHUTDOWN: (503, "Service Unavailable"),
}
_REJECTED = (486, "Rejected")


def early(
    plan: CallPlan,
    leg: LegDescription,
    now: float,
    wire: Wire = Wire.IDLE,
    *,
    joining: bool = False,
) -> Call:
    """A new call, its media leg being open and described by `leg`."""
    return Call(plan, leg, ends_at=now + plan.max_duration, wire=wire, joining=joining)


# ── the way up: for the machines that hold a call ────────────────────────────


def seated(call: Call, wire: Wire | None = None) -> Call:
    """The room has given the phone its seat; `wire` is what the far end believes from here on."""
    return replace(call, joining=False, in_room=True, wire=wire or call.wire)


def answered(call: Call, media: NegotiatedMedia) -> Step:
    """The 200 has been sent or received: sound flows, and keys may be sent."""
    call = replace(call, phase=Phase.ANSWERED, wire=Wire.CONNECTED, media=media)
    commands: list[object] = [_update_leg(call, media)]
    detect = call.plan.detect_tones and media.digits is None
    if call.plan.denoise or detect:
        commands.append(do.SetProcessing(call.plan.denoise, detect))
    return call, commands


def bridged(call: Call, attributes: Mapping[str, str]) -> Step:
    """Both sides hear each other from here on, and not a word earlier."""
    commands: list[object] = [
        do.ConnectTrack(),
        do.SetStatus(CallStatus.ACTIVE, attributes),
        do.HearRoom(),
    ]
    if _is_held(call):
        commands.append(do.SetHold(held=True))
    return replace(call, phase=Phase.ACTIVE, keys_queued=0), commands


# ── during the call ──────────────────────────────────────────────────────────


def _update_leg(call: Call, media: NegotiatedMedia) -> do.UpdateLeg:
    if media.direction not in ("sendrecv", "recvonly"):
        return do.UpdateLeg(media, do.NO_HURRY)
    plan = call.plan
    return do.UpdateLeg(media, do.Patience(plan.first_silence or None, plan.silence or None))


def _reoffered(call: Call, event: OfferReceived, _now: float) -> Step:
    """Hold, a new address, a session refresh: all are an offer that our description answers."""
    if not event.body:
        # RFC 3261 section 14.2: without an offer, ours goes into the 2xx.
        leg = call.leg.reoffering(call.media)
        return replace(call, leg=leg), [do.RespondOffer(event.offer_id, 200, "OK", leg.body)]
    try:
        leg, media = call.leg.answering(event.body)
    except SdpError as error:
        # RFC 3261 section 14.2: the session goes on as it was.
        refusal = refusal_of(error)
        return call, [do.RespondOffer(event.offer_id, refusal.status, refusal.phrase)]
    response = do.RespondOffer(event.offer_id, 200, "OK", leg.body)
    call, commands = _renegotiated(replace(call, leg=leg), media)
    return call, [response, *commands]


def _acknowledged(call: Call, event: Acknowledged, _now: float) -> Step:
    """The answer to an offer that we made in a 2xx; a bad one leaves the session as it was."""
    if not event.body:
        return call, []
    try:
        media = call.leg.accept(event.body)
    except SdpError:
        return call, []
    return _renegotiated(call, media)


def _renegotiated(call: Call, media: NegotiatedMedia) -> Step:
    """The room is told of hold and of its end, and of nothing else that is agreed on."""
    was_held = _is_held(call)
    call = replace(call, media=media)
    held = _is_held(call)
    # Before the call is active nobody talks; what holds then, `bridged` tells.
    told = [do.SetHold(held)] if held is not was_held and call.phase is Phase.ACTIVE else []
    return call, [_update_leg(call, media), *told]


def _is_held(call: Call) -> bool:
    return call.media is not None and not call.media.sends


def _offer_answered(call: Call, event: OfferAnswered, _now: float) -> Step:
    """The answer to a re-INVITE of the session timer (RFC 4028) may move the sound."""
    if not 200 <= event.status < 300 or not event.body:
        return call, []
    try:
        media = call.leg.accept(event.body)
    except SdpError:
        return call, []
    return _renegotiated(call, media)


def _taken_over(call: Call, event: TakenOver, _now: float) -> Step:
    """Another dialog takes the place of ours (RFC 3891): the phone stays who it is in its room.

    An offer that cannot be taken leaves the call as it was.
    """
    try:
        leg, media = call.leg.answering(event.body)
    except SdpError as error:
        refusal = refusal_of(error)
        return call, [do.RefuseSuccessor(refusal.status, refusal.phrase)]
    call, commands = _renegotiated(replace(call, leg=leg, refers=0), media)
    return call, [do.AnswerSuccessor(leg.body), *commands, do.StoreAnswer(at_once=False)]


def _offered_early(call: Call, event: OfferReceived, _now: float) -> Step:
    """RFC 3311 section 5.2: our own offer is not answered yet."""
    return call, [do.RespondOffer(event.offer_id, 491, "Request Pending")]


def _digit_from_phone(call: Call, event: DigitFromPhone, _now: float) -> Step:
    return call, [do.TellDigit(event.digit)]


def _informed(call: Call, event: InfoReceived, _now: float) -> Step:
    """Digits by INFO count only where none come as RTP events: some carriers send both.

    A phone that sends them by INFO may play their tones as well: these are no keys then.
    """
    by_rtp = call.media is not None and call.media.digits is not None
    digit = None if by_rtp else digit_of_info(event.content_type, event.body)
    if digit is None:
        return call, []
    commands: list[object] = [do.TellDigit(digit)]
    if call.plan.detect_tones:
        call = replace(call, plan=replace(call.plan, detect_tones=False))
        commands.append(do.SetProcessing(call.plan.denoise, detect_tones=False))
    return call, commands


def _digits_from_room(call: Call, event: DigitsFromRoom, _now: float) -> Step:
    """Keys take half a second each: who sends them faster than that is not followed for ever."""
    queued = call.keys_queued + len(event.digits)
    if queued > MOST_KEYS:
        return call, []
    return replace(call, keys_queued=queued), [do.PlayDigits(event.digits)]


def _keys_played(call: Call, _event: DigitsPlayed, _now: float) -> Step:
    return replace(call, keys_queued=0), []


def _bye(call: Call, event: ByeReceived, _now: float) -> Step:
    """After its consent to a transfer the phone's BYE means that it is elsewhere."""
    transfer = call.transfer
    gone = transfer is not None and (transfer.done or transfer.taken)
    ending = replace(
        while_in(call, Cause.TRANSFERRED if gone else Cause.BYE),
        detail=trouble_in(event.headers),
        q850=q850_of(event.headers),
    )
    return end(call, ending, wire=Wire.CLOSED)


def _dialog_ended(call: Call, event: DialogEnded | Failed, _now: float) -> Step:
    detail = legible(event.failure.reason) if event.failure is not None else ""
    ending = replace(while_in(call, Cause.DIALOG_LOST), detail=detail)
    return end(call, ending, wire=Wire.CLOSED)


def _media_lost(call: Call, _event: MediaLost, _now: float) -> Step:
    return end(call, while_in(call, Cause.MEDIA_TIMEOUT))


# ── transfers ────────────────────────────────────────────────────────────────


def _transfer_wanted(call: Call, event: TransferWanted, _now: float) -> Step:
    if call.transfer is not None:
        return call, []
    transfer, commands = transfers.begin(event.plan, call.refers + 1)
    return replace(call, transfer=transfer, refers=transfer.number), [*commands]


def _refer_answered(call: Call, event: ReferAnswered, now: float) -> Step:
    if call.transfer is None:
        return call, []
    transfer, commands = transfers.answered(call.transfer, event, now)
    return replace(call, transfer=transfer), [*commands]


def _refer_notified(call: Call, event: ReferNotified, now: float) -> Step:
    if call.transfer is None:
        return call, []
    transfer, commands = transfers.notified(call.transfer, event, now)
    return replace(call, transfer=transfer), [*commands]


def _transfer_abandoned(call: Call, _event: TransferAbandoned, _now: float) -> Step:
    if call.transfer is None:
        return call, []
    transfer, commands = transfers.abandoned(call.transfer)
    return replace(call, transfer=transfer), [*commands]


def _transfer_due(call: Call, transfer: Transfer) -> Step:
    if transfer.done:
        return end(call, while_in(call, Cause.TRANSFERRED))
    left, commands = transfers.overdue(transfer)
    return replace(call, transfer=left), [*commands]


def _refer_received(call: Call, event: ReferReceived, _now: float) -> Step:
    """A phone that wants to be elsewhere may hang up; where we call is not for it to say."""
    if call.plan.allow_refer and call.phase is Phase.ACTIVE:
        return call, [do.DialReferred(event.refer_id, event.refer_to)]
    return call, [do.RespondRefer(event.refer_id, 603, "Decline")]


# ── at any time ──────────────────────────────────────────────────────────────


def _deadline(call: Call, _event: DeadlineReached, now: float) -> Step:
    if now >= call.ends_at:
        return end(call, while_in(call, Cause.MAX_DURATION))
    if call.transfer is not None and now >= call.transfer.due:
        return _transfer_due(call, call.transfer)
    return call, []


def _join_refused(call: Call, event: JoinRefused, _now: float) -> Step:
    ending = Termination(Cause.JOIN_FAILED, detail=event.detail)
    return end(replace(call, joining=False), ending)


def _room_closed(call: Call, event: RoomClosed, _now: float) -> Step:
    active = call.phase is Phase.ACTIVE
    ending = Termination(Cause.REMOVED, was_active=active, left_with=event.reason)
    return end(call, ending, by_room=True)


def _end_wanted(call: Call, event: EndWanted, _now: float) -> Step:
    return end(call, while_in(call, Cause.END_CALL), headers=event.headers)


def _abandoned(call: Call, _event: Abandoned, _now: float) -> Step:
    return end(call, while_in(call, Cause.ABANDONED))


def _stopping(call: Call, _event: Stopping, _now: float) -> Step:
    return end(call, while_in(call, Cause.SHUTDOWN))


def while_in(call: Call, cause: Cause) -> Termination:
    """The ending by `cause` in the phase that the call is in."""
    return Termination(cause, was_active=call.phase is Phase.ACTIVE)


def end(
    call: Call,
    ending: Termination,
    *,
    wire: Wire | None = None,
    by_room: bool = False,
    headers: Fields = (),
) -> Step:
    """The far end first, then the room, then the books.

    `wire` is what the far end believes, where this event has just changed it. A room that ends the
    call still shows the last attributes, and takes the seat back by itself. `headers` go with the
    BYE, CANCEL or rejection.
    """
    answered = call.media is not None
    wire, commands = _farewell(wire or call.wire, ending, headers)
    if call.transfer is not None:
        commands += transfers.call_ended(call.transfer)
    if call.in_room:
        commands.append(_last_words(ending, hung_up=answered))
    if call.in_room and not by_room:
        commands.append(do.LeaveRoom(ending.room_reason))
    commands += [do.CloseLeg(), do.StoreEnd(ending)]
    call = replace(
        call,
        phase=Phase.ENDED,
        wire=wire,
        in_room=False,
        transfer=None,
        termination=ending,
    )
    return call, commands


def _farewell(wire: Wire, ending: Termination, headers: Fields) -> tuple[Wire, list[object]]:
    if wire is Wire.INVITED:
        return Wire.CANCELLING, [do.Cancel(_CANCEL_REASONS.get(ending.cause, ""), headers)]
    if wire is Wire.CALLED:
        status, phrase = _REJECTIONS.get(ending.cause, _REJECTED)
        reject = do.Reject(ending.status or status, ending.reason or phrase, headers)
        return Wire.CLOSED, [reject]
    if wire is Wire.CONNECTED:
        return Wire.CLOSING, [do.Bye(_REASONS.get(ending.cause, _NORMAL), headers)]
    return wire, []


def _last_words(ending: Termination, *, hung_up: bool) -> do.SetStatus | do.SetAttributes:
    """LiveKit shows `hangup` for answered calls only; the true ending stands beside it."""
    truth = {"sip.termination": ending.word}
    if ending.status is not None:
        truth["sip.statusCode"] = str(ending.status)
    if ending.reason:
        truth["sip.statusText"] = ending.reason
    if ending.q850 is not None:
        truth["sip.q850Cause"] = str(ending.q850)
    return do.SetStatus(CallStatus.HANGUP, truth) if hung_up else do.SetAttributes(truth)


# ── after the end ────────────────────────────────────────────────────────────


def _joined_late(call: Call, _event: Joined, _now: float) -> Step:
    ended = call.termination or Termination(Cause.ABANDONED)
    return replace(call, joining=False), [do.LeaveRoom(ended.room_reason)]


def _join_refused_late(call: Call, _event: JoinRefused, _now: float) -> Step:
    return replace(call, joining=False), []


def _far_end_done(call: Call, _event: object, _now: float) -> Step:
    if call.wire in (Wire.IDLE, Wire.CLOSED):
        return call, []
    return replace(call, wire=Wire.CLOSED), [do.ForgetDialog()]


_LIVE = (Phase.EARLY, Phase.ANSWERED, Phase.ACTIVE)
_UP = (Phase.ANSWERED, Phase.ACTIVE)

_ROWS: tuple[tuple[tuple[Phase, ...], type[Any], _Cell], ...] = (
    ((Phase.EARLY,), OfferReceived, _offered_early),
    (_UP, OfferReceived, _reoffered),
    (_UP, Acknowledged, _acknowledged),
    (_UP, OfferAnswered, _offer_answered),
    ((Phase.ACTIVE,), DigitFromPhone, _digit_from_phone),
    ((Phase.ACTIVE,), InfoReceived, _informed),
    ((Phase.ACTIVE,), DigitsFromRoom, _digits_from_room),
    ((Phase.ACTIVE,), DigitsPlayed, _keys_played),
    ((Phase.ACTIVE,), TransferWanted, _transfer_wanted),
    ((Phase.ACTIVE,), TransferAbandoned, _transfer_abandoned),
    ((Phase.ACTIVE,), ReferAnswered, _refer_answered),
    ((Phase.ACTIVE,), ReferNotified, _refer_notified),
    ((Phase.ACTIVE,), TakenOver, _taken_over),
    (_UP, ReferReceived, _refer_received),
    (_UP, ByeReceived, _bye),
    (_UP, DialogEnded, _dialog_ended),
    (_UP, Failed, _dialog_ended),
    (_UP, MediaLost, _media_lost),
    ((Phase.EARLY, Phase.ANSWERED), JoinRefused, _join_refused),
    (_LIVE, DeadlineReached, _deadline),
    (_LIVE, RoomClosed, _room_closed),
    (_LIVE, EndWanted, _end_wanted),
    (_LIVE, Abandoned, _abandoned),
    (_LIVE, Stopping, _stopping),
    ((Phase.ENDED,), Joined, _joined_late),
    ((Phase.ENDED,), JoinRefused, _join_refused_late),
    ((Phase.ENDED,), Failed, _far_end_done),
    ((Phase.ENDED,), ByeReceived, _far_end_done),
    ((Phase.ENDED,), DialogEnded, _far_end_done),
)
_CELLS: Mapping[tuple[Phase, type[Any]], _Cell] = {
    (phase, event): cell for phases, event, cell in _ROWS for phase in phases
}
