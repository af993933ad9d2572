"""A call as a pure machine, from the answer on: an event or a deadline in; new state, commands out.

Calls of both directions are this machine once they are answered, and end by it whenever they end.
What comes before the answer is a machine of the direction's own, which holds a `Call` and hands
over to it. The table `_CELLS` is the whole behaviour: a cell for each phase and event that mean
something to each other. What has no cell is ignored, and `test_call` walks all of them. Time is the
monotonic clock's, in seconds, and comes in with the event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from switchroom.base.legible import legible
from switchroom.sdp.errors import NotAcceptable, SdpError
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    InfoReceived,
    OfferReceived,
)
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call_events import (
    CallStatus,
    Command,
    DeadlineReached,
    DigitFromPhone,
    DigitsFromRoom,
    DigitsPlayed,
    Joined,
    JoinRefused,
    MediaLost,
    MediaStarted,
    RoomClosed,
    Stopping,
)
from switchroom.telephony.calls.dtmf import digit_of_info
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.routing.headers import NO_RULES, AttributeRules


class Phase(Enum):
    """How far the call has come."""

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


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What holds for the whole call. Times are seconds.

    ``max_duration`` counts from the first step, ringing included, as LiveKit counts it.
    ``first_silence`` and ``silence`` are how long no packet may come before the first and after it.
    ``attributes_to_headers`` (attribute -> header) is what our requests say of the participant.
    """

    max_duration: float
    first_silence: float
    silence: float
    attribute_rules: AttributeRules = NO_RULES
    attributes_to_headers: Mapping[str, str] = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
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
    media_seen: bool = False
    keys_queued: int = 0
    termination: Termination | None = None

    @property
    def call(self) -> Call:
        """Itself: from the answer on the call needs no other machine."""
        return self

    @property
    def deadline(self) -> float | None:
        """When DeadlineReached is due (monotonic s), None if nothing is waited for."""
        return None if self.phase is Phase.ENDED else self.ends_at

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


def early(plan: CallPlan, leg: LegDescription, now: float, wire: Wire = Wire.IDLE) -> Call:
    """A new call, its media leg being open and described by `leg`."""
    return Call(plan, leg, ends_at=now + plan.max_duration, wire=wire)


# ── the way up: for the machines that hold a call ────────────────────────────


def seated(call: Call) -> Call:
    """The room has given the phone its seat."""
    return replace(call, joining=False, in_room=True)


def answered(call: Call, media: NegotiatedMedia) -> Step:
    """The 200 has been sent or received: sound flows, and keys may be sent."""
    call = replace(call, phase=Phase.ANSWERED, wire=Wire.CONNECTED, media=media)
    return call, [_update_leg(call, media)]


def bridged(call: Call, attributes: Mapping[str, str]) -> Step:
    """Both sides hear each other from here on, and not a word earlier."""
    return replace(call, phase=Phase.ACTIVE, keys_queued=0), [
        do.ConnectTrack(),
        do.SetStatus(CallStatus.ACTIVE, attributes),
        do.HearRoom(),
    ]


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
    return end(call, while_in(call, Cause.BYE), wire=Wire.CLOSED)


def _dialog_ended(call: Call, event: DialogEnded | Failed, _now: float) -> Step:
    detail = legible(event.failure.reason) if event.failure is not None else ""
    ending = replace(while_in(call, Cause.DIALOG_LOST), detail=detail)
    return end(call, ending, wire=Wire.CLOSED)


def _media_lost(call: Call, _event: MediaLost, _now: float) -> Step:
    return end(call, while_in(call, Cause.MEDIA_TIMEOUT))


# ── at any time ──────────────────────────────────────────────────────────────


def _deadline(call: Call, _event: DeadlineReached, now: float) -> Step:
    if now < call.ends_at:
        return call, []
    return end(call, while_in(call, Cause.MAX_DURATION))


def _join_refused(call: Call, event: JoinRefused, _now: float) -> Step:
    ending = Termination(Cause.JOIN_FAILED, detail=event.detail)
    return end(replace(call, joining=False), ending)


def _room_closed(call: Call, event: RoomClosed, _now: float) -> Step:
    active = call.phase is Phase.ACTIVE
    ending = Termination(Cause.REMOVED, was_active=active, left_with=event.reason)
    return end(call, ending, by_room=True)


def _stopping(call: Call, _event: Stopping, _now: float) -> Step:
    return end(call, while_in(call, Cause.SHUTDOWN))


def while_in(call: Call, cause: Cause) -> Termination:
    """The ending by `cause` in the phase that the call is in."""
    return Termination(cause, was_active=call.phase is Phase.ACTIVE)


def end(
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
    commands += [do.CloseLeg(), do.StoreEnd(ending)]
    call = replace(
        call,
        phase=Phase.ENDED,
        wire=wire,
        in_room=False,
        termination=ending,
    )
    return call, commands


def _farewell(wire: Wire, ending: Termination) -> tuple[Wire, list[Command]]:
    if wire is Wire.INVITED:
        return Wire.CANCELLING, [do.Cancel()]
    if wire is Wire.CALLED:
        status, phrase = _REJECTIONS.get(ending.cause, _REJECTED)
        return Wire.CLOSED, [do.Reject(ending.status or status, ending.reason or phrase)]
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


_LIVE = (Phase.EARLY, Phase.ANSWERED, Phase.ACTIVE)
_UP = (Phase.ANSWERED, Phase.ACTIVE)

_ROWS: tuple[tuple[tuple[Phase, ...], type[Any], _Cell], ...] = (
    ((Phase.EARLY,), OfferReceived, _offered_early),
    (_UP, MediaStarted, _media_started),
    (_UP, OfferReceived, _reoffered),
    (_UP, Acknowledged, _acknowledged),
    ((Phase.ACTIVE,), DigitFromPhone, _digit_from_phone),
    ((Phase.ACTIVE,), InfoReceived, _informed),
    ((Phase.ACTIVE,), DigitsFromRoom, _digits_from_room),
    ((Phase.ACTIVE,), DigitsPlayed, _keys_played),
    (_UP, ByeReceived, _bye),
    (_UP, DialogEnded, _dialog_ended),
    (_UP, Failed, _dialog_ended),
    (_UP, MediaLost, _media_lost),
    ((Phase.EARLY, Phase.ANSWERED), JoinRefused, _join_refused),
    (_LIVE, DeadlineReached, _deadline),
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
