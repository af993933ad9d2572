"""How the server is, for load balancers, orchestrators and livekit-server's users.

| path | says |
|---|---|
| ``/``, ``/healthz`` | 200 while calls and clients are served, else 406, as livekit-server does |
| ``/livez`` | 200 while the process answers and can carry sound: restart it only if it does not |
| ``/readyz`` | 200, 429 while new calls are refused for load, else 503: send no calls |
| any, on ``health_port`` | as ``/readyz``, as livekit-sip does |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from switchroom.api.asgi import AsgiApp, Receive, Scope, Send, respond_text


class Condition(Enum):
    """How the server is: the words of livekit-sip's health port, and its statuses."""

    STARTING = ("NotStarted", 503)
    READY = ("OK", 200)
    BUSY = ("UnderLoad", 429)
    DRAINING = ("Draining", 503)
    BROKEN = ("MediaFailed", 503)
    """No call can be carried any more, and only another process will help."""


class Health:
    """The health checks; the condition is asked each time."""

    def __init__(self, condition: Callable[[], Condition]) -> None:
        self._condition = condition

    @property
    def routes(self) -> Mapping[str, AsgiApp]:
        """The applications by path, for `server.build_app`."""
        return {
            "/": self._serving,
            "/healthz": self._serving,
            "/livez": self._alive,
            "/readyz": self.ready,
        }

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whether new calls are welcome."""
        words, status = self._condition().value
        await respond_text(scope, send, status, words)

    async def _serving(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._condition() in (Condition.READY, Condition.BUSY):
            await respond_text(scope, send, 200, "OK")
        else:
            await respond_text(scope, send, 406, "Not Ready")

    async def _alive(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._condition() is Condition.BROKEN:
            await respond_text(scope, send, 503, "MediaFailed")
        else:
            await respond_text(scope, send, 200, "OK")
