"""One outbound call as a pure machine: an event or a deadline in; new state and commands out.

The table `_CELLS` is the whole behaviour: a cell for each phase and event that mean something to
each other. What has no cell is ignored, and `test_call` walks all of them. Time is the monotonic
clock's, in seconds, and comes in with the event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from switchroom.base.legible import legible
from switchroom.sdp.codecs import Codec
from switchroom.sdp.errors import NotAcceptable, SdpError
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.sip.headers import tag_of
from switchroom.sip.invite_session import (
    Acknowledged,
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    InfoReceived,
    OfferReceived,
    Provisional,
)
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call_events import (
    Abandoned,
    AnswerStored,
    CallStatus,
    Command,
    DeadlineReached,
    DialStored,
    DigitFromPhone,
    DigitsFromRoom,
    DigitsPlayed,
    Joined,
    JoinRefused,
    MediaLost,
    MediaStarted,
    RoomClosed,
    Stopping,
    Undialable,
    WaiterJoined,
)
from switchroom.telephony.calls.dial_failure import of_failure, of_sdp
from switchroom.telephony.calls.dtmf import digit_of_info
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.routing.headers import (
    NO_RULES,
    AttributeRules,
    answer_attributes,
    provider_attributes,
)


class Phase(Enum):
    """How far the call has come."""

    PREPARING = "preparing"  # a leg and a seat are being made; nothing has left the house
    DIALING = "dialing"
    RINGING = "ringing"
    AUTOMATION = "automation"  # answered; digits are being sent
    ACTIVE = "active"
    ENDED = "ended"


class Wire(Enum):
    """What the far end believes, which may differ while an ending is on its way."""

    IDLE = "idle"
    INVITED = "invited"
    CANCELLING = "cancelling"
    CONNECTED = "connected"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What was decided before the dial. Times are seconds.

    ``durable_dial``: the record must be on disk before the INVITE leaves, because the request can
    come again after a crash. ``answer_by`` is the monotonic time until which the request waits,
    None if it does not. ``first_silence`` and ``silence`` are how long no packet may come before
    the first and after it.
    """

    codecs: tuple[Codec, ...]
    ringing_timeout: float
    max_duration: float
    first_silence: float
    silence: float
    digits: str = ""
    play_dialtone: bool = False
    durable_dial: bool = False
    answer_by: float | None = None
    attribute_rules: AttributeRules = NO_RULES


@dataclass(frozen=True, slots=True)
class Call:
    """The state. ``ring_until`` and ``answer_by`` are deadlines that hold until the answer."""

    plan: CallPlan
    leg: LegDescription
    ends_at: float
    answer_by: float | None = None
    ring_until: float | None = None
    phase: Phase = Phase.PREPARING
    wire: Wire = Wire.IDLE
    joining: bool = True
    in_room: bool = False
    media: NegotiatedMedia | None = None
    media_seen: bool = False
    keys_queued: int = 0
    answer_stored: bool = False
    termination: Termination | None = None

    @property
    def deadline(self) -> float | None:
        """When DeadlineReached is due (monotonic s), None if nothing is waited for."""
        if self.phase is Phase.ENDED:
            return None
        due = (self.ends_at, self.answer_by, self.ring_until)
        return min(time for time in due if time is not None)

    @property
    def finished(self) -> bool:
        """Nothing more can happen: the ending is known on both sides."""
        return (
            self.phase is Phase.ENDED and not self.joining and self.wire in (Wire.IDLE, Wire.CLOSED)
        )


Step = tuple[Call, list[Command]]
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


def begin(plan: CallPlan, leg: LegDescription, now: float) -> Step:
    """A new call, its media leg being open and described by `leg`.

    Its longest duration counts from here, ringing included, as LiveKit counts it.
    """
    call = Call(plan, leg, ends_at=now + plan.max_duration, answer_by=plan.answer_by)
    return call, [do.JoinRoom()]


def step(call: Call, event: object, now: float) -> Step:
    """What `event` at time `now` makes of the call."""
    cell = _CELLS.get((call.phase, type(event)))
    return (call, []) if cell is None else cell(call, event, now)


# ── before the INVITE ────────────────────────────────────────────────────────


