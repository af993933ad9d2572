"""Reliable provisional responses: RFC 3262, both sides."""

from __future__ import annotations

from collections.abc import Callable

from switchroom.sip.errors import MalformedValueError
from switchroom.sip.headers import RAck
from switchroom.sip.message import Request, Response
from switchroom.sip.session_host import SessionHost
from switchroom.sip.timers import Timer
from switchroom.sip.transactions.server import ServerTransaction


class ReliableReceiver:
    """The caller's side: which reliable 1xx are new, for one early dialog (section 4)."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: int | None = None

    def is_next(self, rseq: int) -> bool:
        """Whether this one is in order, and so to be acknowledged with PRACK and acted upon.

        A repeated one was acknowledged already (its PRACK retransmits by itself), and one that
        leaves a gap must not be acknowledged before the missing one has come.
        """
        if self._last is not None and rseq != self._last + 1:
            return False
        self._last = rseq
        return True


def is_reliable(response: Response) -> bool:
    """Whether a 1xx asks for a PRACK."""
    if not 100 < response.status < 200 or response.rseq is None:
        return False
    try:
        return "100rel" in response.headers.tokens("Require")
    except MalformedValueError:
        return False


class ReliableSender:
    """The callee's side: one reliable 1xx at a time, repeated until its PRACK comes (section 3)."""

    def __init__(
        self,
        host: SessionHost,
        transaction: ServerTransaction,
        give_up: Callable[[float], None],
    ) -> None:
        self._host = host
        self._transaction = transaction
        self._give_up = give_up
        self._rseq = 0
        self._queue: list[Response] = []
        self._timer: Timer | None = None
        self._interval = 0.0
        self._until = 0.0

    @property
    def pending(self) -> bool:
        """Whether a PRACK is awaited: the 2xx has to wait for it."""
        return bool(self._queue)

    def send(self, build: Callable[[tuple[tuple[str, str], ...]], Response], now: float) -> None:
        """Send ``build(headers)``, now or when the one before it is acknowledged."""
        self._rseq += 1
        headers = (("Require", "100rel"), ("RSeq", str(self._rseq)))
        self._queue.append(build(headers))
        if len(self._queue) == 1:
            self._begin(now)

    def acknowledged(self, prack: Request) -> bool:
        """Whether a PRACK matches what is awaited; if so ``proceed`` once it is answered."""
        try:
            rack = prack.rack
        except MalformedValueError:
            return False
        cseq = self._transaction.request.cseq
        awaited = self._queue[0].rseq if self._queue else None
        if awaited is None or rack != RAck(awaited, cseq.number, cseq.method):
            return False
        self._stop_timer()
        del self._queue[0]
        return True

    def proceed(self, now: float) -> None:
        """Send the next one, if any."""
        if self._queue:
            self._begin(now)

    def stop(self) -> None:
        """A final response was sent."""
        self._stop_timer()
        self._queue.clear()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self, now: float) -> None:
        self._interval = self._host.timing.t1
        self._until = now + self._host.timing.give_up
        self._transaction.respond(self._queue[0], now)
        self._timer = self._host.timers.schedule(now + self._interval, self._again)

    def _again(self, now: float) -> None:
        if now >= self._until:
            self._timer = None
            self._give_up(now)
            return
        self._transaction.respond(self._queue[0], now)
        # Section 3: the interval doubles without a ceiling, unlike that of a 2xx.
        self._interval *= 2
        at = min(now + self._interval, self._until)
        self._timer = self._host.timers.schedule(at, self._again)
