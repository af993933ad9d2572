"""Changing the media of a call, both ways, and refreshing it (RFC 3261 section 14, RFC 3311).

One offer at a time, in either direction (RFC 3264 section 4). Where two meet, each side's 491 or
500 makes the other try again by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from switchroom.sip.call_over import CALL_OVER
from switchroom.sip.dialog import Dialog
from switchroom.sip.dialog_request import DialogRequest, Done, Outcome
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Acknowledged,
    FailureKind,
    Fields,
    OfferAnswered,
    OfferReceived,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request, Response
from switchroom.sip.responses import ACCEPT
from switchroom.sip.session_host import SessionHost
from switchroom.sip.session_timer import SessionTimer
from switchroom.sip.success_response import SuccessResponse
from switchroom.sip.timers import Timer
from switchroom.sip.transactions.server import ServerTransaction

SDP: Final = "application/sdp"
_TRIES: Final = 4
"""How often an offer is sent that meets the peer's."""
_REFRESH_AGAIN: Final = 5.0


class OfferHost(Protocol):
    """The call, as its offers see it."""

    dialog: Dialog | None
    finished: bool

    @property
    def up(self) -> bool:
        """Whether it is answered and nobody has hung up."""
        ...

    @property
    def placed(self) -> bool:
        """Whether the Call-ID is ours (section 14.1 has the two sides wait differently)."""
        ...

    def send_request(
        self, method: str, headers: Sequence[tuple[str, str]], body: bytes, done: Done, now: float
    ) -> DialogRequest | None:
        """Send a request inside the dialog."""
        ...

    def tell(self, event: SessionEvent) -> None:
        """Tell the owner."""
        ...

    def hang_up_on(self, failure: SipFailure | None, now: float) -> None:
        """The dialog is broken: BYE; ``failure`` is the last event, if there is one."""
        ...


