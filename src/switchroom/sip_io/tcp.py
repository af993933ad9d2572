"""TCP and TLS connections for SIP: bounded in number, in what they buffer and in idle time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Container
from functools import partial
from typing import Final, cast

from switchroom.base.clock import Clock
from switchroom.sip.flows import Address, Flow
from switchroom.sip.targets import Hop
from switchroom.sip_io.addresses import is_ipv6
from switchroom.sip_io.tls import NO_TLS_ANSWER, describe_tls_error
from switchroom.sip_io.tls_listener import TlsListener
from switchroom.sip_io.udp import describe_error

_HANDSHAKE_PATIENCE: Final = 5.0
_PING_AFTER: Final = 60.0
"""Seconds without a byte after which a connection of ours says that it is still there: NATs and
firewalls forget what is silent for a few minutes."""
_PING: Final = b"\r\n\r\n"
_WRITE_LIMIT: Final = 1024 * 1024
_IDLE_LIMIT: Final = 600.0
_STALLED_LIMIT: Final = 32.0
"""How long a message may take to arrive: 64*T1, the longest its sender would wait for us."""
_TOTAL_LIMIT: Final = 2_000
_PER_PEER_LIMIT: Final = 100


class TcpConnections:
    """Connections in both directions; one that exists to an address is used again (RFC 5923)."""

    def __init__(
        self,
        clock: Clock,
        sent_by: Callable[[str, Address], Address],
        on_open: Callable[[], None],
        on_data: Callable[[Flow, bytes], None],
        on_lost: Callable[[Flow, str], None],
    ) -> None:
        """``sent_by`` gives what Via and Contact say for a transport and a local address.

        From ``on_open`` on, ``sweep`` wants to be called now and then.
        """
        self.clock = clock
        self.sent_by = sent_by
        self.on_open = on_open
        self.on_data = on_data
        self._on_lost = on_lost
        self._servers: list[asyncio.Server] = []
        self._tls_listeners: list[TlsListener] = []
        self.open: dict[int, Connection] = {}
        """Those that are open, by number."""
        self._by_remote: dict[tuple[str, Address, str], Connection] = {}
        """By transport, address, and (TLS) the name that the peer's certificate is good for."""
        self._taken = 0
        self._per_peer: Counter[str] = Counter()
        """Connections by the peer's address, with the TLS handshakes that may become some."""
        self._numbers = 0

    async def listen(self, ip: str, port: int, tls: ssl.SSLContext | None = None) -> Address:
        """Accept connections (raises OSError). Returns the address with the real port."""
        sock = _tcp_socket(ip)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_ipv6(ip):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((ip, port))
            local: Address = sock.getsockname()[:2]
            await self._serve(sock, tls)
        except OSError:
            sock.close()
            raise
        return local

    async def _serve(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        if tls is not None:
            listener = TlsListener(sock, self.enter, partial(self._shake_hands, tls))
            listener.start()
            self._tls_listeners.append(listener)
            return
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self, "tcp"), sock=sock, backlog=128)
        self._servers.append(server)

    async def _shake_hands(self, tls: ssl.SSLContext, sock: socket.socket, ip: str) -> None:
        connection = Connection(self, "tls", placed=True)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, sock, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_PATIENCE
            )
        except OSError:
            pass  # no TLS, none that suits us, none in time, or gone: there is nobody to tell
        finally:
            if connection.flow is None:
                self.leave(ip)

    def existing(self, hop: Hop) -> Flow | None:
        """The flow of an open connection that leads there."""
        name = hop.name.lower() if hop.transport == "tls" else ""
        connection = self._by_remote.get((hop.transport, (hop.ip, hop.port), name))
        return connection.flow if connection is not None and not connection.closing else None

    def is_open(self, flow: Flow) -> bool:
        """Whether a connection is still there."""
        connection = self.open.get(flow.connection)
        return connection is not None and not connection.closing

    async def connect(self, hop: Hop, patience: float, tls: ssl.SSLContext | None = None) -> Flow:
        """A new connection (raises OSError with a message for the call's failure).

        ``tls`` is for hops over TLS: the peer's certificate must be valid for the hop's name.
        """
        loop = asyncio.get_running_loop()
        name = hop.name.lower() or hop.ip if tls else ""
        connected = False
        try:
            async with asyncio.timeout(patience):
                sock = await _connected_socket(hop)
                connected = True
                _, protocol = await loop.create_connection(
                    lambda: Connection(self, hop.transport, name, ours=True),
                    sock=sock,
                    ssl=tls,
                    server_hostname=name or None,
                )
        except TimeoutError:
            raise OSError(NO_TLS_ANSWER if connected else "connection timed out") from None
        except OSError as error:
            raise OSError(_why_not(error, connected=connected)) from None
        if protocol.flow is None:
            raise OSError("too many connections")
        return protocol.flow

    def send(self, flow: Flow, data: bytes) -> str | None:
        """Queue bytes. Returns what went wrong if it is known at once."""
        connection = self.open.get(flow.connection)
        if connection is None:
            return "connection closed"
        return connection.send(data)

    def close(self, flow: Flow) -> None:
        """Close a connection after what was queued has left."""
        connection = self.open.get(flow.connection)
        if connection is not None:
            connection.close()

    def sweep(
        self,
        now: float,
        unfinished: Callable[[Flow], int],
        *,
        in_use: bool,
        held: Container[int] = (),
    ) -> None:
        """Close what has been silent for ten minutes, or owes us the rest of a message for 32 s.

        ``in_use``: there are calls, so connections that we made are kept alive. ``held``: numbers
        of those that calls go by, which may be silent: there may be no other way to the peer.
        """
        for number, connection in list(self.open.items()):
            if connection.flow is not None:
                is_held = number in held
                connection.check(now, unfinished(connection.flow) > 0, in_use, held=is_held)

    async def stop(self) -> None:
        """Close everything."""
        for server in self._servers:
            server.close()
        for listener in self._tls_listeners:
            await listener.aclose()
        for connection in list(self.open.values()):
            connection.close()
        self._servers.clear()
        self._tls_listeners.clear()

    def enter(self, ip: str) -> bool:
        """Take a place for a connection; ``False`` if there are too many, in all or of this peer's.

        Whoever is in before it is admitted (a handshake) leaves by itself if it never is.
        """
        if self._taken >= _TOTAL_LIMIT or self._per_peer[ip] >= _PER_PEER_LIMIT:
            return False
        self._taken += 1
        self._per_peer[ip] += 1
        return True

    def leave(self, ip: str) -> None:
        """Give a place back."""
        self._taken -= 1
        self._per_peer[ip] -= 1
        if not self._per_peer[ip]:
            del self._per_peer[ip]

    def admit(self, local: Address, remote: Address, connection: Connection) -> Flow | None:
        """A connection was made; ``None`` if there are too many."""
        if not connection.placed and not self.enter(remote[0]):
            return None
        self._numbers += 1
        flow = Flow(
            connection.transport_name,
            local,
            remote,
            self.sent_by(connection.transport_name, local),
            self._numbers,
            connection.name,
        )
        self.open[flow.connection] = connection
        self._by_remote[flow.transport, remote, flow.name] = connection
        return flow

    def lost(self, connection: Connection, reason: str) -> None:
        """A connection is closed."""
        flow = connection.flow
        if flow is None or self.open.pop(flow.connection, None) is None:
            return
        key = (flow.transport, flow.remote, flow.name)
        if self._by_remote.get(key) is connection:
            del self._by_remote[key]
        self.leave(flow.remote[0])
        self._on_lost(flow, reason)


