"""One request of ours inside a dialog, from finding its way to its final response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from switchroom.sip.dialog import Dialog
from switchroom.sip.digest import ChallengeOutcome, DigestClient, Login
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import FailureKind, SipFailure
from switchroom.sip.message import Request, Response
from switchroom.sip.session_host import SessionHost
from switchroom.sip.timers import Timer
from switchroom.sip.transactions.client import ClientTransaction
from switchroom.sip.transactions.machine import Failure

MAX_ATTEMPTS: Final = 5
"""How often one request is sent at most, authentication included."""

_LONGEST: Final = 180.0
"""Seconds that a re-INVITE may take: after those any proxy would give it up (section 16.6)."""

_WITH_CONTACT: Final = ("INVITE", "UPDATE", "REFER", "NOTIFY")
"""Target refresh requests and those of subscriptions (section 12.2.1.1, RFC 3311, RFC 6665)."""

Outcome = Response | SipFailure
Done = Callable[[Outcome, float], None]


class Acknowledger(Protocol):
    """Who sends the ACK for a 2xx to a re-INVITE."""

    def acknowledge(self, dialog: Dialog, invite: Request, now: float) -> None:
        """Send it, or send it again."""
        ...


class DialogRequest:
    """Sends a request, logs in if asked (each time with new CSeq and branch), reports once.

    Credentials go to those realms only that this call's requests were challenged by.
    """

    def __init__(
        self,
        host: SessionHost,
        dialog: Dialog,
        digest: DigestClient,
        *,
        method: str,
        contact_user: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        acknowledger: Acknowledger | None = None,
        done: Done,
    ) -> None:
        self._host = host
        self._dialog = dialog
        self._digest = digest
        self._login: Login | None = None
        self._method = method
        self._contact_user = contact_user
        self._headers = tuple(headers)
        self._body = body
        self._acknowledger = acknowledger
        self._done: Done | None = done
        self._attempts = 0
        self._patience: Timer | None = None
        self.cseq = 0
        """The number of the last attempt."""
        self._number: int | None = None
        """That of the next one, if it is no new one."""

    def start(self, now: float) -> None:
        """Send it to the dialog's next hop."""
        self._host.reach(self._dialog, self._reached, now)

    def _reached(self, result: Flow | SipFailure, now: float) -> None:
        if isinstance(result, SipFailure):
            self._finish(result, now)
            return
        self._attempts += 1
        secure = self._dialog.remote_target.scheme == "sips"
        request = self._dialog.request(
            self._method,
            result.via(f"z9hG4bK{self._host.new_token()}"),
            result.contact(self._contact_user, secure=secure)
            if self._method in _WITH_CONTACT
            else "",
            (
                ("User-Agent", self._host.user_agent),
                *self._headers,
                *self._digest.authorise(self._method, self._dialog.request_target),
            ),
            self._body,
            cseq=self._number,
        )
        self.cseq, self._number = request.cseq.number, None
        self._host.start_request(result, request, self, now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response: only final ones matter here."""
        if response.is_provisional:
            self._be_patient(transaction, now)
            return
        self._stop_waiting()
        if response.is_success and self._acknowledger is not None:
            self._acknowledger.acknowledge(self._dialog, transaction.request, now)
        if response.status in (401, 407) and self._may_retry(response):
            self._reached(transaction.flow, now)
            return
        self._finish(response, now)

    def on_failure(self, transaction: ClientTransaction, failure: Failure, now: float) -> None:
        """Nothing will come."""
        self._stop_waiting()
        if failure is Failure.TRANSPORT and transaction.reused:
            # A connection that is closed while a request travels: the same again, on another.
            self._number = self.cseq
            self._host.reach(self._dialog, self._reached, now)
        else:
            self._finish(describe(transaction, failure), now)

    def _be_patient(self, transaction: ClientTransaction, now: float) -> None:
        # The transaction of an INVITE that had a 1xx has no end of its own.
        if self._acknowledger is not None and self._patience is None:
            self._patience = self._host.timers.schedule(now + _LONGEST, transaction.abandon)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _may_retry(self, response: Response) -> bool:
        if self._attempts >= MAX_ATTEMPTS:
            return False
        self._login = self._login or self._digest.login()
        return self._login.challenged(response) is ChallengeOutcome.RETRY

    def _finish(self, outcome: Outcome, now: float) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome, now)


def describe(transaction: ClientTransaction, failure: Failure) -> SipFailure:
    """A transaction's failure in the words of the call's owner."""
    if failure is Failure.TRANSPORT:
        return SipFailure(FailureKind.TRANSPORT, reason=transaction.error or "transport error")
    return SipFailure(FailureKind.NO_RESPONSE, reason="no response")
