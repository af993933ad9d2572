"""What the endpoint asks of the driver."""

from __future__ import annotations

from typing import NamedTuple

from switchroom.sip.flows import Flow
from switchroom.sip.targets import Hop


class Send(NamedTuple):
    """Put ``data`` on ``flow``. Whatever prevents it is reported with ``Endpoint.flow_failed``."""

    flow: Flow
    data: bytes
    call_id: str


class Locate(NamedTuple):
    """Find the addresses of a name; answered by ``Endpoint.located`` or ``Endpoint.unreachable``.

    The driver asks DNS as RFC 3263 says and gives them in the order to try them.
    """

    ticket: int
    host: str
    port: int | None
    """``None``: the URI named none, so what SRV says, or the default of the transport."""
    transport: str | None
    """``None``: any that the host has; UDP if it does not say."""


class Connect(NamedTuple):
    """Find a flow to an address; answered by ``Endpoint.reached`` or ``Endpoint.unreachable``.

    The driver picks one of our addresses, and connects or re-uses a connection.
    """

    ticket: int
    hop: Hop
    instead: Flow | None
    """A connection to use in its place as long as it is open."""
    patience: float
    """Seconds that connecting may take."""


class CloseFlow(NamedTuple):
    """Close a connection after what was sent on it has left."""

    flow: Flow


Action = Send | Locate | Connect | CloseFlow
