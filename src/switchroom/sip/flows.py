"""Flows: between which addresses a message travels, and the Via rules that depend on it."""

from __future__ import annotations

from functools import lru_cache

from switchroom.base.records import record, replace
from switchroom.sip.grammar import Params
from switchroom.sip.message import Request

Address = tuple[str, int]
"""IP address as text (IPv6 without brackets) and port."""


@record
class Flow:
    """A pair of addresses over one transport: a UDP socket and a peer, or one connection."""

    transport: str
    """``udp``, ``tcp`` or ``tls``."""
    local: Address
    remote: Address
    sent_by: Address
    """Where we can be reached: the host and listening port of our Via and Contact."""
    connection: int = 0
    """Number of the connection, to tell apart connections between the same addresses; 0 for UDP."""
    name: str = ""
    """What the peer's certificate was found valid for; empty where it was not looked at."""

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself, so that we must not (section 17.1)."""
        return self.transport != "udp"

    @property
    def peer(self) -> str:
        """``ip:port`` of the other side."""
        return "{}:{}".format(*self.remote)

    def via(self, branch: str) -> str:
        """Our Via value for a request on this flow; always asks for rport (RFC 3581 section 3)."""
        here = _host_port(self.sent_by)
        return f"SIP/2.0/{self.transport.upper()} {here};rport;branch={branch}"

    def contact(self, user: str | None, *, secure: bool = False) -> str:
        """Our Contact value: where requests of this dialog reach us.

        ``secure``: in a dialog of ``sips`` URIs (section 8.1.1.8).
        """
        here = _host_port(self.sent_by)
        at = f"{user}@" if user else ""
        if secure:
            return f"<sips:{at}{here}>"
        transport = f";transport={self.transport}" if self.reliable else ""
        return f"<sip:{at}{here}{transport}>"


def bracketed(host: str) -> str:
    """``host`` as it stands in a URI: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


@lru_cache(maxsize=64)
def _host_port(address: Address) -> str:
    """An address as it stands in Via and Contact: the same few in every message of ours."""
    host, port = address
    return f"{bracketed(host)}:{port}"


def stamp_via(request: Request, flow: Flow) -> str:
    """The topmost Via of ``request`` with what the server has to note in it.

    ``received`` where the sent-by host is not the source address (section 18.2.1), and both
    ``received`` and ``rport`` where the client asked for rport (RFC 3581 section 4).
    """
    via = request.via
    host, port = flow.remote
    params: Params = tuple(param for param in via.params if param[0] not in ("received", "rport"))
    if via.wants_rport:
        params = (*params, ("received", host), ("rport", str(port)))
    elif via.host.strip("[]").lower() != host.lower():
        params = (*params, ("received", host))
    return str(replace(via, params=params))


def reply_flow(request: Request, flow: Flow) -> Flow:
    """Where the responses to a request go (section 18.2.2, RFC 3581 section 4).

    On a connection: back on the same one. Over UDP: to the source address, and to the source port
    if rport was asked for, else to the port of sent-by.
    """
    if flow.reliable or request.via.wants_rport:
        return flow
    port = request.via.sent_by[1]
    return flow if port == flow.remote[1] else replace(flow, remote=(flow.remote[0], port))
