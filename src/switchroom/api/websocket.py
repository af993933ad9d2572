"""The WebSockets of the listener: uvicorn's, but for clients that do not read.

uvicorn ends a connection by closing its transport, which first sends what waits; towards a client
that does not read that is never. Here such a connection is dropped instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from switchroom.api.asgi import Scope

_ABORT = "switchroom.abort"

# Seconds that a client gets, once we have closed, to read what was sent and to close as well.
_LINGER = 5.0


def abort_of(scope: Scope) -> Callable[[], None]:
    """What drops a WebSocket at once, with everything that was not sent yet."""
    found = scope.get("extensions", {}).get(_ABORT)
    abort: Callable[[], None] = found["call"] if found else lambda: None
    return abort


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    _linger: asyncio.TimerHandle | None = None

    async def run_asgi(self) -> None:
        """Serve the connection; afterwards it is gone within a bounded time."""
        extensions: Any = self.scope["extensions"]
        extensions[_ABORT] = {"call": self.transport.abort}
        await super().run_asgi()
        if not self.disconnected:
            self._linger = self.loop.call_later(_LINGER, self.transport.abort)

    async def send(self, message: Any) -> None:
        """Send for the application."""
        await super().send(message)
        if self.close_sent and self.initial_response is not None:
            # A refusal in plain HTTP is a complete answer; uvicorn would call it a fault.
            self.handshake_complete = True

    def keepalive_timeout(self) -> None:
        """No answer to a ping: no close frame will be read either."""
        super().keepalive_timeout()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        if self._linger is not None:
            self._linger.cancel()
        super().connection_lost(exc)
