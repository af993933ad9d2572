"""Finding the way for the endpoint: names to addresses, addresses to sockets and connections."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from switchroom.base.clock import Clock
from switchroom.base.tasks import Tasks
from switchroom.sip.actions import Connect, Locate
from switchroom.sip.endpoint import Endpoint
from switchroom.sip.flows import Address
from switchroom.sip.invite_session import FailureKind
from switchroom.sip.targets import Hop
from switchroom.sip_io.addresses import choose_local
from switchroom.sip_io.dns import Dns
from switchroom.sip_io.errors import ResolveError, SipStartError
from switchroom.sip_io.locator import Locator
from switchroom.sip_io.resolver import Resolver
from switchroom.sip_io.tcp import TcpConnections
from switchroom.sip_io.tls import TlsConfig, client_context
from switchroom.sip_io.udp import UdpSockets

_ROUTE_LIFE: Final = 5.0
_ROUTES_KEPT: Final = 1_024


class Reaching:
    """Performs Locate and Connect. What takes time is done in tasks, which then call ``pump``."""

    def __init__(
        self,
        endpoint: Endpoint,
        udp: UdpSockets,
        tcp: TcpConnections,
        clock: Clock,
        tasks: Tasks,
        *,
        bound: list[Address],
        tls: TlsConfig,
        dns_servers: Sequence[Address],
        pump: Callable[[], None],
    ) -> None:
        """``bound``: our addresses, which may still grow."""
        self._endpoint = endpoint
        self._udp = udp
        self._tcp = tcp
        self._clock = clock
        self._tasks = tasks
        self._bound = bound
        self._tls = tls
        self._pump = pump
        self._resolver = Resolver(clock)
        self._locator = Locator(
            self._resolver,
            Dns(clock, dns_servers),
            lambda largest: secrets.randbelow(largest + 1),
        )
        self._client_context: ssl.SSLContext | None = None
        self._routes: dict[str, tuple[float, Address | None]] = {}
        self._connecting: dict[Hop, list[int]] = {}

    def known(self, host: str) -> tuple[str, ...]:
        """Addresses of a name from a recent look-up; empty if there was none."""
        return self._resolver.known(host)

    def local_towards(self, ip: str) -> Address | None:
        """Which of our addresses packets to ``ip`` leave from."""
        # Asking the routing table costs a socket; routes change seldom.
        now = self._clock.monotonic()
        known = self._routes.get(ip)
        if known is None or known[0] < now:
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            known = self._routes[ip] = (now + _ROUTE_LIFE, choose_local(self._bound, ip))
        return known[1]

    def close(self) -> None:
        """Start no further look-ups."""
        self._resolver.close()

    # ── names ──

    def locate(self, action: Locate) -> None:
        """Find the addresses of a name."""
        self._tasks.spawn(self._ask_dns(action), name=f"locate {action.host}")

    async def _ask_dns(self, action: Locate) -> None:
        try:
            hops = await self._locator.locate(action.host, action.port, action.transport)
        except ResolveError as error:
            self._unreachable(action.ticket, FailureKind.DNS, str(error))
        else:
            usable = [hop for hop in hops if self.local_towards(hop.ip) is not None]
            self._endpoint.located(action.ticket, usable or hops, self._clock.monotonic())
        self._pump()

    # ── addresses ──

    def connect(self, action: Connect) -> None:
        """Find or make a flow."""
        hop = action.hop
        if hop.transport != "udp":
            self._connect_stream(action)
            return
        local = self.local_towards(hop.ip)
        flow = self._udp.flow(local, (hop.ip, hop.port)) if local is not None else None
        if flow is None:
            self._unreachable(action.ticket, FailureKind.TRANSPORT, "no address of that IP version")
        else:
            self._endpoint.reached(action.ticket, flow, self._clock.monotonic())

    def _connect_stream(self, action: Connect) -> None:
        hop, flow = action.hop, action.instead
        if flow is None or not self._tcp.is_open(flow):
            flow = self._tcp.existing(hop)
        if flow is not None:
            self._endpoint.reached(action.ticket, flow, self._clock.monotonic())
            return
        waiting = self._connecting.setdefault(hop, [])
        waiting.append(action.ticket)
        if len(waiting) == 1:
            self._tasks.spawn(self._open_connection(hop, action.patience), name="connect")

    async def _open_connection(self, hop: Hop, patience: float) -> None:
        try:
            tls = self._client_tls() if hop.transport == "tls" else None
            flow = await self._tcp.connect(hop, patience, tls)
        except (OSError, SipStartError) as error:
            for ticket in self._connecting.pop(hop, ()):
                self._unreachable(ticket, FailureKind.TRANSPORT, str(error))
        else:
            for ticket in self._connecting.pop(hop, ()):
                self._endpoint.reached(ticket, flow, self._clock.monotonic())
        self._pump()

    def _client_tls(self) -> ssl.SSLContext:
        # Made when first needed: reading the system's authorities takes tens of milliseconds.
        if self._client_context is None:
            self._client_context = client_context(self._tls)
        return self._client_context

    def _unreachable(self, ticket: int, kind: FailureKind, reason: str) -> None:
        self._endpoint.unreachable(ticket, kind, reason, self._clock.monotonic())
