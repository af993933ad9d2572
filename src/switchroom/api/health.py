"""`GET /`: the health check of load balancers and of livekit-server's users."""

from __future__ import annotations

from collections.abc import Callable

from switchroom.api.asgi import Receive, Scope, Send, respond_text


class Health:
    """Answers 200 `OK` while the server is ready, else 406 as livekit-server does."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the readiness is asked each time."""
        if self._is_ready():
            await respond_text(scope, send, 200, "OK")
        else:
            await respond_text(scope, send, 406, "Not Ready")
