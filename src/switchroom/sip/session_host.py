"""What sessions need from the endpoint they live in."""

from __future__ import annotations

from typing import Protocol

from switchroom.sip.dialog import Dialog
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import SessionEvent
from switchroom.sip.message import Request
from switchroom.sip.sanity import Refusal
from switchroom.sip.timers import TimerQueue, Timing
from switchroom.sip.transactions.client import ClientTransaction, ClientUser
from switchroom.sip.uri import Uri
from switchroom.sip.way import Reached, Way


class Session(Protocol):
    """What the endpoint knows a call by."""

    call_id: str
    local_tag: str


class SessionHost(Protocol):
    """The endpoint, as a session sees it."""

    timing: Timing
    timers: TimerQueue
    user_agent: str
    methods: frozenset[str]
    """What we serve; ``allow`` says the same as a header field."""
    allow: tuple[str, str]
    supported: tuple[str, str]
    options: frozenset[str]
    """Option tags that we take in a Require."""
    session_expires: int | None
    """Seconds after which a call that is not refreshed is dead; ``None``: the peer decides."""
    redirects: int
    """How many 3xx a call may follow."""

    def new_token(self) -> str:
        """Hex digits of at least 64 random bits, for tags, branches and cnonces."""
        ...

    def way(self, uri: Uri, transport: str | None, *, size: int) -> Way:
        """The targets of a request of ``size`` bytes to ``uri``."""
        ...

    def reach(self, dialog: Dialog, then: Reached, now: float) -> None:
        """Call ``then`` with a flow for a request inside a dialog, or with why there is none; now
        or later."""
        ...

    def follow(self, flow: Flow, then: Reached, now: float) -> None:
        """Call ``then`` with a flow to the same peer: this one, or another if it was closed."""
        ...

    def start_request(
        self, flow: Flow, request: Request, user: ClientUser, now: float
    ) -> ClientTransaction:
        """Send a request in a client transaction of the kind its method needs."""
        ...

    def send(self, flow: Flow, data: bytes, call_id: str) -> None:
        """Send bytes outside of any transaction: the ACK to a 2xx."""
        ...

    def emit(self, session: Session, event: SessionEvent) -> None:
        """Tell the owner of the call."""
        ...

    def turned_away(self, request: Request, refusal: Refusal, now: float) -> None:
        """The owner has rejected this INVITE."""
        ...

    def session_over(self, session: Session) -> None:
        """Nothing of this call is left; requests for it get 481 from now on."""
        ...
