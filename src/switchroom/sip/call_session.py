"""The part of a call that is the same whoever dialled: requests inside the dialog, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from switchroom.sip.dialog import Dialog, DialogSnapshot
from switchroom.sip.dialog_request import DialogRequest, Done, Outcome
from switchroom.sip.digest import Credentials, DigestClient
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.flows import Flow
from switchroom.sip.headers import Headers, check_fields
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    Fields,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request
from switchroom.sip.refer import Refers
from switchroom.sip.responses import ACCEPT, supported
from switchroom.sip.session_host import SessionHost
from switchroom.sip.success_response import SuccessResponse
from switchroom.sip.transactions.machine import Failure
from switchroom.sip.transactions.server import ServerTransaction
from switchroom.sip.uri import NameAddr

SDP: Final = "application/sdp"
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
        self._host = host
        self._contact_user = contact_user
        self._digest = DigestClient(credentials, host.new_token)
        self._remote_offers: dict[int, ServerTransaction] = {}
        self._offers_seen = 0
        self._success: SuccessResponse | None = None
        """The 2xx of ours that waits for its ACK."""
        self._success_offer = 0
        self._offer_out = False
        self._acks: dict[str, tuple[int, Flow, bytes]] = {}
        """By remote tag: CSeq, flow and bytes of the last ACK, for repeated 2xx."""
        self._bye_headers: Fields | None = None
        """A BYE that waits for the ACK to our 2xx (section 15: the callee's must)."""
        self._bye_sent = False
        self._refers = Refers(self, host)

    # ── commands ──

    def bye(self, now: float, headers: Fields = ()) -> None:
        """Hang up an answered call; ends with DialogEnded."""
        headers = check_fields(headers)
        if self.dialog is None or self.finished or self._bye_sent:
            return
        if self._success is not None and self._success_offer == 0 and self._success.pending:
            self._bye_headers = headers
            return
        self._send_bye(self.dialog, headers, now)

    def offer(self, now: float, body: bytes) -> None:
        """Send a re-INVITE with an offer; ends with OfferAnswered.

        Answered with 491 at once, without a request, if an offer is open in either direction
        (RFC 3264 section 4: one at a time).
        """
        if self.dialog is None or self.finished or self._bye_sent:
            return
        if self._offer_out or self._remote_offers:
            self._emit(OfferAnswered(491, "Request Pending", Headers(), b""))
            return
        self._offer_out = True
        headers = (self._host.allow, supported(self._host.options), ("Content-Type", SDP))
        self._request("INVITE", headers, body, self._offer_answered, now)

    def respond_offer(
        self, now: float, offer_id: int, status: int, reason: str = "", body: bytes = b""
    ) -> None:
        """Answer an OfferReceived. Unknown or answered ids are ignored: the call may have ended."""
        transaction = self._remote_offers.pop(offer_id, None)
        if transaction is None:
            return
        if status >= 300:
            transaction.respond(transaction.response(status, reason), now)
            return
        headers = (
            ("Contact", transaction.flow.contact(self._contact_user)),
            self._host.allow,
            supported(self._host.options),
            *((("Content-Type", SDP),) if body else ()),
        )
        response = transaction.response(status, reason, headers=headers, body=body)
        if transaction.request.method == "INVITE":
            self._success_offer = offer_id
            self._success = SuccessResponse(self._host, transaction, response, self._no_ack, now)
        else:
            transaction.respond(response, now)

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
                self._offer_received(dialog, transaction, request, now)
            case "INFO":
                transaction.respond(transaction.response(200), now)
                self._emit(InfoReceived(request.content_type, request.headers, request.body))
            case "OPTIONS":
                headers = (self._host.allow, ACCEPT, supported(self._host.options))
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
        self._drop_open_offers(now)
        self._finish(ByeReceived(request.headers))

    def _offer_received(
        self, dialog: Dialog, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        if request.method == "UPDATE" and not request.body:
            dialog.refresh_target(request)
            contact = ("Contact", transaction.flow.contact(self._contact_user))
            headers = (contact, self._host.allow)
            transaction.respond(transaction.response(200, headers=headers), now)
            return
        if self.dialog is None or self.finished or self._bye_sent or self._offer_out:
            # Section 14.2 and RFC 3311 5.2: an offer of ours is open (the INVITE's, in an early
            # dialog), or there is nothing left to negotiate.
            transaction.respond(transaction.response(491), now)
            return
        if self._remote_offers or (self._success is not None and self._success.pending):
            # Section 14.2: a second offer before the first was dealt with; try again in a while.
            retry = str(int(self._host.new_token()[:4], 16) % 11)
            response = transaction.response(500, headers=(("Retry-After", retry),))
            transaction.respond(response, now)
            return
        dialog.refresh_target(request)
        if request.body and request.content_type != SDP:
            transaction.respond(transaction.response(415, headers=(ACCEPT,)), now)
            return
        self._offers_seen += 1
        self._remote_offers[self._offers_seen] = transaction
        self._emit(OfferReceived(self._offers_seen, request.body, request.headers))

    def on_dialog_ack(self, ack: Request, now: float) -> None:
        """An ACK to one of our 2xx (it has a branch of its own, so no transaction matches)."""
        success = self._success
        if success is None or not success.pending or success.cseq != ack.cseq.number:
            return
        success.stop()
        self._emit(Acknowledged(self._success_offer, ack.body))
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
        """A CANCEL for a re-INVITE (section 9.2): without an answer yet, it ends with 487."""
        for offer_id, pending in list(self._remote_offers.items()):
            if pending is transaction:
                del self._remote_offers[offer_id]
                transaction.respond(transaction.response(487), now)

    # ── requests to the peer ──

    def acknowledge(self, dialog: Dialog, invite: Request, now: float) -> None:
        """Send the ACK for a 2xx, or the same ACK again for a repeated one (section 13.2.2.4)."""
        number = invite.cseq.number
        sent = self._acks.get(dialog.remote_tag)
        if sent is not None and sent[0] == number:
            self._host.send(sent[1], sent[2], self.call_id)
            return

        def reached(result: Flow | SipFailure, _now: float) -> None:
            if isinstance(result, SipFailure):
                return  # the callee hangs up after 64*T1 without ACK
            via = result.via(f"z9hG4bK{self._host.new_token()}")
            # The ACK carries the credentials of its INVITE, for it can't be challenged (22.1).
            login = [
                (name, value)
                for name, value in invite.headers
                if name in ("Authorization", "Proxy-Authorization")
            ]
            ack = dialog.request("ACK", via, "", login, cseq=number)
            data = ack.serialise()
            self._acks[dialog.remote_tag] = (number, result, data)
            self._host.send(result, data, self.call_id)

        self._host.reach(dialog.next_hop(), dialog.transport, reached, now)

    def _request(
        self,
        method: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        done: Done,
        now: float,
    ) -> DialogRequest | None:
        if self.dialog is None:
            return None
        request = DialogRequest(
            self._host,
            self.dialog,
            self._digest,
            method=method,
            contact_user=self._contact_user,
            headers=headers,
            body=body,
            acknowledger=self if method == "INVITE" else None,
            done=done,
        )
        request.start(now)
        return request

    def refer_request(
        self, method: str, headers: Fields, body: bytes, done: Done, now: float
    ) -> DialogRequest | None:
        """A REFER or NOTIFY of this call's transfers."""
        if self.finished or self._bye_sent:
            return None
        return self._request(method, headers, body, done, now)

    def refer_event(self, event: SessionEvent) -> None:
        """News of this call's transfers."""
        self._emit(event)

    def _send_bye(self, dialog: Dialog, headers: Fields, now: float) -> None:
        self._bye_sent = True
        self._drop_open_offers(now)
        DialogRequest(
            self._host, dialog, self._digest, method="BYE", headers=headers, done=self._bye_done
        ).start(now)

    def _bye_done(self, outcome: Outcome, now: float) -> None:
        # Section 15.1.1: whatever comes back, or nothing, the dialog is over.
        self._finish(DialogEnded())
        self._host.session_over(self)

    def _offer_answered(self, outcome: Outcome, now: float) -> None:
        self._offer_out = False
        if self.finished:
            return
        if isinstance(outcome, SipFailure):
            self._emit(OfferAnswered(408, outcome.reason, Headers(), b""))
        else:
            if outcome.is_success and self.dialog is not None:
                self.dialog.refresh_target(outcome)
            self._emit(OfferAnswered(outcome.status, outcome.reason, outcome.headers, outcome.body))
        gone = isinstance(outcome, SipFailure) or outcome.status in (408, 481)
        if gone and self.dialog is not None and not self._bye_sent:
            # Section 12.2.1.2: no answer, 408 or 481 to a request inside it ends the dialog.
            self._send_bye(self.dialog, (), now)

    # ── the end ──

    def _no_ack(self, now: float) -> None:
        # Section 13.3.1.4: no ACK in 64*T1, the session is terminated with BYE.
        failure = SipFailure(FailureKind.TIMED_OUT, reason="no ACK")
        dialog = self.dialog
        self._emit(DialogEnded(failure))
        if dialog is not None:
            self._send_bye(dialog, self._bye_headers or (), now)

    def _drop_open_offers(self, now: float) -> None:
        # Section 15.1.2: requests still open when the dialog ends get 487.
        for transaction in self._remote_offers.values():
            transaction.respond(transaction.response(487), now)
        self._remote_offers.clear()
        if self._success is not None:
            self._success.stop()
        self._refers.drop(now)

    def _finish(self, event: SessionEvent) -> None:
        """The last event; the endpoint forgets the call unless a BYE of ours is under way."""
        self._emit(event)
        if not self._bye_sent:
            self._host.session_over(self)

    def _emit(self, event: SessionEvent) -> None:
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

    The sequence numbers used since it was stored are not known, so a wide gap is left.
    """
    dialog = Dialog.restore(snapshot)
    dialog.local_cseq += 1_000
    session = CallSession(host, dialog.call_id, dialog.local_tag, None, None)
    session.dialog = dialog
    return session
