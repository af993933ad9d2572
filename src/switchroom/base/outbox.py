"""Messages on their way to one socket: in order, bounded, and with a named end."""

from __future__ import annotations

import asyncio
from collections import deque

MAX_MESSAGES = 1024
MAX_BYTES = 4 * 1024 * 1024

TOO_SLOW = "client does not read its signal messages"


class Outbox:
    """A queue from a session to the socket that serves it at the moment.

    A client that stops reading is cut off: what has piled up is dropped, the outbox is closed for
    the reason TOO_SLOW, and the client may resume, since a resumed session is told everything anew.
    """

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._end = asyncio.Event()
        self.closed_for: str | None = None

    def put(self, message: bytes) -> None:
        """Queue a message; without effect once closed."""
        if self.closed_for is not None:
            return
        self._waiting.append(message)
        self._bytes += len(message)
        self._news.set()
        if len(self._waiting) > self._max_messages or self._bytes > self._max_bytes:
            self._waiting.clear()
            self.close(TOO_SLOW)

    def close(self, reason: str) -> None:
        """No more messages; those that wait are still delivered. The first reason counts."""
        if self.closed_for is None:
            self.closed_for = reason
            self._news.set()
            self._end.set()

    async def get(self) -> bytes | None:
        """The next message, None once the outbox is closed and empty."""
        while not self._waiting:
            if self.closed_for is not None:
                return None
            self._news.clear()
            await self._news.wait()
        message = self._waiting.popleft()
        self._bytes -= len(message)
        return message

    async def closed(self) -> str:
        """Wait for the end; why it came."""
        await self._end.wait()
        return self.closed_for or ""
