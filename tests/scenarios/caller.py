"""A scripted caller: it sends an INVITE as the SIP endpoint would hand it over, and then does what
the scenario says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from scenarios.carrier import answer_sdp
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.flows import Flow
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    Fields,
    InfoReceived,
    OfferReceived,
    ReferAnswered,
    ReferNotified,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request
from switchroom.sip.sanity import Refusal
from switchroom.sip.uas_core import SILENCE

if TYPE_CHECKING:
    from scenarios.house import House

CALLER, CALLED = "+15105550123", "+15105550100"
SOURCE = ("198.51.100.7", 5060)
_HERE = ("192.0.2.1", 5060)


def invite(
    *,
    caller: str = f'"Ann" <sip:{CALLER}@carrier.example>',
    called: str = CALLED,
    target: str = "",
    headers: Fields = (),
    body: bytes | None = None,
    call_id: str = "in-1",
) -> Request:
    """An INVITE; `body` None is the usual offer."""
    fields = (
        ("Via", "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1"),
        ("From", f"{caller};tag=theirs"),
        ("To", f"<sip:{called}@192.0.2.1>"),
        ("Call-ID", call_id),
        ("CSeq", "1 INVITE"),
        ("Contact", "<sip:gateway@198.51.100.7>"),
        *headers,
    )
    offer = answer_sdp() if body is None else body
    return Request("INVITE", f"sip:{target or called}@192.0.2.1", fields, offer)


class ScriptedCaller:
    """One call to us. Keeps the promises of `IncomingInviteSession`."""

    replaces: str | None = None

    def __init__(self, house: House, request: Request, source: tuple[str, int] = SOURCE) -> None:
        self.request = request
        self.call_id = request.call_id
        self.remote = "{}:{}".format(*source)
        self.refusal: Refusal | None = None
        self.status: int | None = None
        self.reason = ""
        self.body = b""
        self.headers: Fields = ()
        self.bye_headers: Fields = ()
        self._house = house
        self._source = source
        self._hear: Callable[[SessionEvent], None] = lambda _: None
        self._dialog: DialogSnapshot | None = None
        self._over = False
        self._refers = 0

    # ── what the caller does ─────────────────────────────────────────────────

    def calls(self) -> ScriptedCaller:
        """Send the INVITE; `status` is the final answer if it was refused at once."""
        carrier = self._house.carrier
        flow = Flow("UDP", _HERE, self._source, _HERE)
        assert carrier.admit is not None
        assert carrier.incoming is not None
        self.refusal = carrier.admit(self.request, flow)
        if self.refusal is not None:
            self._house.note("silence" if self.refusal is SILENCE else f"{self.refusal.status}")
            self.status, self.reason = self.refusal.status, self.refusal.phrase
            return self
        source = "{}:{}".format(*self._source)
        self._hear = carrier.incoming(self, self.request, source)
        return self

    def acknowledges(self, body: bytes = b"") -> None:
        self._hear(Acknowledged(0, body))

    def gives_up(self) -> None:
        """CANCEL; the endpoint has answered the INVITE with 487."""
        self._house.note("cancel, 487")
        failure = SipFailure(FailureKind.CANCELLED, reason="CANCEL")
        self._last(Failed(failure))

    def hangs_up(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self._house.note("bye from caller")
        self._last(ByeReceived(Headers(tuple(headers))))

    def never_acknowledges(self) -> None:
        """32 seconds without an ACK: the endpoint sends its BYE by itself."""
        self._last(DialogEnded(SipFailure(FailureKind.TIMED_OUT, reason="no ACK")))

    def offers(self, body: bytes) -> None:
        self._hear(OfferReceived(1, body, Headers()))

    def answers_refer(self, status: int, reason: str = "") -> None:
        """The final response to the last REFER."""
        self._hear(ReferAnswered(self._refers, status, reason, Headers()))

    def notifies(self, status: int, reason: str = "", *, over: bool = True) -> None:
        """How the call goes that the caller was asked to make."""
        self._hear(ReferNotified(self._refers, status, reason, over, Headers()))

    def presses(self, keys: str) -> None:
        """INFO requests."""
        for key in keys:
            body = f"Signal={key}\r\nDuration=160\r\n".encode()
            self._hear(InfoReceived("application/dtmf-relay", Headers(), body))

    # ── what is done to it ───────────────────────────────────────────────────

    def ring(self, status: int = 180, headers: Fields = (), body: bytes = b"") -> None:
        self._house.note(str(status))

    def answer(self, body: bytes, headers: Fields = ()) -> None:
        if self.status is not None:
            return
        self._house.note("200")
        self.status, self.body, self.headers = 200, body, headers
        self._dialog = DialogSnapshot(
            self.call_id,
            "<sip:us@a>;tag=ours",
            "<sip:them@b>;tag=theirs",
            "sip:gateway@198.51.100.7",
            (),
            1,
            1,
            None,
        )

    def reject(self, status: int, reason: str = "", headers: Fields = ()) -> None:
        if self.status is not None or self._over:
            return
        self._house.note(f"{status} {reason}".rstrip())
        self.status, self.reason, self.headers = status, reason, headers
        self._over = True

    def cancel(self, headers: Fields = ()) -> None:
        self.bye(headers)

    def bye(self, headers: Fields = ()) -> None:
        if self._dialog is None:
            self.reject(480, "", headers)
        elif not self._over:
            self._house.note("bye")
            self.bye_headers = headers
            asyncio.get_running_loop().call_soon(self._last, DialogEnded())

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes = b"") -> None:
        self._house.note(f"offer answered {status}")

    def offer(self, body: bytes) -> None:
        raise AssertionError("we never offer anew")

    def refer(self, refer_to: str, headers: Fields = ()) -> int:
        self._refers += 1
        self._house.note(f"refer to {refer_to}")
        return self._refers

    def respond_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        self._house.note(f"refer {refer_id} answered {status}")

    def notify_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        self._house.note(f"refer {refer_id} notified {status}")

    def snapshot(self) -> DialogSnapshot | None:
        return None if self._over else self._dialog

    def _last(self, event: SessionEvent) -> None:
        if not self._over:
            self._over = True
            hear, self._hear = self._hear, lambda _: None
            hear(event)
