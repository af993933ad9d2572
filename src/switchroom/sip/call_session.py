"""The part of a call that is the same whoever dialled: requests inside the dialog, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from switchroom.sip.acks import Acks
from switchroom.sip.dialog import Dialog, DialogSnapshot
from switchroom.sip.dialog_request import DialogRequest, Done, Outcome
from switchroom.sip.digest import Credentials, DigestClient
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.headers import check_fields
from switchroom.sip.invite_session import (
    ByeReceived,
    DialogEnded,
    Failed,
    Fields,
    InfoReceived,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request
from switchroom.sip.offers import Offers
from switchroom.sip.refer import Refers
from switchroom.sip.responses import ACCEPT
from switchroom.sip.session_host import SessionHost
from switchroom.sip.session_timer import too_short
from switchroom.sip.transactions.machine import Failure
from switchroom.sip.transactions.server import ServerTransaction
from switchroom.sip.uri import NameAddr

_LAST_EVENTS: Final = (Failed, ByeReceived, DialogEnded)


class CallSession:
    """One call. Subclasses bring it up; from the answer on everything happens here.

    ``dialog`` is set once there is an answer. ``finished`` is set with the last event; what is
    still owed to the peer then (an ACK again, the end of a BYE) goes on without the owner.
    """

    def __init__(
        self,
        host: SessionHost,
        call_id: str,
        local_tag: str,
        contact_user: str | None,
        credentials: Credentials | None,
    ) -> None:
        self.call_id = call_id
        self.local_tag = local_tag
        self.dialog: Dialog | None = None
        self.finished = False
        self.remote = ""
        """``ip:port`` that the INVITE went to last, or came from; empty before any was sent."""
        self._host = host
        self._contact_user = contact_user
        self._digest = DigestClient(credentials, host.new_token)
        self._offers = Offers(self, host, contact_user)
        self._acks = Acks(host)
        self._bye_headers: Fields | None = None
        """A BYE that waits for the ACK to our 2xx (section 15: the callee's must)."""
        self._bye_sent = False
        self._refers = Refers(self, host)

    @property
    def up(self) -> bool:
        """Whether it is answered and nobody has hung up."""
        return self.dialog is not None and not self.finished and not self._bye_sent

    @property
    def placed(self) -> bool:
        """Whether it was us who called."""
        return False

    # ── commands ──

    def bye(self, now: float, headers: Fields = ()) -> None:
        """Hang up an answered call; ends with DialogEnded."""
        headers = check_fields(headers)
        if self.dialog is None or self.finished or self._bye_sent:
            return
        if self._offers.answer_unacknowledged:
            self._bye_headers = headers
            return
        self._send_bye(self.dialog, headers, now)

    def offer(self, now: float, body: bytes) -> None:
        """Send a re-INVITE with an offer; ends with OfferAnswered.

        Answered with 491 at once, without a request, if an offer is open in either direction. If
        the peer answers 491, it is sent again after a while, unless the peer offers first.
        """
        self._offers.offer(body, now)

    def respond_offer(
        self, now: float, offer_id: int, status: int, reason: str = "", body: bytes = b""
    ) -> None:
        """Answer an OfferReceived. Unknown or answered ids are ignored: the call may have ended."""
        self._offers.respond(offer_id, status, reason, body, now)

    def refer(self, now: float, refer_to: str, headers: Fields = ()) -> int:
        """Ask the peer to call somebody else; ends with ReferAnswered, then ReferNotified."""
        check_fields((("Refer-To", refer_to), *headers))
        if not any(name.lower() == "referred-by" for name, _ in headers) and self.dialog:
            # RFC 3892: whom the new callee may ask, without the tag of this call.
            referrer = NameAddr.parse(self.dialog.local).with_tag(None)
            headers = (*headers, ("Referred-By", str(referrer)))
        return self._refers.ask(refer_to, headers, now)

    def respond_refer(self, now: float, refer_id: int, status: int, reason: str = "") -> None:
        """Answer a ReferReceived. Unknown or answered ids are ignored."""
        self._refers.respond(refer_id, status, reason, now)

    def notify_refer(self, now: float, refer_id: int, status: int, reason: str = "") -> None:
        """Tell the peer how the transfer it asked for goes; after a final status nothing more."""
        self._refers.tell(refer_id, status, reason, now)

    def snapshot(self) -> DialogSnapshot | None:
        """The dialog while the call is up."""
        if self.dialog is None or self.finished:
            return None
        return self.dialog.snapshot()

    # ── requests from the peer ──

    def knows(self, remote_tag: str) -> bool:
        """Whether a request with this From tag belongs to a dialog of this call."""
        return self.dialog is not None and self.dialog.remote_tag == remote_tag

    def on_request(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A request inside the dialog, already in a transaction."""
        dialog = self._dialog_of(request)
        if dialog is None:
            transaction.respond(transaction.response(481), now)
            return
        unsupported = unsupported_options(request, self._host.options)
        if unsupported:
            headers = (("Unsupported", ", ".join(unsupported)),)
            transaction.respond(transaction.response(420, headers=headers), now)
            return
        if not dialog.accepts_cseq(request.cseq.number):
            # Section 12.2.2: out of order.
            transaction.respond(transaction.response(500, "CSeq Out Of Order"), now)
            return
        refusal = too_short(request) if request.method in ("INVITE", "UPDATE") else None
        if refusal is not None:
            transaction.respond(transaction.response(422, headers=refusal.headers), now)
            return
        self._serve(dialog, transaction, request, now)

    def _serve(
        self, dialog: Dialog, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        method = request.method
        match method if method in self._host.methods else "":
            case "BYE":
                transaction.respond(transaction.response(200), now)
                self._bye_received(request, now)
            case "INVITE" | "UPDATE":
                self._offers.received(dialog, transaction, request, now)
            case "INFO":
                transaction.respond(transaction.response(200), now)
                self.tell(InfoReceived(request.content_type, request.headers, request.body))
            case "OPTIONS":
                headers = (self._host.allow, ACCEPT, self._host.supported)
                transaction.respond(transaction.response(200, headers=headers), now)
            case "NOTIFY":
                self._refers.notified(transaction, request, now)
            case "REFER" if self.dialog is not None and not self.finished:
                self._refers.received(transaction, request, now)
            case "PRACK" | "REFER":
                # RFC 3262 section 3: nothing awaits it (any more). And who is not talking to us
                # yet can't send us elsewhere.
                transaction.respond(transaction.response(481), now)
            case _:
                refusal = transaction.response(405, headers=(self._host.allow,))
                transaction.respond(refusal, now)

    def _dialog_of(self, request: Request) -> Dialog | None:
        return self.dialog if self.knows(request.from_tag or "") else None

    def _bye_received(self, request: Request, now: float) -> None:
        self._drop_open_requests(now)
        self._finish(ByeReceived(request.headers))

    def on_dialog_ack(self, ack: Request, now: float) -> None:
        """An ACK to one of our 2xx (it has a branch of its own, so no transaction matches)."""
        if not self._offers.acknowledged(ack):
            return
        if self._bye_headers is not None and self.dialog is not None:
            self._send_bye(self.dialog, self._bye_headers, now)

    def on_ack(self, transaction: ServerTransaction, ack: Request, now: float) -> None:
        """An ACK that wrongly has the INVITE's branch; taken as well (RFC 6026 section 7.1)."""
        self.on_dialog_ack(ack, now)

    def on_server_failure(
        self, transaction: ServerTransaction, failure: Failure, now: float
    ) -> None:
        """A response was not delivered; the peer repeats its request or gives up by itself."""

    def on_cancel(self, transaction: ServerTransaction, cancel: Request, now: float) -> None:
        """A CANCEL for a re-INVITE (section 9.2)."""
        self._offers.cancelled(transaction, now)

    # ── requests to the peer ──

    def send_request(
        self,
        method: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        done: Done,
        now: float,
    ) -> DialogRequest | None:
        """Send a request inside the dialog; ``None`` if there is none (any more)."""
        if self.dialog is None or self.finished or self._bye_sent:
            return None
        request = DialogRequest(
            self._host,
            self.dialog,
            self._digest,
            method=method,
            contact_user=self._contact_user,
            headers=headers,
            body=body,
            acknowledger=self._acks if method == "INVITE" else None,
            done=done,
        )
        request.start(now)
        return request

    def _send_bye(self, dialog: Dialog, headers: Fields, now: float) -> None:
        self._bye_sent = True
        self._drop_open_requests(now)
        DialogRequest(
            self._host, dialog, self._digest, method="BYE", headers=headers, done=self._bye_done
        ).start(now)

    def _bye_done(self, outcome: Outcome, now: float) -> None:
        # Section 15.1.1: whatever comes back, or nothing, the dialog is over.
        self._finish(DialogEnded())
        self.let_go()

    # ── the end ──

    def hang_up_on(self, failure: SipFailure | None, now: float) -> None:
        """The dialog is broken: BYE, though nobody may hear it."""
        dialog = self.dialog
        if failure is not None:
            self.tell(DialogEnded(failure))
        if dialog is not None and not self._bye_sent:
            self._send_bye(dialog, self._bye_headers or (), now)

    def _drop_open_requests(self, now: float) -> None:
        self._offers.drop(now)
        self._refers.drop(now)

    def _finish(self, event: SessionEvent) -> None:
        """The last event; the endpoint forgets the call unless a BYE of ours is under way."""
        self.tell(event)
        if not self._bye_sent:
            self.let_go()

    def let_go(self) -> None:
        """Nothing comes any more: the endpoint forgets the call, and its parts do not hold it."""
        self._host.session_over(self)
        self._offers.let_go()
        self._refers.let_go()

    def tell(self, event: SessionEvent) -> None:
        """Tell the owner, unless it has heard the last event."""
        if self.finished:
            return
        if isinstance(event, _LAST_EVENTS):
            self.finished = True
        self._host.emit(self, event)


def unsupported_options(request: Request, known: frozenset[str]) -> list[str]:
    """The option tags in Require that we don't know (section 8.2.2.3)."""
    try:
        wanted = request.headers.values("Require")
    except MalformedValueError:
        return ["unreadable"]
    return [option for option in wanted if option.lower() not in known]


def restore(host: SessionHost, snapshot: DialogSnapshot) -> CallSession:
    """The call of a stored dialog, good for hanging up.

    The sequence numbers used since it was stored are not known.
    """
    dialog = Dialog.restore(snapshot)
    dialog.leave_a_gap()
    session = CallSession(host, dialog.call_id, dialog.local_tag, None, None)
    session.dialog = dialog
    return session
