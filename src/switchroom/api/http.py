"""The HTTP of the listener: uvicorn's, but for how an answer is written.

uvicorn writes the head of an answer and its body one after the other, and uvloop sends what is
written at once: two system calls and two packets for what fits into one.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection."""

    def on_headers_complete(self) -> None:
        """A request is about to be served."""
        before = self.cycle
        super().on_headers_complete()
        cycle = self.cycle
        # A client that waits for "100 Continue" is written to before its answer.
        if cycle is not before and not cycle.waiting_for_100_continue:
            cycle.transport = cast("asyncio.Transport", _HeadWithBody(self.transport))


class _HeadWithBody:
    """What one answer is written to: keeps the first write, its head, until the second."""

    __slots__ = ("_head", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: Any = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        head = self._head
        if head is None:
            self._head = data
            return
        self._head = b""
        self._transport.write(head + data)

    def close(self) -> None:
        """What was written is sent before."""
        if self._head:
            self.write(b"")
        self._transport.close()
