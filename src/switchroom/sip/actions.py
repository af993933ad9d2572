"""What the endpoint asks of the driver."""

from __future__ import annotations

from typing import NamedTuple

from switchroom.sip.flows import Flow


class Send(NamedTuple):
    """Put ``data`` on ``flow``. Whatever prevents it is reported with ``Endpoint.flow_failed``."""

    flow: Flow
    data: bytes
    call_id: str


class Reach(NamedTuple):
    """Find a flow to a host; answered by ``Endpoint.reached`` or ``Endpoint.unreachable``.

    The driver resolves the name, picks one of our addresses, and connects or re-uses a connection.
    """

    ticket: int
    host: str
    """Name or IP address (IPv6 without brackets)."""
    port: int | None
    """``None``: the URI named none, so the default of the transport, or what SRV says."""
    transport: str


class CloseFlow(NamedTuple):
    """Close a connection after what was sent on it has left."""

    flow: Flow


Action = Send | Reach | CloseFlow
