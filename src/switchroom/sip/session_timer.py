"""Session timers (RFC 4028): both sides refresh a call now and then, or take it for dead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from switchroom.base.records import record
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import find_param, parse_number, parse_params
from switchroom.sip.headers import Headers
from switchroom.sip.message import Request, Response
from switchroom.sip.sanity import Refusal
from switchroom.sip.timers import Timer, TimerQueue

Fields = tuple[tuple[str, str], ...]

SHORTEST: Final = 90
"""Section 4: no session interval is shorter, in seconds."""

_LONGEST: Final = 2**32 - 1
_SHORTEST_TAKEN: Final = 32
"""What we live with in a 2xx of a peer that breaks section 4."""


@record
class SessionExpires:
    """A Session-Expires field."""

    seconds: int
    refresher: str | None = None
    """``uac`` or ``uas``, seen from the request it is in or answers."""

    @classmethod
    def of(cls, headers: Headers) -> SessionExpires | None:
        """That of a message; ``None`` also for one that can't be read."""
        whole = headers.get("Session-Expires")
        if not whole:
            return None
        value, semicolon, rest = whole.partition(";")
        try:
            seconds = parse_number(value.strip(), _LONGEST, "Session-Expires")
            params = parse_params(rest) if semicolon else ()
        except MalformedValueError:
            return None
        refresher = (find_param(params, "refresher") or "").lower()
        return cls(seconds, refresher if refresher in ("uac", "uas") else None)

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def too_short(request: Request) -> Refusal | None:
    """The 422 for a session interval nobody may ask for (section 9)."""
    wanted = SessionExpires.of(request.headers)
    # A caller that does not know timers has its interval from a proxy, and can't ask for another.
    if wanted is None or wanted.seconds >= SHORTEST or not _knows_timers(request):
        return None
    return Refusal(422, "", (("Min-SE", str(SHORTEST)),))


class SessionTimer:
    """The timer of one call: what is said about it in messages, and when it fires."""

    def __init__(
        self,
        timers: TimerQueue,
        wanted: int | None,
        *,
        refresh: Callable[[float], None],
        expired: Callable[[float], None],
    ) -> None:
        """``wanted``: the interval we ask for, in seconds; ``None`` leaves it to the peer.

        ``refresh`` is called when a refresh of ours is due, ``expired`` when the call is dead.
        """
        self._timers = timers
        self._wanted = wanted
        self._refresh = refresh
        self._expired = expired
        self._interval: int | None = None
        self._ours = False
        """Whether we are the one to refresh."""
        self._floor = SHORTEST
        self._due: Timer | None = None
        self._end: Timer | None = None
        self._ended = False

    # ── requests of ours ──

    def ask(self) -> Fields:
        """Fields for an INVITE or UPDATE of ours."""
        if self._interval is not None:
            # Section 7.4: who refreshes stays the same, told from this request's point of view.
            role = "uac" if self._ours else "uas"
            wanted = SessionExpires(max(self._interval, self._floor), role)
        elif self._wanted is not None:
            wanted = SessionExpires(max(self._wanted, self._floor))
        else:
            return ()
        floor = (("Min-SE", str(self._floor)),) if self._floor > SHORTEST else ()
        return (("Session-Expires", str(wanted)), *floor)

    def answered(self, response: Response, now: float) -> None:
        """A 2xx to an INVITE or UPDATE of ours."""
        agreed = SessionExpires.of(response.headers)
        if agreed is None:
            # Section 7.2: no timer, whatever was asked for.
            self.stop()
        else:
            # A 2xx must say who refreshes; if it does not, we do: too often is better than never.
            self._start(agreed.seconds, agreed.refresher != "uas", now)

    def raised(self, response: Response) -> bool:
        """Take in a 422. True if the same request can be tried again with what ``ask`` says."""
        try:
            floor = parse_number(response.headers.get("Min-SE") or "", _LONGEST, "Min-SE")
        except MalformedValueError:
            return False
        asked = self._interval or self._wanted
        if asked is None or floor <= max(asked, self._floor):
            return False
        self._floor = floor
        return True

    # ── requests of the peer ──

    def answer(self, request: Request, now: float) -> Fields:
        """Fields for our 2xx to an INVITE or UPDATE of the peer; the timer starts anew."""
        asked = SessionExpires.of(request.headers)
        known = _knows_timers(request)
        if asked is None and self._wanted is None:
            self.stop()
            return ()
        interval = self._choose(asked, request)
        role = "uas"
        if asked is not None and known:
            # Section 9, table 2. Who asked for a timer and left it open gets to do the work.
            role = asked.refresher or "uac"
        self._start(interval, role == "uas", now)
        required = (("Require", "timer"),) if role == "uac" else ()
        return (("Session-Expires", str(SessionExpires(interval, role))), *required)

    def _choose(self, asked: SessionExpires | None, request: Request) -> int:
        try:
            floor = parse_number(request.headers.get("Min-SE") or "0", _LONGEST, "Min-SE")
        except MalformedValueError:
            floor = 0
        floor = max(floor, SHORTEST)
        if asked is None:
            return max(self._wanted or floor, floor)
        if self._wanted is None:
            return asked.seconds
        # Section 9: the interval may be made shorter, down to Min-SE, but not longer.
        return min(asked.seconds, max(self._wanted, floor))

    # ── time ──

    def try_again(self, now: float, delay: float) -> None:
        """A refresh did not work out; once more after ``delay`` seconds."""
        if self._interval is not None and self._ours:
            self._set_due(now + delay)

    def stop(self) -> None:
        """No timer (any more)."""
        self._interval = None
        for timer in (self._due, self._end):
            if timer is not None:
                timer.cancel()
        self._due = self._end = None

    def end(self) -> None:
        """No timer from now on: what is still answered belongs to a call that is over."""
        if not self._ended:
            self._ended = True
            self.stop()
            self._refresh = self._expired = _nothing

    def _start(self, seconds: int, ours: bool, now: float) -> None:
        self.stop()
        if self._ended:
            return
        interval = max(seconds, _SHORTEST_TAKEN)
        self._interval, self._ours = interval, ours
        if ours:
            # Section 7.2: half of the interval leaves time for a second attempt.
            self._set_due(now + interval / 2)
        # Section 10: a little before the end, so that the BYE still finds the call alive.
        self._end = self._timers.schedule(now + interval - min(32, interval / 3), self._over)

    def _set_due(self, when: float) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self._timers.schedule(when, self._refresh)

    def _over(self, now: float) -> None:
        self.stop()
        self._expired(now)


def _nothing(_now: float) -> None:
    """What a timer does that has been ended: it holds nobody."""


def _knows_timers(request: Request) -> bool:
    try:
        return "timer" in request.headers.tokens("Supported") | request.headers.tokens("Require")
    except MalformedValueError:
        return False
