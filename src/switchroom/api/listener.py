"""The TCP port: uvicorn inside the server's own event loop.

The process is the server's, not uvicorn's: signals, logs and the order of stopping are decided in
`app.py`, and a port that is taken is an error with a name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence

import uvicorn
import websockets.http11

from switchroom.api.asgi import AsgiApp
from switchroom.api.http import HttpProtocol
from switchroom.api.websocket import WebSocketProtocol

# The largest signal message (LiveKit's limit for one WebSocket message), in bytes.
_WEBSOCKET_MESSAGE_LIMIT = 2 * 1024 * 1024

# The longest line of an upgrade request, in bytes: `join_request` is a whole offer in the query,
# and a token in a header may carry 64 KiB of attributes. The library has a constant, and no
# argument, for it; beyond its 8 KiB it would drop the request without an answer.
_UPGRADE_LINE_LIMIT = 128 * 1024
websockets.http11.MAX_LINE_LENGTH = _UPGRADE_LINE_LIMIT

# Seconds between WebSocket pings, and until a peer that answers none is given up.
_WEBSOCKET_PING_INTERVAL = 10.0
_WEBSOCKET_PING_TIMEOUT = 20.0

# Seconds after which an idle connection is closed. Clients keep theirs for 15 (aiohttp) to 90 (Go);
# if we close one, a request that is sent in that moment is lost, and nobody repeats a POST.
_IDLE_LIMIT = 120

# Seconds that open requests get to be answered once the listener stops.
_GRACE = 3


class ListenError(OSError):
    """A listening address that can't be had; the message names it."""


class HttpListener:
    """Serves one ASGI application on a TCP port, at one or several addresses."""

    def __init__(
        self,
        app: AsgiApp,
        addresses: Sequence[str],
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        """With `tls`, HTTPS and WSS. `trusted_proxies` may say who the client is."""
        self._addresses = tuple(addresses)
        self._port = port
        self.secure = tls is not None
        self._server = _Server(_settings(app, tls, trusted_proxies))
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on; the one chosen by the system where 0 was asked for."""
        return self._port

    @property
    def open_connections(self) -> int:
        """How many clients are connected, with whatever they speak."""
        return len(self._server.server_state.connections)

    async def start(self) -> None:
        """Listen. Returns when connections are accepted. Raises ListenError."""
        sockets = self._bind()
        self._serving = asyncio.get_running_loop().create_task(
            self._server.serve(sockets), name="http"
        )
        ready = asyncio.ensure_future(self._server.ready.wait())
        await asyncio.wait((self._serving, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            self._serving.result()

    async def stop(self) -> None:
        """Stop accepting, let open requests be answered for a few seconds, close."""
        if self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._serving = None

    def _bind(self) -> list[socket.socket]:
        bound: list[socket.socket] = []
        for address in self._addresses:
            try:
                listening = _listening_socket(address, self._port)
            except OSError as failure:
                for other in bound:
                    other.close()
                raise _listen_error(address, self._port, failure) from failure
            bound.append(listening)
            # With port 0 the first address chooses for all.
            self._port = listening.getsockname()[1]
        return bound


class _Server(uvicorn.Server):
    """uvicorn without its hold on the process: no signal handlers, and it says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _settings(
    app: AsgiApp, tls: ssl.SSLContext | None, trusted_proxies: Sequence[str]
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
        # Written out, because uvicorn would else read the list from the environment.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        # Told, because uvicorn would take a method for an application of ASGI 2.
        interface="asgi3",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=_WEBSOCKET_MESSAGE_LIMIT,
        ws_ping_interval=_WEBSOCKET_PING_INTERVAL,
        ws_ping_timeout=_WEBSOCKET_PING_TIMEOUT,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_LIMIT,
        timeout_graceful_shutdown=_GRACE,
    )


def _listening_socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off on what is accepted; without, an
    # answer in two writes waits 40 ms for the peer's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address, port))
        listening.listen(2048)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _listen_error(address: str, port: int, failure: OSError) -> ListenError:
    if failure.errno == errno.EADDRINUSE:
        return ListenError(f"TCP port {port} on {address} is in use: stop its user, or set port")
    if failure.errno == errno.EADDRNOTAVAIL:
        return ListenError(f"{address} is not an address of this machine: correct bind_addresses")
    return ListenError(f"can't listen on TCP port {port} of {address}: {failure.strerror}")
