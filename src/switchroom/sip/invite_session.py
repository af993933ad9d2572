"""What the owner of a call says to its INVITE session, and what it hears from it.

A session is one attempt to call (or be called) and the call that comes of it. It lives through
authentication, forking, cancellation and re-negotiation, and ends with exactly one of ``Failed``,
``ByeReceived`` or ``DialogEnded``; nothing follows that event.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import Protocol

from switchroom.base.records import record
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.digest import Credentials
from switchroom.sip.headers import Headers
from switchroom.sip.message import Request
from switchroom.sip.reason import Reason, parse_reasons
from switchroom.sip.uri import NameAddr, Uri

Fields = tuple[tuple[str, str], ...]
"""Extra header fields in the order they are to be written."""


@record
class OutgoingInvite:
    """A call to place. Text that would break a header is refused with LocalSipError at once."""

    call_id: str
    local_tag: str
    request_uri: Uri
    to: NameAddr
    from_: NameAddr
    """Without tag: ``local_tag`` is added."""
    headers: Fields = ()
    """Added to the INVITE as they are. A ``Route`` here is where the INVITE goes first."""
    body: bytes = b""
    """The SDP offer."""
    credentials: Credentials | None = None
    transport: str | None = None
    """``udp`` or ``tcp``; ``None`` follows the URI's transport parameter, which defaults to UDP."""
    content_type: str = "application/sdp"


class FailureKind(StrEnum):
    """Why a call did not come about, or broke."""

    REJECTED = "rejected"
    """A final 3xx–6xx answer; ``status`` says which."""
    TIMED_OUT = "timed_out"
    """The peer was heard but left something unanswered: no final response, or no ACK to our 200."""
    NO_RESPONSE = "no_response"
    """Nothing at all came back within 64*T1 (32 s)."""
    TRANSPORT = "transport"
    """The socket said no: refused, unreachable, connection closed."""
    DNS = "dns"
    """The host name could not be resolved."""
    AUTH = "auth"
    """The peer wants a login that we have not, or that it does not take; see ``auth``."""
    CANCELLED = "cancelled"
    """Ended before the answer: by our ``cancel()``, or by the caller's CANCEL or BYE."""


class AuthProblem(StrEnum):
    """What went wrong with a 401 or 407."""

    NO_CREDENTIALS = "no_credentials"
    NO_USABLE_CHALLENGE = "no_usable_challenge"
    """No challenge at all, or none whose scheme and algorithm we know."""
    REJECTED = "rejected"
    """Our credentials were sent and the peer challenged again without ``stale``."""
    TOO_MANY_ATTEMPTS = "too_many_attempts"


@record
class SipFailure:
    """The one reason why a call did not come about."""

    kind: FailureKind
    status: int | None = None
    """The final SIP status if there was one."""
    reason: str = ""
    """Reason phrase as received, or a short English clause where there was no response."""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    provisional_seen: int = 0
    """How many 1xx responses came before."""
    auth: AuthProblem | None = None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Reason fields of the response, or of the caller's CANCEL or BYE."""
        return parse_reasons(self.headers)


@record
class Provisional:
    """A 1xx response, 100 included. ``body`` may be early SDP.

    Early SDP counts for its ``dialog`` only: a forked call has several that ring at once, and may
    be answered by one that sent none.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    dialog: str = ""
    """The tag of who rings; empty in a 100 and with peers that send none."""
    reliable: bool = False
    """Acknowledged with PRACK, so that SDP in it is the answer to the offer."""


@record
class Answered:
    """The 2xx that makes the call. Its ACK is already on its way.

    A 2xx without SDP has that of the last provisional response of the same dialog (RFC 3262
    section 5; the unreliable kind is a habit in the field).
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    dialog: str = ""
    """The tag of who answered."""


@record
class Failed:
    """The call never came about, or its set-up broke (last event)."""

    failure: SipFailure


