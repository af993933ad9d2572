"""A phone's call into the world: the INVITE that an order asks for, and what comes of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Protocol

from switchroom.base.records import replace
from switchroom.phonenet.dialling import DialledCall
from switchroom.phonenet.orders import CallOrder, OrderError
from switchroom.phonenet.script import PhoneCall, Script
from switchroom.sip.digest import Credentials
from switchroom.sip.errors import SipError
from switchroom.sip.grammar import split_host_port
from switchroom.sip.invite_session import (
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    InviteSession,
    OfferReceived,
    OutgoingInvite,
    Provisional,
    SessionEvent,
)
from switchroom.sip.uri import NameAddr, Uri

_BEFORE_KEYS = 1.0
"""Seconds between the answer and the first key of an order."""

Hear = Callable[[SessionEvent], None]


class SipLine(Protocol):
    """What places calls: `sip_io`'s driver."""

    def invite(self, invite: OutgoingInvite, on_event: Hear) -> InviteSession: ...
    def advertised_address_towards(self, host: str) -> str: ...


def invite_of(order: CallOrder, number: str, name: str, own_host: str) -> OutgoingInvite:
    """The INVITE without its body. Raises OrderError for headers that cannot be written."""
    try:
        host, port = split_host_port(order.to)
        target = Uri.sip(order.call, host, port)
        caller = Uri.sip(number, f"[{own_host}]" if ":" in own_host else own_host)
    except SipError as error:
        raise OrderError(str(error)) from error
    return OutgoingInvite(
        call_id=secrets.token_hex(16),
        local_tag=secrets.token_hex(8),
        request_uri=target,
        to=NameAddr(target),
        from_=NameAddr(caller, name),
        headers=tuple(order.headers.items()),
        credentials=Credentials(order.username, order.password) if order.username else None,
        transport="udp",
    )


class OutgoingDialog:
    """A dialog that one of our phones opens: the phone's `Dialler`."""

    def __init__(self, line: SipLine, invite: OutgoingInvite) -> None:
        self._line = line
        self._invite = invite
        self._session: InviteSession | None = None
        self.on_event: Hear = lambda _: None

    def dial(self, offer: bytes) -> None:
        """Raises LocalSipError for headers that cannot be written."""
        invite = replace(self._invite, body=offer)
        self._session = self._line.invite(invite, self.on_event)

    def give_up(self) -> None:
        if self._session is not None:
            self._session.cancel()

    def hang_up(self) -> None:
        if self._session is not None:
            self._session.bye()

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes) -> None:
        if self._session is not None:
            self._session.respond_offer(offer_id, status, reason, body)


def tell(call: DialledCall, event: SessionEvent) -> None:
    """What the SIP session says, to the phone."""
    match event:
        case Provisional(status=status) if status >= 180:
            call.rings(status)
        case Answered(body=body):
            call.picked_up(body)
        case OfferReceived(offer_id=offer_id, body=body):
            call.offered(offer_id, body)
        case ByeReceived():
            call.finish("callee", "hung up")
        case Failed(failure=failure) if failure.status is not None:
            call.refused(failure.status, failure.reason)
        case Failed(failure=failure) | DialogEnded(failure=failure) if failure is not None:
            call.finish("network", f"{failure.kind.value}: {failure.reason}".rstrip(": "))
        case DialogEnded():
            call.finish("phone", "hung up")
        case _:
            pass


def pressing(script: Script, keys: str) -> Script:
    """A phone's script that presses keys first, once the call is answered."""
    if not keys:
        return script

    async def press(call: PhoneCall) -> None:
        await call.answer()
        await call.wait(_BEFORE_KEYS)
        await call.press(keys)
        await script(call)

    return press
