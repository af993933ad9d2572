"""The carrier: takes calls by SIP and lets phones have them, and places the calls of its phones.

It asks for a password where one is set (407), looks the dialled number up, and gives the call to
the phone's script. A number of three digits from 400 to 699 is refused with that status, whatever
it is; a number that nobody has is refused with 404.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from switchroom.base.records import record, replace
from switchroom.base.tasks import Tasks
from switchroom.phonenet import events
from switchroom.phonenet.dialling import DialledCall
from switchroom.phonenet.directory import Directory, Phone
from switchroom.phonenet.facilities import Facilities
from switchroom.phonenet.media_port import MediaPort
from switchroom.phonenet.messages import MessageFolder
from switchroom.phonenet.orders import CallOrder, OrderError
from switchroom.phonenet.outgoing import OutgoingDialog, SipLine, invite_of, pressing, tell
from switchroom.phonenet.phones import refusing
from switchroom.phonenet.script import CallInfo, PhoneCall, run_script
from switchroom.sip.digest_server import DigestServer
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import split_host_port
from switchroom.sip.invite_session import (
    Acknowledged,
    ByeReceived,
    DialogEnded,
    Failed,
    FailureKind,
    IncomingInviteSession,
    OfferReceived,
    SessionEvent,
)
from switchroom.sip.message import Request

REALM = "phonenet"

_MOST_CALLS = 500
"""Phones that can be busy at once. Sound in all of them would take five cores, and has but one."""

_AFTER_CALLS_SECONDS = 3.0
"""How long a carrier that is stopped waits for last words to be understood and messages kept."""


@record
class Login:
    """What callers must know; an empty username lets everybody in."""

    username: str = ""
    password: str = ""

    def password_of(self, username: str) -> str | None:
        return self.password if self.username and username == self.username else None


class Carrier:
    """All calls of the network.

    `open_port` binds a port for a phone's sound, at the address that a caller's host can reach.
    `messages` is where mailboxes keep what they are told, `line` places the calls of phones that
    dial.
    """

    def __init__(
        self,
        directory: Directory,
        login: Login,
        open_port: Callable[[str], Awaitable[MediaPort]],
        report: Callable[[events.Event], None],
        messages: MessageFolder,
        *,
        line: SipLine,
    ) -> None:
        self._directory = directory
        self._login = login
        self._line = line
        self._open_port = open_port
        self._report = report
        self._digest = DigestServer(secrets.token_bytes(32))
        self._tasks = Tasks("phonenet")
        self._after_calls = Tasks("phonenet after calls")
        self._facilities = Facilities(report, self._after_calls, messages)
        self._ids = itertools.count(1)
        self._now = asyncio.get_running_loop().time
        self.running = 0
        self.taken = 0

    def incoming(
        self, session: IncomingInviteSession, request: Request, source: str
    ) -> Callable[[SessionEvent], None]:
        """A call for one of the phones: starts its script and returns who hears of the dialog."""
        number = _dialled(request)
        phone = self._phone(number)
        if not self._logged_in(session, request, source, locked=phone.locked):
            return _nobody
        if self.running >= _MOST_CALLS:
            session.reject(486, "Busy Everywhere", (("Retry-After", "5"),))
            return _nobody
        info = _info(f"c{next(self._ids)}", number, request)
        self._report_call(info)
        host = source.rpartition(":")[0]
        call = PhoneCall(
            info,
            request.body,
            _Dialog(session),
            lambda: self._open_port(host),
            self._facilities,
        )
        self._run(call, phone)
        return lambda event: _tell(call, event)

    def place(self, order: CallOrder) -> None:
        """Let one of the phones dial. Raises OrderError."""
        phone = self._directory.named(order.as_)
        if phone is None:
            raise OrderError(f"there is no phone {order.as_[:40]!r}")
        if self.running >= _MOST_CALLS:
            raise OrderError("every phone is busy")
        host, _ = split_host_port(order.to)
        own_host = self._line.advertised_address_towards(host)
        invite = invite_of(order, phone.number, phone.name, own_host)
        dialog = OutgoingDialog(self._line, invite)
        info = CallInfo(f"c{next(self._ids)}", order.call, phone.number, phone.name, invite.call_id)
        call = DialledCall(info, dialog, lambda: self._open_port(host), self._facilities)
        dialog.on_event = lambda event: tell(call, event)
        self._report(
            events.Dials(
                call=info.call,
                number=order.call,
                caller=phone.number,
                name=phone.name,
                to=order.to,
                sip_call_id=invite.call_id,
            )
        )
        self._run(call, replace(phone, script=pressing(phone.script, order.press)))

    async def aclose(self) -> None:
        """End every call: BYE where somebody talks, 480 where it rings."""
        await self._tasks.aclose()
        await self._after_calls.until_idle(_AFTER_CALLS_SECONDS)
        await self._after_calls.aclose()
        await self._facilities.talking.aclose()

    def _phone(self, number: str) -> Phone:
        known = self._directory.find(number)
        if known is not None:
            return known
        is_status = len(number) == 3 and number.isascii() and number.isdigit()
        status = int(number) if is_status and "400" <= number <= "699" else 404
        locked = status in (401, 407)
        return Phone(number, "Status", refusing(status), locked=locked)

    def _logged_in(
        self, session: IncomingInviteSession, request: Request, source: str, *, locked: bool
    ) -> bool:
        if not self._login.username and not locked:
            return True
        password_of = _nobodys_password if locked else self._login.password_of
        host = source.rpartition(":")[0]
        refusal = self._digest.demand(request, host, REALM, password_of, self._now())
        if refusal is None:
            return True
        session.reject(refusal.status, refusal.phrase, refusal.headers)
        return False

    def _report_call(self, info: CallInfo) -> None:
        self._report(
            events.Called(
                call=info.call,
                number=info.number,
                caller=info.caller,
                caller_name=info.caller_name,
                sip_call_id=info.sip_call_id,
                headers=info.headers,
            )
        )

    def _run(self, call: PhoneCall, phone: Phone) -> None:
        self.taken += 1
        self.running += 1
        name = f"{call.info.call} {phone.name}"
        task = self._tasks.spawn(run_script(call, phone.script), name=name)
        task.add_done_callback(lambda _: self._done(call))
        call.on_over = lambda: _cancel_from_outside(task)

    def _done(self, call: PhoneCall) -> None:
        self.running -= 1
        # A task cancelled before its first step never saw the call.
        call.leave("network", "the network was stopped")


class _Dialog:
    """A call's SIP session as the phone's script uses it."""

    def __init__(self, session: IncomingInviteSession) -> None:
        self._session = session

    def ring(self, status: int, body: bytes) -> None:
        self._session.ring(status, (), body)

    def answer(self, body: bytes) -> None:
        self._session.answer(body)

    def reject(self, status: int, reason: str) -> None:
        self._session.reject(status, reason)

    def hang_up(self) -> None:
        self._session.bye()

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes) -> None:
        self._session.respond_offer(offer_id, status, reason, body)


def _tell(call: PhoneCall, event: SessionEvent) -> None:
    match event:
        case Acknowledged(offer_id=0, body=body):
            call.acknowledged(body)
        case OfferReceived(offer_id=offer_id, body=body):
            call.offered(offer_id, body)
        case ByeReceived():
            call.finish("caller", "hung up")
        case Failed(failure=failure) if failure.kind is FailureKind.CANCELLED:
            call.finish("caller", "gave up")
        case Failed(failure=failure) | DialogEnded(failure=failure) if failure is not None:
            call.finish("network", f"{failure.kind.value}: {failure.reason}".rstrip(": "))
        case DialogEnded():
            call.finish("phone", "hung up")
        case _:
            pass


def _cancel_from_outside(task: asyncio.Task[None]) -> None:
    """A script that ended its own call may go on; one whose caller left is cancelled."""
    if asyncio.current_task() is not task:
        task.cancel()


def _nobody(_event: SessionEvent) -> None:
    """Hears of calls that no phone has."""


def _nobodys_password(_username: str) -> str | None:
    return None


def _dialled(request: Request) -> str:
    """The number, without escapes and parameters such as ``;phone-context`` (RFC 3966)."""
    try:
        user = request.uri.user or ""
    except MalformedValueError:
        return ""
    return unquote(user).partition(";")[0]


def _info(call: str, number: str, request: Request) -> CallInfo:
    caller = request.from_
    return CallInfo(
        call=call,
        number=number,
        caller=caller.uri.user or "",
        caller_name=caller.display or "",
        sip_call_id=request.call_id,
        headers={k: v for k, v in request.headers.fields if k.lower().startswith("x-")},
    )