class Connection(asyncio.Protocol):
    """One TCP or TLS connection. ``name`` is what the peer's certificate must be good for."""

    def __init__(
        self,
        owner: TcpConnections,
        transport_name: str,
        name: str = "",
        *,
        ours: bool = False,
        placed: bool = False,
    ) -> None:
        """``placed``: its handshake has taken a place, which is now its own."""
        self.flow: Flow | None = None
        self.placed = placed
        self._ours = ours
        self.transport_name = transport_name
        self.name = name
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._last_heard = self._last_sent = owner.clock.monotonic()
        self._stalled_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part, or close at once if there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        local = transport.get_extra_info("sockname")
        remote = transport.get_extra_info("peername")
        if local and remote:
            self.flow = self._owner.admit(local[:2], remote[:2], self)
        if self.flow is None:
            self._transport.abort()
        else:
            self._owner.on_open()

    def data_received(self, data: bytes) -> None:
        """Some bytes of the stream."""
        self._last_heard = self._owner.clock.monotonic()
        if self.flow is not None:
            self._owner.on_data(self.flow, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by either side."""
        number = exc.errno if isinstance(exc, OSError) else None
        self._owner.lost(self, describe_error(number) if number else "connection closed")

    @property
    def closing(self) -> bool:
        """Whether either side has begun to close it, though it is not gone yet."""
        return self._transport is None or self._transport.is_closing()

    def send(self, data: bytes) -> str | None:
        """Queue bytes for the peer."""
        transport = self._transport
        if transport is None or self.closing:
            return "connection closed"
        if transport.get_write_buffer_size() + len(data) > _WRITE_LIMIT:
            # A peer that does not read must not fill our memory.
            transport.abort()
            return "peer does not read"
        transport.write(data)
        self._last_sent = self._owner.clock.monotonic()
        return None

    def close(self) -> None:
        """Close after what was queued has left."""
        if self._transport is not None:
            self._transport.close()

    def check(self, now: float, unfinished: bool, in_use: bool, *, held: bool) -> None:
        """Close if idle or stalled for too long; else see that it stays open (RFC 5626 3.5.1)."""
        if not unfinished:
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now
        stalled = self._stalled_since is not None and now - self._stalled_since >= _STALLED_LIMIT
        idle = now - self._last_heard >= _IDLE_LIMIT and not held
        if self._transport and (stalled or idle):
            self._transport.abort()
        elif (
            self._ours
            and in_use
            and min(now - self._last_heard, now - self._last_sent) >= _PING_AFTER
        ):
            self.send(_PING)


def _tcp_socket(ip: str) -> socket.socket:
    # Only where the protocol is named does asyncio switch off Nagle's waiting.
    family = socket.AF_INET6 if is_ipv6(ip) else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)


async def _connected_socket(hop: Hop) -> socket.socket:
    sock = _tcp_socket(hop.ip)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (hop.ip, hop.port))
    except BaseException:
        sock.close()
        raise
    return sock


def _why_not(error: OSError, *, connected: bool) -> str:
    words = describe_tls_error(error)
    if words is None:
        words = describe_error(error.errno) if error.errno else str(error) or "connection closed"
        if connected:
            # A connection without TLS is ready as soon as it stands.
            words = f"TLS handshake failed: {words}"
    return words
