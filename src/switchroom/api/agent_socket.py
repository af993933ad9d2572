"""The door of agent workers: the WebSocket `/agent`."""

from __future__ import annotations

from collections.abc import Mapping

from switchroom.agents.dispatcher import Dispatcher
from switchroom.agents.worker_link import WorkerLink
from switchroom.api.asgi import AsgiApp, Receive, Scope, Send, claims_of, respond_text
from switchroom.api.message_socket import CLOSED_BY_PEER, MessageSocket
from switchroom.auth.grants import PermissionDenied, require_agent


class AgentSockets:
    """Serves agent workers."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    @property
    def routes(self) -> Mapping[str, AsgiApp]:
        """The application by its path, for `server.build_app`."""
        return {"/agent": self._socket}

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await respond_text(scope, send, 404, "404 page not found")
            return
        await receive()
        claims = claims_of(scope)
        try:
            require_agent(claims)
        except PermissionDenied as refusal:
            await respond_text(scope, send, 401, refusal.message)
            return
        link = WorkerLink(self._dispatcher, claims.api_key if claims else "")
        try:
            await send({"type": "websocket.accept"})
            await MessageSocket(
                link,
                scope,
                receive,
                send,
                # At once: the agents of a worker that stops leave in the next moment.
                on_end=lambda code: link.lost(stopped=code in CLOSED_BY_PEER),
            ).serve()
        finally:
            link.lost()
