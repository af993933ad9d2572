"""The door of agent workers: the WebSocket `/agent`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from switchroom.agents.dispatcher import Dispatcher
from switchroom.agents.protocol import as_json
from switchroom.agents.worker_link import WorkerLink
from switchroom.api.asgi import AsgiApp, Receive, Scope, Send, claims_of, respond_text
from switchroom.auth.grants import PermissionDenied, require_agent

_LAST_WORDS = 2.0
"""Seconds that the last messages to a worker get to leave."""


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
            await _Socket(link, receive, send).serve()
        finally:
            link.lost()


class _Socket:
    """One accepted WebSocket. Speaks protobuf, or JSON to a worker whose last frame was text."""

    def __init__(self, link: WorkerLink, receive: Receive, send: Send) -> None:
        self._link = link
        self._receive = receive
        self._send = send
        self._json = False

    async def serve(self) -> None:
        """Carry messages until the worker or the server closes."""
        reading = asyncio.ensure_future(self._read())
        writing = asyncio.ensure_future(self._write())
        closing = asyncio.ensure_future(self._link.closed())
        tasks = (reading, writing, closing)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait((writing,), timeout=_LAST_WORDS)
                await self._close()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        while (message := await self._receive())["type"] == "websocket.receive":
            data = message.get("bytes")
            self._json = data is None
            self._link.receive(message.get("text") or "" if data is None else data)

    async def _write(self) -> None:
        while (message := await self._link.next()) is not None:
            frame = {"text": as_json(message)} if self._json else {"bytes": message}
            try:
                await self._send({"type": "websocket.send", **frame})
            except OSError:
                # The worker has gone (ASGI: send raises OSError then); the reader hears of it.
                return

    async def _close(self) -> None:
        reason = self._link.closed_for or "closed"
        close = {"type": "websocket.close", "code": 1000, "reason": reason}
        # The worker may be deaf, or gone already.
        with suppress(TimeoutError, OSError):
            await asyncio.wait_for(self._send(close), timeout=_LAST_WORDS)