@record
class ByeReceived:
    """The peer hung up; its BYE is already answered (last event)."""

    headers: Headers

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why, as the peer says."""
        return parse_reasons(self.headers)


@record
class DialogEnded:
    """Our BYE was answered or given up, or the dialog broke (last event).

    ``failure`` is ``None`` after a BYE of ours, however it was answered.
    """

    failure: SipFailure | None = None


@record
class OfferReceived:
    """A re-INVITE or an UPDATE wants new media: answer with ``respond_offer(offer_id, …)``.

    An empty ``body`` asks for an offer of ours in the 200; their answer comes as Acknowledged.
    """

    offer_id: int
    body: bytes
    headers: Headers


@record
class Acknowledged:
    """The ACK to our 200 has come. ``offer_id`` is 0 for the first INVITE of a call we answered.

    ``body`` is the SDP answer if our 200 carried the offer, else empty.
    """

    offer_id: int
    body: bytes


@record
class OfferAnswered:
    """The final response to a re-INVITE or UPDATE of ours (``offer``)."""

    status: int
    reason: str
    headers: Headers
    body: bytes


@record
class InfoReceived:
    """An INFO inside the dialog, already answered with 200."""

    content_type: str
    headers: Headers
    body: bytes


@record
class ReferAnswered:
    """The final response to a REFER of ours. 2xx: the peer tries, and ReferNotified will tell."""

    refer_id: int
    status: int
    """408 if none came; ``failure`` says why."""
    reason: str
    headers: Headers
    failure: SipFailure | None = None

    @property
    def no_news(self) -> bool:
        """Whether the peer said that no NOTIFY will come (RFC 4488)."""
        return (self.headers.get("Refer-Sub") or "").strip().lower() == "false"


@record
class ReferNotified:
    """A NOTIFY about a REFER of ours, already answered. It may come before ReferAnswered."""

    refer_id: int
    status: int | None
    """Of the call that the peer makes; ``None`` if the NOTIFY had no body."""
    reason: str
    over: bool
    """The subscription is terminated: no more will come, final status or not."""
    headers: Headers


@record
class ReferReceived:
    """The peer wants this call to be transferred: answer with ``respond_refer`` within 5 s.

    Then ``notify_refer`` with each status of the call to ``refer_to``, a final one last. An owner
    that does nothing declines (603).
    """

    refer_id: int
    refer_to: NameAddr
    """Headers of its URI, such as Replaces, are in ``refer_to.uri.headers``."""
    headers: Headers


@record
class IncomingInvite:
    """Somebody calls. The session that comes with it rings, answers or rejects."""

    request: Request
    """The whole INVITE; ``body`` is the SDP offer, empty if ours is expected in the 200."""
    transport: str
    remote: tuple[str, int]
    """IP address and port it came from."""
    replaces: str | None = None
    """Call-ID of the call of ours that this one is to take over (RFC 3891)."""


SessionEvent = (
    Provisional
    | Answered
    | Failed
    | ByeReceived
    | DialogEnded
    | OfferReceived
    | Acknowledged
    | OfferAnswered
    | InfoReceived
    | ReferAnswered
    | ReferNotified
    | ReferReceived
)


class InviteSession(Protocol):
    """What both sides of a call can do. No method raises for network reasons; what no longer makes
    sense in the present state (hanging up twice) does nothing."""

    @property
    def call_id(self) -> str:
        """The Call-ID, by which the messages of this call are found."""
        ...

    @property
    def remote(self) -> str:
        """``ip:port`` that the INVITE went to last, or came from; empty before any was sent."""
        ...

    def cancel(self, headers: Fields = ()) -> None:
        """Give up a call that is not answered yet: CANCEL as soon as RFC 3261 section 9.1 allows.

        ``headers`` go into the CANCEL, such as a Reason.

        Ends with Failed(CANCELLED). If a 2xx crosses, it is acknowledged and hung up. After the
        answer this is ``bye()``.
        """
        ...

    def bye(self, headers: Fields = ()) -> None:
        """Hang up; ends with DialogEnded. Before the answer this is ``cancel()``."""
        ...

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes = b"") -> None:
        """Answer an OfferReceived; a 2xx carries our SDP answer (our offer if theirs was empty)."""
        ...

    def offer(self, body: bytes) -> None:
        """Send a re-INVITE with a new offer (hold, resume); ends with OfferAnswered."""
        ...

    def refer(self, refer_to: str, headers: Fields = ()) -> int:
        """Ask the peer to call ``refer_to``, a URI or ``<URI>``, instead of us (REFER).

        Returns the ``refer_id`` of the events, which counts from 1. Without an answered call there
        is neither a REFER nor an event. Raises LocalSipError for text that can't be sent.
        """
        ...

    def respond_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        """Answer a ReferReceived: 2xx takes it on (202 and a NOTIFY are sent), 300-699 declines."""
        ...

    def notify_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        """Tell the peer how the transfer it asked for goes (NOTIFY)."""
        ...

    def snapshot(self) -> DialogSnapshot | None:
        """The dialog to store while the call is up; ``None`` before the answer and afterwards."""
        ...


class IncomingInviteSession(InviteSession, Protocol):
    """A call to us, until it is answered or rejected."""

    @property
    def replaces(self) -> str | None:
        """Call-ID of the call that this one is to take over (RFC 3891), if any.

        Whoever answers hangs up that call: not before this one stands.
        """
        ...

    def ring(self, status: int = 180, headers: Fields = (), body: bytes = b"") -> None:
        """Send a 101–199 response; with a body it is early media."""
        ...

    def answer(self, body: bytes, headers: Fields = ()) -> None:
        """Send 200, repeated until its ACK comes (Acknowledged) or 64*T1 pass (then BYE)."""
        ...

    def reject(self, status: int, reason: str = "", headers: Fields = ()) -> None:
        """Send a 300–699 response; no event follows."""
        ...
