"""What drives a transaction table: states, inputs and effects, their performance, and the timers.

Each machine is a table ``(state, input) → (next state, effects)`` in a file of its own. A pair that
is not in the table changes nothing and is counted. Effects are performed in the order written; the
state has changed before the first of them, so what comes back as input meets the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from math import ceil
from typing import ClassVar, Final, Protocol

from switchroom.sip.flows import Flow
from switchroom.sip.message import Request, Response
from switchroom.sip.timers import Timer, TimerQueue, Timing


class State(StrEnum):
    """States, in the RFC's words."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    """RFC 6026: a 2xx was seen; repeated and forked ones still belong here."""
    TERMINATED = "terminated"


class Input(StrEnum):
    """What can happen to a transaction."""

    PROVISIONAL = "1xx"
    """Received by a client, or handed down by the transaction user of a server."""
    SUCCESS = "2xx"
    FAILURE = "300-699"
    FINAL = "200-699"
    """Any final response, where the machine makes no difference (non-INVITE)."""
    REQUEST = "request"
    """The request again: a retransmission."""
    ACK = "ack"
    TRANSPORT_ERROR = "transport error"
    QUIET = "quiet"
    """The user has turned to another target; what still comes is welcome, but not asked for."""
    ABANDON = "abandon"
    """The user gives up 64*T1 after its CANCEL (section 9.1)."""
    TIMER_A = "timer A"
    TIMER_B = "timer B"
    TIMER_D = "timer D"
    TIMER_E = "timer E"
    TIMER_F = "timer F"
    TIMER_G = "timer G"
    TIMER_H = "timer H"
    TIMER_I = "timer I"
    TIMER_J = "timer J"
    TIMER_K = "timer K"
    TIMER_L = "timer L"
    TIMER_M = "timer M"
    TIMER_TRYING = "timer trying"
    """The user has been silent so long that the client needs a 100."""


class Effect(StrEnum):
    """What a transition does."""

    SEND = "send"
    """Send the message that came as input (a response), and remember it."""
    RESEND = "resend"
    """Send again what was sent last."""
    SEND_ACK = "send ack"
    SEND_TRYING = "send 100"
    DELIVER = "deliver"
    """Hand the response (client) or the ACK (server) to the transaction user."""
    REPORT_TIMEOUT = "report timeout"
    REPORT_TRANSPORT_ERROR = "report transport error"
    STOP_TIMERS = "stop timers"
    START_A = "start A"
    START_B = "start B"
    START_D = "start D"
    START_E = "start E"
    START_F = "start F"
    START_G = "start G"
    START_H = "start H"
    START_I = "start I"
    START_J = "start J"
    START_K = "start K"
    START_L = "start L"
    START_M = "start M"
    START_TRYING = "start trying"
    START_LATE_TRYING = "start late trying"
    BACK_OFF_A = "back off A"
    """Start A with twice the interval; E and G stop doubling at T2."""
    BACK_OFF_E = "back off E"
    BACK_OFF_G = "back off G"
    SLOW_E = "slow E"
    """Start E with T2, the pace of the proceeding state (section 17.1.2.2)."""


Rule = Callable[[Timing, bool, float], float | None]
"""(base times, reliable?, interval before) → seconds; 0 fires at once, ``None`` never."""

