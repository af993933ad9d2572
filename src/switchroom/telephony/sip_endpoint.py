"""The SIP endpoint that telephony needs. `sip_io` has it; tests have a scripted one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import (
    IncomingInviteSession,
    InviteSession,
    OutgoingInvite,
    SessionEvent,
)
from switchroom.sip.message import Request
from switchroom.sip.sanity import Refusal
from switchroom.sip.uas_core import Admit

Taker = Callable[[IncomingInviteSession, Request, str], Callable[[SessionEvent], None]]
"""(session, INVITE, source as ``ip:port``) → who hears the events of this call."""


class SipEndpoint(Protocol):
    """Places and takes calls. Events come in the event loop, never from inside `invite` itself."""

    def local_address_towards(self, host: str) -> str:
        """The IP address of ours that packets to `host` leave from: where to bind its media."""
        ...

    def advertised_address_of(self, local_ip: str) -> str:
        """The IP address that peers reach `local_ip` at, for From and SDP: a NAT's, behind one."""
        ...

    def invite(
        self, invite: OutgoingInvite, on_event: Callable[[SessionEvent], None]
    ) -> InviteSession:
        """Dial. Network trouble comes as an event; raises LocalSipError for unfit text."""
        ...

    async def end_orphan(self, snapshot: DialogSnapshot) -> None:
        """Send BYE in a dialog of an earlier process; returns when it was answered or given up."""
        ...

    def set_incoming_handler(self, handler: Taker | None, *, admit: Admit | None = None) -> None:
        """Who takes calls from outside. `admit` is asked before anything is kept of one."""
        ...

    def demand_login(
        self,
        request: Request,
        flow: Flow,
        realm: str,
        password_of: Callable[[str], str | None],
        *,
        status: int = 407,
    ) -> Refusal | None:
        """None for an INVITE that is logged in, else the challenge to answer it with."""
        ...
