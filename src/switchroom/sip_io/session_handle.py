"""A call as its owner holds it: the pure session, with the present time filled in."""

from __future__ import annotations

from collections.abc import Callable

from switchroom.sip.call_session import CallSession
from switchroom.sip.callee_session import CalleeSession
from switchroom.sip.caller_session import CallerSession
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.invite_session import Fields

Run = Callable[[Callable[[float], None]], None]
"""Runs a command with the present time and sees to its consequences."""


class SessionHandle:
    """The ``InviteSession`` that the driver gives out."""

    __slots__ = ("_run", "_session")

    def __init__(self, session: CallSession, run: Run) -> None:
        self._session = session
        self._run = run

    @property
    def call_id(self) -> str:
        """The Call-ID, as in the message traces."""
        return self._session.call_id

    @property
    def remote(self) -> str:
        """``ip:port`` that the INVITE went to last, or came from."""
        return self._session.remote

    def cancel(self, headers: Fields = ()) -> None:
        """Give up a call that is not answered; else hang up."""
        session = self._session
        if isinstance(session, CallerSession | CalleeSession):
            self._run(lambda now: session.cancel(now, headers))
        else:
            self.bye(headers)

    def bye(self, headers: Fields = ()) -> None:
        """Hang up; ends with DialogEnded."""
        self._run(lambda now: self._session.bye(now, headers))

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes = b"") -> None:
        """Answer an OfferReceived."""
        self._run(lambda now: self._session.respond_offer(now, offer_id, status, reason, body))

    def offer(self, body: bytes) -> None:
        """Send a re-INVITE; ends with OfferAnswered."""
        self._run(lambda now: self._session.offer(now, body))

    def refer(self, refer_to: str, headers: Fields = ()) -> int:
        """Ask the peer to call somebody else."""
        number = 0

        def refer(now: float) -> None:
            nonlocal number
            number = self._session.refer(now, refer_to, headers)

        self._run(refer)
        return number

    def respond_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        """Answer a ReferReceived."""
        self._run(lambda now: self._session.respond_refer(now, refer_id, status, reason))

    def notify_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        """Tell the peer how its transfer goes."""
        self._run(lambda now: self._session.notify_refer(now, refer_id, status, reason))

    def snapshot(self) -> DialogSnapshot | None:
        """The dialog to store while the call is up."""
        return self._session.snapshot()


class IncomingHandle(SessionHandle):
    """The ``IncomingInviteSession`` that the driver gives out."""

    __slots__ = ("_callee", "_quiet")

    def __init__(
        self, session: CalleeSession, run: Run, quiet: Callable[[CallSession], None]
    ) -> None:
        """``quiet`` is told of a session that ends without a last event, being refused."""
        super().__init__(session, run)
        self._callee = session
        self._quiet = quiet

    @property
    def replaces(self) -> str | None:
        """Call-ID of the call that this one is to take over."""
        return self._callee.replaces

    def ring(self, status: int = 180, headers: Fields = (), body: bytes = b"") -> None:
        """Send a 101–199 response."""
        self._run(lambda now: self._callee.ring(now, status, headers, body))

    def answer(self, body: bytes, headers: Fields = ()) -> None:
        """Send 200 until its ACK comes."""
        self._run(lambda now: self._callee.answer(now, body, headers))

    def reject(self, status: int, reason: str = "", headers: Fields = ()) -> None:
        """Send a 300–699 response."""
        self._refuse(lambda now: self._callee.reject(now, status, reason, headers))

    def cancel(self, headers: Fields = ()) -> None:
        """Not answered: refuse it. Answered: hang up."""
        self._refuse(lambda now: self._callee.cancel(now, headers))

    def bye(self, headers: Fields = ()) -> None:
        """Hang up; what is not answered is refused."""
        self._refuse(lambda now: self._callee.bye(now, headers))

    def _refuse(self, command: Callable[[float], None]) -> None:
        self._run(command)
        if self._callee.refused:
            self._quiet(self._callee)