TIMERS: Final[Mapping[Effect, tuple[Input, Rule]]] = {
    # Section 17.1: a reliable transport retransmits by itself, so A, E and G never start there.
    Effect.START_A: (Input.TIMER_A, lambda t, reliable, _: None if reliable else t.t1),
    Effect.BACK_OFF_A: (Input.TIMER_A, lambda _t, _r, interval: interval * 2),
    Effect.START_B: (Input.TIMER_B, lambda t, _r, _i: t.give_up),
    Effect.START_D: (Input.TIMER_D, lambda t, reliable, _: 0 if reliable else t.give_up),
    Effect.START_E: (Input.TIMER_E, lambda t, reliable, _: None if reliable else t.t1),
    Effect.BACK_OFF_E: (Input.TIMER_E, lambda t, _r, interval: min(interval * 2, t.t2)),
    Effect.SLOW_E: (Input.TIMER_E, lambda t, _r, _i: t.t2),
    Effect.START_F: (Input.TIMER_F, lambda t, _r, _i: t.give_up),
    Effect.START_G: (Input.TIMER_G, lambda t, reliable, _: None if reliable else t.t1),
    Effect.BACK_OFF_G: (Input.TIMER_G, lambda t, _r, interval: min(interval * 2, t.t2)),
    Effect.START_H: (Input.TIMER_H, lambda t, _r, _i: t.give_up),
    Effect.START_I: (Input.TIMER_I, lambda t, reliable, _: 0 if reliable else t.t4),
    Effect.START_J: (Input.TIMER_J, lambda t, reliable, _: 0 if reliable else t.give_up),
    Effect.START_K: (Input.TIMER_K, lambda t, reliable, _: 0 if reliable else t.t4),
    # RFC 6026: L and M run on every transport, since 2xx are repeated end to end.
    Effect.START_L: (Input.TIMER_L, lambda t, _r, _i: t.give_up),
    Effect.START_M: (Input.TIMER_M, lambda t, _r, _i: t.give_up),
    # Section 17.2.1: 100 within 200 ms.
    Effect.START_TRYING: (Input.TIMER_TRYING, lambda _t, _r, _i: 0.2),
    # RFC 4320 section 4.1: when the client's timer E has reached T2.
    Effect.START_LATE_TRYING: (Input.TIMER_TRYING, lambda t, _r, _i: _reaches_t2(t)),
}

RETRANSMISSIONS: Final = frozenset({Input.TIMER_A, Input.TIMER_E, Input.TIMER_G})
"""The timers whose interval grows."""

LINGERING: Final = frozenset(
    {Input.TIMER_D, Input.TIMER_I, Input.TIMER_J, Input.TIMER_K, Input.TIMER_L, Input.TIMER_M}
)
"""The timers that do nothing but forget the transaction."""

_FORGETTING: Final = 4
"""Times in a second: transactions are forgotten together, as waking for each costs far more."""


def _reaches_t2(timing: Timing) -> float:
    elapsed, interval = 0.0, timing.t1
    while interval < timing.t2:
        elapsed += interval
        interval *= 2
    return elapsed


def input_of(response: Response) -> Input:
    """What a response is to an INVITE's machine, be it received or handed down."""
    if response.is_provisional:
        return Input.PROVISIONAL
    return Input.SUCCESS if response.is_success else Input.FAILURE


Transition = tuple[State, tuple[Effect, ...]]
Table = Mapping[tuple[State, Input], Transition]


class TransactionHost(Protocol):
    """What a transaction needs from the endpoint it lives in."""

    timing: Timing
    timers: TimerQueue

    def send(self, flow: Flow, data: bytes, call_id: str) -> None:
        """Put bytes on a flow."""
        ...

    def terminated(self, transaction: Transaction) -> None:
        """The transaction has reached its end and can be forgotten."""
        ...


class Failure(StrEnum):
    """Why a transaction came to nothing."""

    TIMEOUT = "timeout"
    TRANSPORT = "transport"


Key = tuple[str, ...]
SipMessage = Request | Response

LET_GO: Final = Request.compose(
    "NONE",
    "sip:invalid",
    via="SIP/2.0/UDP invalid;branch=",
    from_="<sip:invalid>;tag=none",
    to="<sip:invalid>;tag=none",
    call_id="none",
    number=0,
)
"""In place of a request that nobody needs any more: it can be asked anything, and says nothing."""


