"""A 2xx to an INVITE, repeated until it is acknowledged (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from switchroom.sip.message import Response
from switchroom.sip.session_host import SessionHost
from switchroom.sip.timers import Timer
from switchroom.sip.transactions.server import ServerTransaction


class SuccessResponse:
    """Sends the 2xx at once and again at T1, 2*T1 … T2, on every transport, for 64*T1 at most.

    The repetition is end to end, past proxies that may lose it, and so the same over TCP.
    """

    def __init__(
        self,
        host: SessionHost,
        transaction: ServerTransaction,
        response: Response,
        give_up: Callable[[float], None],
        now: float,
    ) -> None:
        self._host = host
        self._transaction = transaction
        self._response = response
        self._give_up = give_up
        self._interval = host.timing.t1
        self._until = now + host.timing.give_up
        self.cseq = transaction.request.cseq.number
        transaction.respond(response, now)
        self._timer: Timer | None = host.timers.schedule(now + self._interval, self._again)

    @property
    def pending(self) -> bool:
        """Whether the ACK is still awaited."""
        return self._timer is not None

    def stop(self) -> None:
        """Acknowledged, or no longer of interest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transaction.let_go()

    def _again(self, now: float) -> None:
        if now >= self._until:
            self._timer = None
            self._give_up(now)
            return
        self._transaction.respond(self._response, now)
        self._interval = min(self._interval * 2, self._host.timing.t2)
        at = min(now + self._interval, self._until)
        self._timer = self._host.timers.schedule(at, self._again)
