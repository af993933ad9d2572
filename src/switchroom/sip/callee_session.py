"""A call to us (RFC 3261 section 13.3): ringing, answering, rejecting, and being cancelled."""

from __future__ import annotations

from switchroom.sip.call_session import CallSession
from switchroom.sip.dialog import Dialog
from switchroom.sip.headers import check_fields
from switchroom.sip.invite_session import (
    DialogEnded,
    Failed,
    FailureKind,
    Fields,
    SipFailure,
)
from switchroom.sip.message import Request, Response
from switchroom.sip.offers import SDP
from switchroom.sip.reliable_provisional import ReliableSender
from switchroom.sip.sanity import Refusal
from switchroom.sip.session_host import SessionHost
from switchroom.sip.transactions.machine import Failure
from switchroom.sip.transactions.server import ServerTransaction


class CalleeSession(CallSession):
    """From the INVITE to its final answer; then what CallSession does."""

    def __init__(
        self, host: SessionHost, request: Request, dialog: Dialog, replaces: str | None = None
    ) -> None:
        super().__init__(host, request.call_id, dialog.local_tag, request.uri.user, None)
        self.request = request
        self.replaces = replaces
        """Call-ID of the call that this one is to take over."""
        self.refused = False
        """Whether its owner refused it, so that no last event comes."""
        self._early = dialog
        self._transaction: ServerTransaction | None = None
        self._reliable: ReliableSender | None = None
        self._held_answer: tuple[bytes, Fields] | None = None

    def begin(self, transaction: ServerTransaction) -> None:
        """The transaction of the INVITE, which lives as long as there is no final answer."""
        self._transaction = transaction
        self.remote = self._early.flow.peer if self._early.flow else ""
        self._offers.heard(self.request.headers)
        if "100rel" in self.request.headers.tokens("Require"):
            self._reliable = ReliableSender(self._host, transaction, self._never_acknowledged)

    # ── commands ──

    def ring(self, now: float, status: int = 180, headers: Fields = (), body: bytes = b"") -> None:
        """Send a 101–199 response; reliably if the caller requires that (RFC 3262)."""
        headers = check_fields(headers)
        transaction = self._transaction
        if transaction is None or self._held_answer is not None or not 100 < status < 200:
            return

        def build(more: Fields) -> Response:
            return self._dialog_response(transaction, status, (*more, *headers), body)

        if self._reliable is None:
            transaction.respond(build(()), now)
        else:
            self._reliable.send(build, now)

    def answer(self, now: float, body: bytes, headers: Fields = ()) -> None:
        """Send 200 and repeat it until the ACK comes."""
        headers = check_fields(headers)
        if self._transaction is None or self._held_answer is not None:
            return
        if self._reliable is not None and self._reliable.pending:
            # RFC 3262 section 3: no 2xx before the reliable 1xx is acknowledged.
            self._held_answer = (body, headers)
        else:
            self._send_answer(self._transaction, body, headers, now)

    def reject(self, now: float, status: int, reason: str = "", headers: Fields = ()) -> None:
        """Send a 300–699 response; the call is over without a further event."""
        headers = check_fields(headers)
        if status >= 300 and self._end_invite(status, reason, headers, now):
            self.finished = self.refused = True
            self._host.turned_away(self.request, Refusal(status, reason, headers), now)
            self.let_go()

    def cancel(self, now: float, headers: Fields = ()) -> None:
        """Not answered: 480. Answered: hang up."""
        self.bye(now, headers)

    def bye(self, now: float, headers: Fields = ()) -> None:
        """Hang up; before the answer, reject with 480.

        An answer that waits for its PRACK counts: its owner hears of the end as of any call's.
        """
        if self.dialog is not None:
            super().bye(now, headers)
        elif self._held_answer is None:
            self.reject(now, 480, "", headers)
        elif self._end_invite(480, "", check_fields(headers), now):
            self._finish(DialogEnded())

    # ── responses ──

    def _dialog_response(
        self, transaction: ServerTransaction, status: int, headers: Fields, body: bytes
    ) -> Response:
        fields = (
            ("Contact", transaction.flow.contact(self._contact_user, secure=self.request.secure)),
            ("Server", self._host.user_agent),
            self._host.allow,
            *((self._host.supported,) if status >= 200 else ()),
            *headers,
            *((("Content-Type", SDP),) if body else ()),
        )
        return transaction.response(status, headers=fields, body=body, keep_route=True)

    def _send_answer(
        self, transaction: ServerTransaction, body: bytes, headers: Fields, now: float
    ) -> None:
        self.dialog = self._early
        self._transaction = self._held_answer = None
        timer = self._offers.timer.answer(self.request, now)
        response = self._dialog_response(transaction, 200, (*timer, *headers), body)
        self._offers.local, self._offers.remote = body, self.request.body
        self._offers.succeed(0, transaction, response, now)

    def _end_invite(self, status: int, reason: str, headers: Fields, now: float) -> bool:
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return False
        if self._reliable is not None:
            self._reliable.stop()
        fields = (("Server", self._host.user_agent), *headers)
        transaction.respond(transaction.response(status, reason, headers=fields), now)
        return True

    # ── what the caller does ──

    def knows(self, remote_tag: str) -> bool:
        """The caller's tag never changes, answered or not."""
        return self._early.remote_tag == remote_tag

    def _dialog_of(self, request: Request) -> Dialog | None:
        return self._early if self.knows(request.from_tag or "") else None

    def _serve(
        self, dialog: Dialog, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        reliable = self._reliable
        if request.method == "PRACK" and reliable and reliable.acknowledged(request):
            transaction.respond(transaction.response(200), now)
            reliable.proceed(now)
            self._answer_if_held(now)
            return
        super()._serve(dialog, transaction, request, now)

    def _answer_if_held(self, now: float) -> None:
        held, transaction = self._held_answer, self._transaction
        if held and transaction and self._reliable and not self._reliable.pending:
            self._send_answer(transaction, *held, now)

    def on_cancel(self, transaction: ServerTransaction, cancel: Request, now: float) -> None:
        """The caller gave up (section 9.2). After a final answer it changes nothing."""
        if transaction is self._transaction:
            self._cancelled(cancel, now)
        else:
            super().on_cancel(transaction, cancel, now)

    def _bye_received(self, request: Request, now: float) -> None:
        if self._transaction is not None:
            # Section 15.1.2: a BYE in the early dialog; the INVITE gets its 487.
            self._cancelled(request, now)
        else:
            super()._bye_received(request, now)

    def _cancelled(self, by: Request, now: float) -> None:
        self._end_invite(487, "", (), now)
        self._finish(
            Failed(SipFailure(FailureKind.CANCELLED, reason=by.method, headers=by.headers))
        )

    def _never_acknowledged(self, now: float) -> None:
        # RFC 3262 section 3: the reliable 1xx was in vain; reject the INVITE.
        if self._end_invite(504, "No PRACK", (), now):
            self._finish(Failed(SipFailure(FailureKind.TIMED_OUT, reason="no PRACK")))

    def on_server_failure(
        self, transaction: ServerTransaction, failure: Failure, now: float
    ) -> None:
        """The caller's connection is gone. If it still wants the call it comes back (18.2.2)."""
