"""The way of one request: its targets, one after the other (RFC 3263 section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from switchroom.base.ip_addresses import is_ip
from switchroom.sip.flows import Flow
from switchroom.sip.invite_session import FailureKind, SipFailure
from switchroom.sip.targets import (
    DEFAULT_PORTS,
    MOST_HOPS,
    Hop,
    Penalties,
    for_size,
    same_flow,
)
from switchroom.sip.uri import Uri

_SHORT: Final = 2.0
_LONG: Final = 5.0
"""Seconds to wait for a connection, where there are other targets and where there are none."""

_NO_MORE: Final = SipFailure(FailureKind.TRANSPORT, reason="no more targets")
_NO_ADDRESS: Final = SipFailure(FailureKind.DNS, reason="no address")

Reached = Callable[[Flow | SipFailure, float], None]
Located = Callable[[Sequence[Hop] | SipFailure, float], None]


class Net(Protocol):
    """What a way needs of the endpoint."""

    penalties: Penalties
    udp_limit: int

    def locate(self, host: str, port: int | None, transport: str | None, then: Located) -> None:
        """Find the addresses of a name."""
        ...

    def connect(self, hop: Hop, instead: Flow | None, patience: float, then: Reached) -> None:
        """Find or make a flow to an address."""
        ...


class Way:
    """From a URI to a flow, and to the next one if that leads nowhere."""

    def __init__(
        self, net: Net, uri: Uri, transport: str | None, *, flow: Flow | None = None, size: int = 0
    ) -> None:
        """``transport`` is what to use if the URI names none. ``flow`` is that of the dialog,
        ``size`` the bytes of the request as far as known."""
        self._net = net
        self._uri = uri
        self._wanted = uri.transport or transport
        self._flow = flow
        self._size = size
        self._hops: list[Hop] | None = None
        self._current: Hop | None = None

    @property
    def more(self) -> bool:
        """Whether there are targets that were not tried."""
        return bool(self._hops)

    def blame(self, now: float, seconds: float = 30.0) -> None:
        """The target tried last is no good."""
        if self._current is not None:
            self._net.penalties.blame(self._current, now, seconds)

    def praise(self) -> None:
        """The target tried last is alive."""
        if self._current is not None:
            self._net.penalties.forgive(self._current)

    def next(self, then: Reached, now: float) -> None:
        """Call ``then`` with a flow to the next target that can be connected, or with the last
        failure; now or later."""
        if self._hops is not None:
            self._try(_NO_MORE, then, now)
            return
        transport, problem = self._transport()
        if problem:
            then(SipFailure(FailureKind.TRANSPORT, reason=problem), now)
            return
        host, port = (self._uri.param("maddr") or self._uri.host).strip("[]"), self._uri.port
        if is_ip(host):
            # Sections 4.1 and 4.2: UDP unless another is asked for, and nothing to look up.
            by = transport or "udp"
            self._arrange((Hop(by, host, port or DEFAULT_PORTS[by], host),), transport, now)
            self._try(_NO_ADDRESS, then, now)
            return

        def located(result: Sequence[Hop] | SipFailure, at: float) -> None:
            if isinstance(result, SipFailure):
                then(result, at)
                return
            self._arrange(result, transport, at)
            self._try(_NO_ADDRESS, then, at)

        self._net.locate(host, port, transport, located)

    def _transport(self) -> tuple[str | None, str]:
        """The one that is asked for (``None``: any), or why there is none."""
        scheme, wanted = self._uri.scheme, self._wanted
        if scheme == "sips":
            # Section 26.2.2: TLS, or nothing.
            return "tls", "" if wanted in (None, "tcp", "tls") else f"sips over {wanted}"
        if scheme != "sip":
            return None, f"no way to a {scheme} URI"
        if wanted is not None and wanted not in DEFAULT_PORTS:
            return None, f"transport {wanted} not available"
        return wanted, ""

    def _arrange(self, hops: Sequence[Hop], transport: str | None, now: float) -> None:
        fitting = list(hops)
        if transport is None:
            fitting = for_size(fitting, self._size, self._net.udp_limit)
        named = self._flow.name if self._flow is not None else ""
        if named:
            # A Contact that is a bare address: the certificate is the one of whom we called.
            fitting = [
                hop._replace(name=named) if hop.transport == "tls" and is_ip(hop.name) else hop
                for hop in fitting
            ]
        self._hops = self._net.penalties.sort(fitting, now)[:MOST_HOPS]

    def _try(self, failure: SipFailure, then: Reached, now: float) -> None:
        if not self._hops:
            then(failure, now)
            return
        hop = self._current = self._hops.pop(0)
        instead = same_flow(hop, self._flow)
        if instead is not None and not instead.reliable:
            # There is nothing to connect, and nothing that could have been closed.
            then(instead, now)
            return

        def connected(result: Flow | SipFailure, at: float) -> None:
            if isinstance(result, SipFailure):
                self._net.penalties.blame(hop, at)
                self._try(result, then, at)
            else:
                then(result, at)

        self._net.connect(hop, instead, _SHORT if self._hops else _LONG, connected)
