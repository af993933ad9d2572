"""What the two server machines share: they answer one request, as often as it is repeated."""

from __future__ import annotations

from typing import Final, Protocol

from switchroom.sip.flows import Flow, reply_flow, stamp_via
from switchroom.sip.message import Request, Response
from switchroom.sip.responses import make_response
from switchroom.sip.transactions.machine import (
    LET_GO,
    Effect,
    Failure,
    Input,
    Key,
    SipMessage,
    Transaction,
    TransactionHost,
)

MAGIC_COOKIE = "z9hG4bK"


class ServerUser(Protocol):
    """Who answers the request (the RFC's TU)."""

    def on_ack(self, transaction: ServerTransaction, ack: Request, now: float) -> None:
        """An ACK with the INVITE's own branch after a 2xx (RFC 6026 section 7.1)."""
        ...

    def on_server_failure(
        self, transaction: ServerTransaction, failure: Failure, now: float
    ) -> None:
        """A response could not be delivered, or a failure response was never acknowledged."""
        ...


def server_key(request: Request, method: str) -> Key:
    """What requests are matched by (section 17.2.3); ``method`` is that of the transaction sought.

    An ACK and a CANCEL look for the INVITE they belong to.
    """
    via = request.via
    branch = via.branch or ""
    # The cookie alone names nothing (RFC 4475 badbranch): the rules of RFC 2543 apply.
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        host, port = via.sent_by
        return (branch, host, str(port), method)
    number = str(request.cseq.number)
    sender = request.from_tag or request.headers.get("From") or ""
    return (request.target, sender, request.call_id, number, str(via), method)


class ServerTransaction(Transaction):
    """One request of a peer's."""

    __slots__ = ("_top_via", "_user", "merge_key", "request", "rerouted", "to_tag")

    def __init__(
        self,
        host: TransactionHost,
        flow: Flow,
        request: Request,
        user: ServerUser,
        to_tag: str | None,
    ) -> None:
        key = server_key(request, request.method)
        super().__init__(host, key, reply_flow(request, flow), request.call_id)
        self.request = request
        self.to_tag = to_tag
        self.rerouted = False
        """Whether its connection was lost once already."""
        self.merge_key: Key = ()
        """What the same request is known by that comes another way (section 8.2.2.2)."""
        self._top_via = stamp_via(request, flow)
        self._user: ServerUser = user

    @property
    def settled(self) -> bool:
        """Whether its response has arrived, as far as that can be known."""
        return self.request is LET_GO

    def let_go(self) -> None:
        """Its response has arrived, or was sent and nobody waits to hear that."""
        self._user = UNCONCERNED
        self.request = LET_GO
        self._top_via = ""

    def repeated(self, now: float) -> None:
        """The request came again."""
        self.feed(Input.REQUEST, now)

    def response(
        self,
        status: int,
        reason: str = "",
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        keep_route: bool = False,
    ) -> Response:
        """A response to this request, not sent yet."""
        return make_response(
            self.request,
            status,
            reason,
            top_via=self._top_via,
            to_tag=self.to_tag if status > 100 else None,
            headers=headers,
            body=body,
            keep_route=keep_route,
        )

    def move_to(self, flow: Flow) -> None:
        """Answer on another connection, the first being gone (section 18.2.2)."""
        self.flow = flow
        self._resend()

    def respond(self, response: Response, now: float) -> None:
        """Send a response. A second final one is not sent (it is counted as ignored)."""
        raise NotImplementedError

    def _perform_own(self, effect: Effect, message: SipMessage | None) -> None:
        if effect is Effect.SEND_TRYING:
            self._transmit(self.response(100).serialise())

    def _deliver(self, message: SipMessage | None, now: float) -> None:
        if isinstance(message, Request):
            self._user.on_ack(self, message, now)

    def _report(self, failure: Failure, now: float) -> None:
        self._user.on_server_failure(self, failure, now)


class _Unconcerned:
    """Whom a transaction tells whose user has said all, and is not asked anything."""

    def on_ack(self, transaction: ServerTransaction, ack: Request, now: float) -> None:
        """Nothing to do."""

    def on_server_failure(
        self, transaction: ServerTransaction, failure: Failure, now: float
    ) -> None:
        """The client repeats its request or does not."""


UNCONCERNED: Final = _Unconcerned()