def _joined(call: Call, _event: Joined, now: float) -> Step:
    """The track is there before anybody is called: agents look for it at once."""
    plan = call.plan
    commands: list[Command] = [
        do.PublishTrack(tone=plan.play_dialtone),
        do.StoreDial(durable=plan.durable_dial),
    ]
    if plan.durable_dial:
        return replace(call, joining=False, in_room=True), commands
    return _dial(call, commands, now)


def _join_refused(call: Call, event: JoinRefused, _now: float) -> Step:
    return _end(replace(call, joining=False), Termination(Cause.JOIN_FAILED, detail=event.detail))


def _dial_stored(call: Call, event: DialStored, now: float) -> Step:
    if event.failure:
        # Dialling without the record could make the phone ring again after a crash.
        return _end(call, Termination(Cause.STORAGE_FAILED, detail=event.failure))
    return _dial(call, [], now)


def _dial(call: Call, commands: list[Command], now: float) -> Step:
    call = replace(
        call,
        joining=False,
        in_room=True,
        phase=Phase.DIALING,
        wire=Wire.INVITED,
        ring_until=now + call.plan.ringing_timeout,
    )
    return call, [*commands, do.SendInvite(call.leg.body), do.ReportDialed()]


# ── until the answer ─────────────────────────────────────────────────────────


def _progress(call: Call, event: Provisional, _now: float) -> Step:
    """Any status from 180 on rings; the providers' identifiers may come with each."""
    attributes = provider_attributes(event.headers)
    if event.status >= 180 and call.phase is Phase.DIALING:
        return replace(call, phase=Phase.RINGING), [do.SetStatus(CallStatus.RINGING, attributes)]
    return call, [do.SetAttributes(attributes)] if attributes else []


def _refused(call: Call, event: Failed, _now: float) -> Step:
    return _end(call, of_failure(event.failure), wire=Wire.CLOSED)


def _undialable(call: Call, event: Undialable, _now: float) -> Step:
    ending = Termination(Cause.ADDRESS_ERROR, detail=event.detail)
    return _end(call, ending, wire=Wire.IDLE)


def _answered(call: Call, event: Answered, _now: float) -> Step:
    try:
        media = call.leg.accept(event.body)
    except SdpError as error:
        return _end(call, of_sdp(error), wire=Wire.CONNECTED)
    waited_for = call.answer_by is not None
    automated = bool(call.plan.digits) and media.digits is not None
    call = replace(
        call,
        phase=Phase.AUTOMATION if automated else Phase.ACTIVE,
        wire=Wire.CONNECTED,
        ring_until=None,
        answer_by=call.answer_by if automated else None,
        media=media,
        answer_stored=not waited_for,
    )
    commands: list[Command] = [_update_leg(call, media), do.StoreAnswer(durable=waited_for)]
    attributes = _learnt(call, event)
    if not automated:
        return call, commands + _connect(call, attributes)
    digits = do.PlayDigits(call.plan.digits)
    return call, [*commands, do.SetStatus(CallStatus.AUTOMATION, attributes), digits]


def _learnt(call: Call, event: Answered) -> dict[str, str]:
    attributes = answer_attributes(event.headers, call.plan.attribute_rules)
    attributes["sip.callTag"] = tag_of(event.headers.get("To") or "") or ""
    attributes["sip.callIDFull"] = event.headers.get("Call-ID") or ""
    return attributes


def _digits_played(call: Call, _event: DigitsPlayed, _now: float) -> Step:
    call = replace(call, phase=Phase.ACTIVE, answer_by=None)
    return call, _connect(call, {})


def _connect(call: Call, attributes: Mapping[str, str]) -> list[Command]:
    """Both sides hear each other from here on, and not a word earlier."""
    commands: list[Command] = [
        do.ConnectTrack(),
        do.SetStatus(CallStatus.ACTIVE, attributes),
        do.HearRoom(),
    ]
    if call.answer_stored:
        commands.append(do.ReportActive())
    return commands


def _answer_stored(call: Call, _event: AnswerStored, _now: float) -> Step:
    """A request is told of the answer only when a crash could no longer orphan the call."""
    active = call.phase is Phase.ACTIVE and not call.answer_stored
    return replace(call, answer_stored=True), [do.ReportActive()] if active else []


# ── during the call ──────────────────────────────────────────────────────────


