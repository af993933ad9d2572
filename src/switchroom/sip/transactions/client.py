"""What the two client machines share: they send one request and hand up what comes back."""

from __future__ import annotations

from typing import Final, Protocol

from switchroom.sip.flows import Flow
from switchroom.sip.message import Request, Response
from switchroom.sip.transactions.machine import (
    LET_GO,
    Failure,
    Input,
    SipMessage,
    Transaction,
    TransactionHost,
)


class ClientUser(Protocol):
    """Who started the request (the RFC's TU)."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response arrived: every 1xx, the first final, and each 2xx to an INVITE."""
        ...

    def on_failure(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """No final response will come; ``transaction.error`` holds what the transport said."""
        ...


class ClientTransaction(Transaction):
    """One request of ours."""

    __slots__ = ("_user", "request", "reused")

    def __init__(
        self,
        host: TransactionHost,
        flow: Flow,
        request: Request,
        user: ClientUser,
    ) -> None:
        # What a response is matched by (section 17.1.3).
        super().__init__(host, (request.branch, request.method), flow, request.call_id)
        self.request = request
        self.reused = False
        """Whether its connection had served before, and so may be lost without the peer's doing."""
        self._user: ClientUser = user

    def start(self, now: float) -> None:
        """Send the request and start its timers."""
        self._transmit(self.request.serialise())
        self._perform_all(self.start_effects, None, now)

    def receive(self, response: Response, now: float) -> None:
        """A response that matches this transaction."""
        raise NotImplementedError

    def abandon(self, now: float) -> None:
        """Wait no longer for a final response (section 9.1)."""
        self.feed(Input.ABANDON, now)

    def hand_over(self, user: ClientUser) -> None:
        """An INVITE that had a 2xx: those that still come are this user's from now on."""
        self._user = user
        self._last_sent = b""

    def let_go(self) -> None:
        """Its user waits for nothing more."""
        # The user holds its transaction: both would wait for the cyclic collector.
        self._user = _NOBODY
        self.request = LET_GO

    def _deliver(self, message: SipMessage | None, now: float) -> None:
        if isinstance(message, Response):
            self._user.on_response(self, message, now)

    def _report(self, failure: Failure, now: float) -> None:
        self._user.on_failure(self, failure, now)


class _Nobody:
    """Whom a transaction tells that was let go."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Nothing to do."""

    def on_failure(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Nothing to do."""


_NOBODY: Final = _Nobody()
