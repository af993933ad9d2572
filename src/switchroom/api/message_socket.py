"""A WebSocket that carries whole messages both ways: what signal and worker sockets share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from switchroom.api.asgi import Receive, Scope, Send
from switchroom.api.websocket import abort_of
from switchroom.base.log import get_logger
from switchroom.base.outbox import TOO_SLOW

_log = get_logger("api")

LAST_WORDS = 2.0
"""Seconds that the last messages of a closed link get to leave."""

CLOSED_BY_PEER = (1000, 1001)
"""Status codes (RFC 6455, 7.4.1) of a peer that is done or goes away. A cut line has none."""


class Link(Protocol):
    """The inner end of a socket."""

    @property
    def closed_for(self) -> str | None:
        """Why there are no more messages after those that wait; None while there may be."""
        ...

    async def next(self) -> bytes | None:
        """The next message for the peer; None when the socket is to be closed."""
        ...

    async def closed(self) -> str:
        """Wait until no more messages come; the reason."""
        ...

    def receive(self, frame: bytes | str) -> None:
        """A frame of the peer."""
        ...

    def as_text(self, message: bytes) -> str:
        """A message as JSON."""
        ...


class MessageSocket:
    """One accepted WebSocket. Speaks protobuf, or JSON to a peer whose last frame was text.

    `on_end` is called with the status code as soon as the peer's end is read.
    """

    def __init__(
        self,
        link: Link,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        on_end: Callable[[int | None], None] = lambda _code: None,
    ) -> None:
        self._link = link
        self._on_end = on_end
        self._receive = receive
        self._send = send
        self._path = scope["path"]
        self._abort = abort_of(scope)
        self._json = False

    async def serve(self) -> None:
        """Carry messages until the peer or the link closes."""
        reading = asyncio.ensure_future(self._read())
        writing = asyncio.ensure_future(self._write())
        closing = asyncio.ensure_future(self._link.closed())
        tasks = (reading, writing, closing)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._link.closed_for == TOO_SLOW:
                _log.warning("socket cut off", path=self._path, reason=TOO_SLOW)
                self._abort()
            elif not reading.done():
                await asyncio.wait((writing,), timeout=LAST_WORDS)
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
        self._on_end(message.get("code"))

    async def _write(self) -> None:
        while (message := await self._link.next()) is not None:
            frame = {"text": self._link.as_text(message)} if self._json else {"bytes": message}
            try:
                await self._send({"type": "websocket.send", **frame})
            except OSError:
                # The peer has gone (ASGI: send raises OSError then); the reader hears of it.
                return

    async def _close(self) -> None:
        reason = self._link.closed_for or "closed"
        close = {"type": "websocket.close", "code": 1000, "reason": reason}
        try:
            await asyncio.wait_for(self._send(close), timeout=LAST_WORDS)
        except TimeoutError:
            # It does not read its last messages either.
            self._abort()
        except OSError:
            return