def _media_started(call: Call, _event: MediaStarted, _now: float) -> Step:
    if call.media_seen or call.media is None:
        return call, []
    call = replace(call, media_seen=True)
    return call, [_update_leg(call, call.media)] if call.media is not None else []


def _update_leg(call: Call, media: NegotiatedMedia) -> do.UpdateLeg:
    silence = call.plan.silence if call.media_seen else call.plan.first_silence
    receives = media.direction in ("sendrecv", "recvonly")
    return do.UpdateLeg(media, silence if receives and silence > 0 else None)


def _reoffered(call: Call, event: OfferReceived, _now: float) -> Step:
    """Hold, a new address, a session refresh: all are an offer that our description answers."""
    if not event.body:
        # RFC 3261 section 14.2: without an offer, ours goes into the 2xx.
        leg = call.leg.reoffering()
        return replace(call, leg=leg), [do.RespondOffer(event.offer_id, 200, "OK", leg.body)]
    try:
        leg, media = call.leg.answering(event.body)
    except NotAcceptable:
        # RFC 3261 section 14.2: the session goes on as it was.
        return call, [do.RespondOffer(event.offer_id, 488, "Not Acceptable Here")]
    except SdpError:
        return call, [do.RespondOffer(event.offer_id, 400, "Bad Session Description")]
    call = replace(call, leg=leg, media=media)
    return call, [
        do.RespondOffer(event.offer_id, 200, "OK", leg.body),
        _update_leg(call, media),
    ]


def _acknowledged(call: Call, event: Acknowledged, _now: float) -> Step:
    """The answer to an offer that we made in a 2xx; a bad one leaves the session as it was."""
    if not event.body:
        return call, []
    try:
        media = call.leg.accept(event.body)
    except SdpError:
        return call, []
    return replace(call, media=media), [_update_leg(call, media)]


def _offered_early(call: Call, event: OfferReceived, _now: float) -> Step:
    """RFC 3311 section 5.2: our own offer is not answered yet."""
    return call, [do.RespondOffer(event.offer_id, 491, "Request Pending")]


def _digit_from_phone(call: Call, event: DigitFromPhone, _now: float) -> Step:
    return call, [do.TellDigit(event.digit)]


def _informed(call: Call, event: InfoReceived, _now: float) -> Step:
    """Digits by INFO count only where none come as RTP events: some carriers send both."""
    by_rtp = call.media is not None and call.media.digits is not None
    digit = None if by_rtp else digit_of_info(event.content_type, event.body)
    return call, [] if digit is None else [do.TellDigit(digit)]


def _digits_from_room(call: Call, event: DigitsFromRoom, _now: float) -> Step:
    """Keys take half a second each: who sends them faster than that is not followed for ever."""
    queued = call.keys_queued + len(event.digits)
    takes_digits = call.media is not None and call.media.digits is not None
    if not takes_digits or queued > MOST_KEYS:
        return call, []
    return replace(call, keys_queued=queued), [do.PlayDigits(event.digits)]


def _keys_played(call: Call, _event: DigitsPlayed, _now: float) -> Step:
    return replace(call, keys_queued=0), []


def _bye(call: Call, _event: ByeReceived, _now: float) -> Step:
    return _end(call, _while(call, Cause.BYE), wire=Wire.CLOSED)


def _dialog_ended(call: Call, event: DialogEnded, _now: float) -> Step:
    detail = legible(event.failure.reason) if event.failure is not None else ""
    ending = replace(_while(call, Cause.DIALOG_LOST), detail=detail)
    return _end(call, ending, wire=Wire.CLOSED)


def _media_lost(call: Call, _event: MediaLost, _now: float) -> Step:
    return _end(call, _while(call, Cause.MEDIA_TIMEOUT))


# ── at any time ──────────────────────────────────────────────────────────────


def _deadline(call: Call, _event: DeadlineReached, now: float) -> Step:
    if now >= call.ends_at:
        return _end(call, _while(call, Cause.MAX_DURATION))
    waited = (call.answer_by, call.ring_until)
    if not any(time is not None and now >= time for time in waited):
        return call, []
    answered = call.phase is Phase.AUTOMATION
    return _end(call, Termination(Cause.ABANDONED if answered else Cause.NO_ANSWER))


def _waiter_joined(call: Call, event: WaiterJoined, _now: float) -> Step:
    """The dial lasts as long as the most patient request; a request of its own it outlasts."""
    if call.answer_by is None or event.deadline <= call.answer_by:
        return call, []
    return replace(call, answer_by=event.deadline), []


