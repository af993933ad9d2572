"""The one HTTP application on port 7880: Twirp, signal sockets, health.

Plain ASGI. Twirp and the signal sockets are what is called often, so nothing stands between them
and the door; what else is served by path is handed in as `routes`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping

from switchroom.api.asgi import AsgiApp, Receive, Scope, Send, respond_text
from switchroom.api.door import Door
from switchroom.api.twirp import PREFIX, Observer, Service, TwirpRouter
from switchroom.auth.tokens import TokenVerifier
from switchroom.base.clock import Clock


def build_app(
    *,
    tokens: TokenVerifier,
    clock: Clock,
    services: Iterable[Service],
    routes: Mapping[str, AsgiApp],
    observe: Observer | None = None,
) -> AsgiApp:
    """Put the application together.

    `services` are the Twirp services; `routes` maps exact paths such as `/rtc/v1` to applications
    that serve HTTP and WebSocket alike (see `signal_socket.SignalSockets.routes`), and beginnings
    such as `/v1/calls/` to those that serve every path below. `observe` hears how each call of the
    services went.
    """
    return Door(_Application(TwirpRouter(services, clock, observe), routes), tokens, clock)


class _Application:
    def __init__(self, twirp: TwirpRouter, routes: Mapping[str, AsgiApp]) -> None:
        self._twirp = twirp
        self._routes = dict(routes)
        # "/" is a path of its own, and no beginning.
        self._below = tuple(path for path in routes if path.endswith("/") and path != "/")

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return _lifespan(receive, send)
        path = scope["path"]
        if scope["type"] == "http" and path.startswith(PREFIX):
            return self._twirp(scope, receive, send)
        route = self._routes.get(path) or self._route_below(path)
        if route is None:
            return respond_text(scope, send, 404, "404 page not found")
        return route(scope, receive, send)

    def _route_below(self, path: str) -> AsgiApp | None:
        return next((self._routes[begin] for begin in self._below if path.startswith(begin)), None)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Starting and stopping is app.py's business; the server only wants to hear of it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