class Offers:
    """The re-INVITEs and UPDATEs of one call."""

    def __init__(self, call: OfferHost, host: SessionHost, contact_user: str | None) -> None:
        self._call = call
        self._host = host
        self._contact_user = contact_user
        self.timer = SessionTimer(
            host.timers,
            host.session_expires,
            refresh=self._refresh,
            expired=lambda now: self._lost("session timer expired", now),
        )
        self.local = b""
        """The last description of ours that counts: what a re-INVITE refreshes the call with."""
        self.remote = b""
        self._out = False
        self._body = b""
        self._tries = 0
        self._waiting: Timer | None = None
        """Our offer met one of the peer's and is sent again when this fires."""
        self._theirs: dict[int, ServerTransaction] = {}
        self._seen = 0
        self._success: SuccessResponse | None = None
        """The 2xx of ours that waits for its ACK."""
        self._success_offer = 0
        self._allow: list[str] = []
        """The methods that the peer serves, as it wrote them."""

    # ── what is said in INVITE, UPDATE and their 2xx ──

    def heard(self, headers: Headers) -> None:
        """A message of the peer's, whose Allow tells how to refresh the call."""
        self._allow = headers.get_all("Allow") or self._allow

    @property
    def _takes_update(self) -> bool:
        methods = ",".join(self._allow).split(",")
        return any(method.strip().upper() == "UPDATE" for method in methods)

    def _fields(self, body: bytes) -> Fields:
        content = (("Content-Type", SDP),) if body else ()
        return (self._host.allow, self._host.supported, *self.timer.ask(), *content)

    # ── offers of ours ──

    def offer(self, body: bytes, now: float) -> None:
        """Send a re-INVITE with an offer; ends with OfferAnswered.

        Answered with 491 at once, without a request, if an offer is open in either direction.
        """
        if not self._call.up:
            return
        if self._out or self._waiting or self._theirs:
            self._call.tell(OfferAnswered(491, "Request Pending", Headers(), b""))
            return
        self._body, self._tries = body, 0
        self._send(now)

    def _send(self, now: float) -> None:
        self._waiting = None
        if not self._call.up:
            return
        self._out = True
        self._tries += 1
        self._call.send_request("INVITE", self._fields(self._body), self._body, self._answered, now)

    def _answered(self, outcome: Outcome, now: float) -> None:
        self._out = False
        if self._call.finished or self._retried(outcome, now):
            return
        if isinstance(outcome, SipFailure):
            self._call.tell(OfferAnswered(408, outcome.reason, Headers(), b""))
        else:
            if outcome.is_success:
                self._agreed(outcome, self._body, now)
            answer = OfferAnswered(outcome.status, outcome.reason, outcome.headers, outcome.body)
            self._call.tell(answer)
        if _gone(outcome):
            # Section 12.2.1.2: no answer, 408 or 481 to a request inside it ends the dialog.
            self._call.hang_up_on(None, now)

    def _retried(self, outcome: Outcome, now: float) -> bool:
        if isinstance(outcome, SipFailure) or self._tries >= _TRIES or not self._call.up:
            return False
        if outcome.status == 422 and self.timer.raised(outcome):
            self._send(now)
            return True
        delay = self._pause_after(outcome)
        if delay is None:
            return False
        self._waiting = self._host.timers.schedule(now + delay, self._send)
        return True

    def _pause_after(self, response: Response) -> float | None:
        """Seconds to wait before the same offer goes out again; ``None`` if it must not."""
        if response.status == 491:
            # Section 14.1: 2.1-4 s for the owner of the Call-ID, 0-2 s for the other, in units of
            # 10 ms, so that they do not meet again.
            draw = int(self._host.new_token()[-8:], 16)
            return (210 + draw % 191 if self._call.placed else draw % 201) / 100
        after = (response.headers.get("Retry-After") or "").partition(";")[0].strip()
        if response.status == 500 and after.isascii() and after.isdigit() and len(after) < 3:
            # Section 14.2: how the peer says that it is not ready for a second offer.
            return int(after) if int(after) <= 10 else None
        return None

    def _agreed(self, response: Response, body: bytes, now: float) -> None:
        if self._call.dialog is not None:
            self._call.dialog.refresh_target(response)
        self.heard(response.headers)
        self.timer.answered(response, now)
        self.local, self.remote = body, response.body

    # ── refreshing ──

    def _refresh(self, now: float) -> None:
        busy = self._out or self._waiting or self._theirs or self._unacknowledged
        if busy:
            # What is under way refreshes the call as well; if not, there is time for another try.
            self.timer.try_again(now, _REFRESH_AGAIN)
        elif self._takes_update:
            self._call.send_request("UPDATE", self._fields(b""), b"", self._refreshed, now)
        elif self.local:
            self._out = True
            # RFC 4028 section 7.4: the same description again, its version unchanged.
            self._call.send_request(
                "INVITE", self._fields(self.local), self.local, self._resent, now
            )

    def _resent(self, outcome: Outcome, now: float) -> None:
        self._out = False
        before = self.remote
        self._refreshed(outcome, now)
        changed = isinstance(outcome, Response) and outcome.is_success and outcome.body != before
        if changed and isinstance(outcome, Response) and not self._call.finished:
            self._call.tell(OfferAnswered(200, outcome.reason, outcome.headers, outcome.body))

    def _refreshed(self, outcome: Outcome, now: float) -> None:
        if self._call.finished or not self._call.up:
            return
        if isinstance(outcome, SipFailure) and outcome.kind is not FailureKind.NO_RESPONSE:
            # It was not heard, which says nothing about the peer: there is time for another try.
            self.timer.try_again(now, _REFRESH_AGAIN)
        elif isinstance(outcome, SipFailure) or _gone(outcome):
            self._lost("session refresh failed", now)
        elif outcome.is_success:
            by_update = outcome.cseq.method == "UPDATE"
            self._agreed(outcome, self.local, now) if not by_update else self._updated(outcome, now)
        elif outcome.status in (405, 501) and self._takes_update:
            self._allow = []
            self._refresh(now)
        elif outcome.status == 422 and self.timer.raised(outcome):
            self._refresh(now)
        else:
            pause = self._pause_after(outcome)
            self.timer.try_again(now, _REFRESH_AGAIN if pause is None else pause)

    def _updated(self, response: Response, now: float) -> None:
        if self._call.dialog is not None:
            self._call.dialog.refresh_target(response)
        self.timer.answered(response, now)

    def _lost(self, why: str, now: float) -> None:
        self._call.hang_up_on(SipFailure(FailureKind.TIMED_OUT, reason=why), now)

    # ── offers of the peer ──

    def received(
        self, dialog: Dialog, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        """A re-INVITE or an UPDATE."""
        self.heard(request.headers)
        if request.method == "UPDATE" and not request.body:
            dialog.refresh_target(request)
            # A session has a timer from its answer to its end (RFC 4028 section 5).
            timer = self.timer.answer(request, now) if self._call.up else ()
            headers = (*self._success_fields(transaction), *timer)
            transaction.respond(transaction.response(200, headers=headers), now)
            return
        if not self._call.up or self._out:
            # Section 14.2 and RFC 3311 5.2: an offer of ours is open (the INVITE's, in an early
            # dialog), or there is nothing left to negotiate.
            transaction.respond(transaction.response(491), now)
            return
        if self._theirs or self._unacknowledged:
            # Section 14.2: a second offer before the first was dealt with; try again in a while.
            retry = str(int(self._host.new_token()[-4:], 16) % 11)
            response = transaction.response(500, headers=(("Retry-After", retry),))
            transaction.respond(response, now)
            return
        dialog.refresh_target(request)
        if request.body and request.content_type != SDP:
            transaction.respond(transaction.response(415, headers=(ACCEPT,)), now)
            return
        self._yield()
        self._seen += 1
        self._theirs[self._seen] = transaction
        self._call.tell(OfferReceived(self._seen, request.body, request.headers))

    def _yield(self) -> None:
        """The peer was faster: our waiting offer is built on what is about to change."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
            self._call.tell(OfferAnswered(491, "Request Pending", Headers(), b""))

    def respond(self, number: int, status: int, reason: str, body: bytes, now: float) -> None:
        """Answer an OfferReceived. Unknown or answered ids are ignored: the call may have ended."""
        transaction = self._theirs.pop(number, None)
        if transaction is None:
            return
        if status >= 300:
            transaction.respond(transaction.response(status, reason), now)
            return
        request = transaction.request
        content = (("Content-Type", SDP),) if body else ()
        timer = self.timer.answer(request, now)
        headers = (*self._success_fields(transaction), *timer, *content)
        response = transaction.response(status, reason, headers=headers, body=body)
        self.local, self.remote = body, request.body
        if request.method == "INVITE":
            self.succeed(number, transaction, response, now)
        else:
            transaction.respond(response, now)

    def _success_fields(self, transaction: ServerTransaction) -> Fields:
        secure = transaction.request.secure
        contact = ("Contact", transaction.flow.contact(self._contact_user, secure=secure))
        return (contact, self._host.allow, self._host.supported)

    def cancelled(self, transaction: ServerTransaction, now: float) -> None:
        """A CANCEL for a re-INVITE (section 9.2): without an answer yet, it ends with 487."""
        for number, pending in list(self._theirs.items()):
            if pending is transaction:
                del self._theirs[number]
                transaction.respond(transaction.response(487), now)

    # ── our 2xx and their ACK ──

    def succeed(
        self, number: int, transaction: ServerTransaction, response: Response, now: float
    ) -> None:
        """Send a 2xx to an INVITE until it is acknowledged; ``number`` 0 is the first INVITE."""
        self._success_offer = number
        self._success = SuccessResponse(
            self._host, transaction, response, lambda at: self._lost("no ACK", at), now
        )

    @property
    def _unacknowledged(self) -> bool:
        return self._success is not None and self._success.pending

    @property
    def answer_unacknowledged(self) -> bool:
        """Whether the ACK to the 2xx that made this call is still to come."""
        return self._success_offer == 0 and self._unacknowledged

    def acknowledged(self, ack: Request) -> bool:
        """An ACK to one of our 2xx; False if it is none that was awaited."""
        success = self._success
        if success is None or not success.pending or success.cseq != ack.cseq.number:
            return False
        success.stop()
        self._success = None
        self.remote = ack.body or self.remote
        self._call.tell(Acknowledged(self._success_offer, ack.body))
        return True

    def drop(self, now: float) -> None:
        """The dialog ends: requests that are still open get 487 (section 15.1.2)."""
        for transaction in self._theirs.values():
            transaction.respond(transaction.response(487), now)
        self._theirs.clear()
        if self._success is not None:
            self._success.stop()
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        self.timer.end()

    def let_go(self) -> None:
        """Nothing comes to the call any more: do not hold it."""
        self._call, self._success = CALL_OVER, None
        self.timer.end()


def _gone(outcome: Outcome) -> bool:
    return isinstance(outcome, SipFailure) or outcome.status in (408, 481)