def _abandoned(call: Call, _event: Abandoned, _now: float) -> Step:
    return _end(call, Termination(Cause.ABANDONED))


def _room_closed(call: Call, event: RoomClosed, _now: float) -> Step:
    active = call.phase is Phase.ACTIVE
    ending = Termination(Cause.REMOVED, was_active=active, left_with=event.reason)
    return _end(call, ending, by_room=True)


def _stopping(call: Call, _event: Stopping, _now: float) -> Step:
    return _end(call, _while(call, Cause.SHUTDOWN))


def _while(call: Call, cause: Cause) -> Termination:
    return Termination(cause, was_active=call.phase is Phase.ACTIVE)


def _end(
    call: Call, ending: Termination, *, wire: Wire | None = None, by_room: bool = False
) -> Step:
    """The far end first, then the room, then the books.

    `wire` is what the far end believes, where this event has just changed it. A room that ends the
    call still shows the last attributes, and takes the seat back by itself.
    """
    answered = call.media is not None
    wire, commands = _farewell(wire or call.wire, ending)
    if call.in_room:
        commands.append(_last_words(ending, hung_up=answered))
    if call.in_room and not by_room:
        commands.append(do.LeaveRoom(ending.room_reason))
    commands += [do.CloseLeg(), do.StoreEnd(ending), do.ReportEnded(ending)]
    call = replace(
        call,
        phase=Phase.ENDED,
        wire=wire,
        in_room=False,
        answer_by=None,
        ring_until=None,
        termination=ending,
    )
    return call, commands


def _farewell(wire: Wire, ending: Termination) -> tuple[Wire, list[Command]]:
    if wire is Wire.INVITED:
        return Wire.CANCELLING, [do.Cancel()]
    if wire is Wire.CONNECTED:
        return Wire.CLOSING, [do.Bye(_REASONS.get(ending.cause, _NORMAL))]
    return wire, []


def _last_words(ending: Termination, *, hung_up: bool) -> Command:
    """LiveKit shows `hangup` for answered calls only; the true ending stands beside it."""
    truth = {"sip.termination": ending.word}
    if ending.status is not None:
        truth["sip.statusCode"] = str(ending.status)
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


_EARLY = (Phase.DIALING, Phase.RINGING)
_ANSWERED = (Phase.AUTOMATION, Phase.ACTIVE)
_UNANSWERED = (Phase.PREPARING, *_EARLY)
_LIVE = (*_UNANSWERED, *_ANSWERED)
_WAITED_FOR = (*_UNANSWERED, Phase.AUTOMATION)

_ROWS: tuple[tuple[tuple[Phase, ...], type[Any], _Cell], ...] = (
    ((Phase.PREPARING,), Joined, _joined),
    ((Phase.PREPARING,), JoinRefused, _join_refused),
    ((Phase.PREPARING,), DialStored, _dial_stored),
    (_EARLY, Provisional, _progress),
    (_EARLY, Failed, _refused),
    (_EARLY, Undialable, _undialable),
    (_EARLY, Answered, _answered),
    (_ANSWERED, AnswerStored, _answer_stored),
    ((Phase.AUTOMATION,), DigitsPlayed, _digits_played),
    (_ANSWERED, MediaStarted, _media_started),
    (_EARLY, OfferReceived, _offered_early),
    (_ANSWERED, OfferReceived, _reoffered),
    (_ANSWERED, Acknowledged, _acknowledged),
    ((Phase.ACTIVE,), DigitFromPhone, _digit_from_phone),
    ((Phase.ACTIVE,), InfoReceived, _informed),
    ((Phase.ACTIVE,), DigitsFromRoom, _digits_from_room),
    ((Phase.ACTIVE,), DigitsPlayed, _keys_played),
    (_ANSWERED, ByeReceived, _bye),
    (_ANSWERED, DialogEnded, _dialog_ended),
    (_ANSWERED, MediaLost, _media_lost),
    (_LIVE, DeadlineReached, _deadline),
    (_WAITED_FOR, WaiterJoined, _waiter_joined),
    (_WAITED_FOR, Abandoned, _abandoned),
    (_LIVE, RoomClosed, _room_closed),
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
