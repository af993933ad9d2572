"""A scripted carrier in the place of the SIP endpoint: it does what the scenario says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.digest_server import DigestServer
from switchroom.sip.flows import Flow
from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import (
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    Fields,
    InviteSession,
    OfferReceived,
    OutgoingInvite,
    Provisional,
    ReferAnswered,
    ReferNotified,
    ReferReceived,
    SessionEvent,
    SipFailure,
)
from switchroom.sip.message import Request
from switchroom.sip.sanity import Refusal
from switchroom.sip.uas_core import Admit
from switchroom.sip.uri import NameAddr
from switchroom.telephony.sip_endpoint import Taker

Note = Callable[[str], None]


def answer_sdp(codecs: str = "0 101", direction: str = "sendrecv", port: int = 4000) -> bytes:
    """A phone's session description."""
    return (
        "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codecs}\r\na=rtpmap:101 telephone-event/8000\r\n"
        f"a={direction}\r\n"
    ).encode()


class ScriptedCall:
    """One INVITE at the carrier. Keeps the promises of `sip.invite_session.InviteSession`."""

    def __init__(
        self, invite: OutgoingInvite, on_event: Callable[[SessionEvent], None], note: Note
    ) -> None:
        self.invite = invite
        self.call_id = invite.call_id
        self.remote = "192.0.2.9:5060"
        self.answers_cancel_with_200 = False
        self.bye_headers: Fields = ()
        self.cancel_headers: Fields = ()
        self.refer_headers: Fields = ()
        self._on_event = on_event
        self._note = note
        self._dialog: DialogSnapshot | None = None
        self._over = False
        self._ending = False
        self._refers = 0

    # ── what the carrier does ────────────────────────────────────────────────

    def says(self, status: int, reason: str = "", headers: Fields = (), body: bytes = b"") -> None:
        """A provisional response, with early media if it has a body."""
        self._tell(Provisional(status, reason, Headers(headers), body))

    def answers(self, body: bytes | None = None, headers: Fields = ()) -> None:
        """200, acknowledged."""
        self._note("200")
        self._dialog = DialogSnapshot(
            self.call_id,
            f"<sip:us@a>;tag={self.invite.local_tag}",
            "<sip:them@b>;tag=far",
            "sip:them@198.51.100.7",
            (),
            2,
            None,
            None,
        )
        known = (("To", "<sip:them@b>;tag=far"), ("Call-ID", self.call_id), *headers)
        said = answer_sdp() if body is None else body
        self._tell(Answered(200, "OK", Headers(known), said, "far"))

    def refuses(self, status: int, reason: str, headers: Fields = (), body: bytes = b"") -> None:
        """A final 3xx-6xx."""
        self.fails(SipFailure(FailureKind.REJECTED, status, reason, Headers(headers), body))

    def fails(self, failure: SipFailure) -> None:
        self._last(Failed(failure))

    def hangs_up(self, headers: Fields = ()) -> None:
        """BYE from the phone."""
        self._note("bye from phone")
        self._last(ByeReceived(Headers(headers)))

    def answers_refer(self, status: int, reason: str = "", headers: Fields = ()) -> None:
        """The final response to the last REFER."""
        self._tell(ReferAnswered(self._refers, status, reason, Headers(headers)))

    def notifies(self, status: int | None, reason: str = "", *, over: bool = False) -> None:
        """How the call goes that the phone was asked to make."""
        self._tell(ReferNotified(self._refers, status, reason, over, Headers()))

    def wants_transfer(self, refer_to: str) -> None:
        """A REFER from the phone."""
        self._tell(ReferReceived(1, NameAddr.parse(refer_to), Headers()))

    def offers(self, body: bytes) -> None:
        """A re-INVITE."""
        self._tell(OfferReceived(1, body, Headers()))

    # ── what is done to it ───────────────────────────────────────────────────

    def cancel(self, headers: Fields = ()) -> None:
        if self._dialog is not None:
            self.bye(headers)
            return
        if self._ending or self._over:
            return
        self._ending = True
        self.cancel_headers = headers
        self._note("cancel")
        if self.answers_cancel_with_200:
            self._note("200 crosses, ack and bye")
        self._soon(Failed(SipFailure(FailureKind.CANCELLED)))

    def bye(self, headers: Fields = ()) -> None:
        if self._dialog is None:
            self.cancel(headers)
            return
        if self._ending or self._over:
            return
        self._ending = True
        self.bye_headers = headers
        self._note("bye")
        self._dialog = replace(self._dialog, local_cseq=self._dialog.local_cseq + 1)
        self._soon(DialogEnded())

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes = b"") -> None:
        direction = next(
            (line[2:] for line in body.decode().splitlines() if line.endswith(("only", "active"))),
            "sendrecv" if body else "",
        )
        self._note(f"offer answered {status} {direction}".rstrip())

    def offer(self, body: bytes) -> None:
        raise AssertionError("we never offer anew")

    def refer(self, refer_to: str, headers: Fields = ()) -> int:
        """The peer hears it; what it makes of it, the scenario says."""
        self._refers += 1
        self.refer_headers = headers
        self._note(f"refer to {refer_to}")
        return self._refers

    def respond_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        self._note(f"refer {refer_id} answered {status}")

    def notify_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        self._note(f"refer {refer_id} notified {status}")

    def snapshot(self) -> DialogSnapshot | None:
        return None if self._over else self._dialog

    def _tell(self, event: SessionEvent) -> None:
        assert not self._over, "nothing follows the last event"
        self._on_event(event)

    def _last(self, event: SessionEvent) -> None:
        self._tell_last(event)

    def _soon(self, event: SessionEvent) -> None:
        asyncio.get_running_loop().call_soon(self._tell_last, event)

    def _tell_last(self, event: SessionEvent) -> None:
        if not self._over:
            self._over = True
            tell, self._on_event = self._on_event, _nobody
            tell(event)


def _nobody(_event: SessionEvent) -> None:
    """After the last event there is no listener any more."""


class ScriptedCarrier:
    """The SIP endpoint. Each INVITE waits in `calls`."""

    def __init__(self, note: Note) -> None:
        self.calls: list[ScriptedCall] = []
        self.orphans: list[DialogSnapshot] = []
        self.advertised = "192.0.2.1"
        self.incoming: Taker | None = None
        self.admit: Admit | None = None
        self._digest = DigestServer(b"secret of the scenario")
        self._note = note

    @property
    def call(self) -> ScriptedCall:
        """The last one."""
        return self.calls[-1]

    def local_address_towards(self, host: str) -> str:
        return "192.0.2.1"

    def advertised_address_of(self, local_ip: str) -> str:
        return self.advertised

    def invite(
        self, invite: OutgoingInvite, on_event: Callable[[SessionEvent], None]
    ) -> InviteSession:
        self._note("invite")
        call = ScriptedCall(invite, on_event, self._note)
        self.calls.append(call)
        return call

    async def end_orphan(self, snapshot: DialogSnapshot) -> None:
        self.orphans.append(snapshot)
        self._note("bye to orphan")

    def set_incoming_handler(self, handler: Taker | None, *, admit: Admit | None = None) -> None:
        self.incoming, self.admit = handler, admit

    def demand_login(
        self,
        request: Request,
        flow: Flow,
        realm: str,
        password_of: Callable[[str], str | None],
        *,
        status: int = 407,
    ) -> Refusal | None:
        now = asyncio.get_running_loop().time()
        source = flow.remote[0]
        return self._digest.demand(request, source, realm, password_of, now, status=status)