class Transaction:
    """The machinery common to all four machines."""

    __slots__ = (
        "_call_id",
        "_due",
        "_host",
        "_interval",
        "_last_sent",
        "_timer",
        "error",
        "flow",
        "ignored",
        "key",
        "state",
    )

    table: ClassVar[Table]
    first_state: ClassVar[State]
    start_effects: ClassVar[tuple[Effect, ...]]

    def __init__(self, host: TransactionHost, key: Key, flow: Flow, call_id: str) -> None:
        self._host = host
        self.key = key
        self.flow = flow
        self.state = self.first_state
        self.ignored = 0
        """Inputs that the table has no cell for."""
        self.error = ""
        """What the transport said, for TRANSPORT_ERROR."""
        self._call_id = call_id
        self._due: dict[Input, float] = {}
        """The timers that run, and when each fires."""
        self._timer: Timer | None = None
        """Wakes it for the first of them."""
        self._interval = 0.0
        self._last_sent = b""

    @property
    def over(self) -> bool:
        """Whether it has terminated."""
        return self.state is State.TERMINATED

    def start(self, now: float) -> None:
        """Enter the first state: what the table's head says is done there."""
        self._perform_all(self.start_effects, None, now)

    def feed(self, event: Input, now: float, message: SipMessage | None = None) -> None:
        """Make the transition for ``event`` in the present state."""
        cell = self.table.get((self.state, event))
        if cell is None:
            self.ignored += 1
            return
        self.state, effects = cell
        self._perform_all(effects, message, now)
        if self.state is State.TERMINATED:
            self._stop_timers()
            self._host.terminated(self)
            self.let_go()

    def let_go(self) -> None:
        """Its user waits for nothing more, and need not be held; nor what only the user needs.

        Until it terminates it still takes what is repeated, and answers if the table says so.
        """
        raise NotImplementedError

    def transport_failed(self, reason: str, now: float) -> None:
        """The transport could not deliver what we sent."""
        self.error = reason
        self.feed(Input.TRANSPORT_ERROR, now)

    def _perform_all(
        self, effects: tuple[Effect, ...], message: SipMessage | None, now: float
    ) -> None:
        for effect in effects:
            starting = TIMERS.get(effect)
            if starting is None:
                self._perform(effect, message, now)
            else:
                self._start_timer(*starting, now)

    def _perform(self, effect: Effect, message: SipMessage | None, now: float) -> None:
        if effect is Effect.SEND and message is not None:
            self._transmit(message.serialise())
        elif effect is Effect.RESEND:
            self._resend()
        elif effect is Effect.STOP_TIMERS:
            self._stop_timers()
        elif effect is Effect.DELIVER:
            self._deliver(message, now)
        elif effect is Effect.REPORT_TIMEOUT:
            self._report(Failure.TIMEOUT, now)
        elif effect is Effect.REPORT_TRANSPORT_ERROR:
            self._report(Failure.TRANSPORT, now)
        else:
            self._perform_own(effect, message)

    def _transmit(self, data: bytes) -> None:
        self._last_sent = data
        self._host.send(self.flow, data, self._call_id)

    def _resend(self) -> None:
        if self._last_sent:
            self._host.send(self.flow, self._last_sent, self._call_id)

    def _stop_timers(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver(self, message: SipMessage | None, now: float) -> None:
        raise NotImplementedError

    def _report(self, failure: Failure, now: float) -> None:
        raise NotImplementedError

    def _perform_own(self, effect: Effect, message: SipMessage | None) -> None:
        raise NotImplementedError

    def _start_timer(self, timer: Input, rule: Rule, now: float) -> None:
        delay = rule(self._host.timing, self.flow.transport != "udp", self._interval)
        if delay is None:
            return
        if delay == 0:
            self.feed(timer, now)
        else:
            when = now + delay
            if timer in RETRANSMISSIONS:
                self._interval = delay
            elif timer in LINGERING:
                when = ceil(when * _FORGETTING) / _FORGETTING
            self._due[timer] = when
            self._wake_at(when)

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when <= when:
                return
            self._timer.cancel()
        self._timer = self._host.timers.schedule(when, self._woken)

    def _woken(self, now: float) -> None:
        self._timer = None
        due = self._due
        for timer in sorted([timer for timer in due if due[timer] <= now], key=due.__getitem__):
            # One that fires may stop the others.
            if due.pop(timer, None) is not None:
                self.feed(timer, now)
        if due:
            self._wake_at(min(due.values()))
