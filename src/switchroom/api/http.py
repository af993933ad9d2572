"""The HTTP of the listener: uvicorn's, but for how an answer is written and how idleness is timed.

uvicorn writes the head of an answer and its body one after the other, and uvloop sends what is
written at once: two system calls and two packets for what fits into one. And it sets and cancels a
timer for each request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


class _Exchange(RequestResponseCycle):
    """One request and its answer. The head waits for the body, and goes out with it."""

    _head: Any = None

    async def send(self, message: Any) -> None:
        """An ASGI message of the application."""
        if message["type"] == "http.response.start" and not self.response_started:
            # One that waits already is left out: its body failed, and this tells of it.
            self._head = message
            return
        head, self._head = self._head, None
        if head is not None and self._is_whole(head, message):
            if self.flow.write_paused and not self.disconnected:
                await self.flow.drain()
            if not self.disconnected:
                self._answer(head, message.get("body", b""))
            return
        if head is not None:
            await super().send(head)
        await super().send(message)

    def _is_whole(self, head: Any, message: Any) -> bool:
        """Whether the answer is all there, and its head says how long it is and no more."""
        if message.get("more_body") or self.scope["method"] == "HEAD":
            return False
        headers = head["headers"]
        length = (b"content-length", b"%d" % len(message.get("body", b"")))
        if length not in headers or (b"connection", b"close") in headers:
            return False
        return head["status"] not in (204, 304)

    def _answer(self, head: Any, body: bytes) -> None:
        headers = [*self.default_headers, *head["headers"]]
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        lines = [STATUS_LINE[head["status"]]]
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        if b"".join(lines).count(b"\n") != len(headers) + 1:
            raise RuntimeError("a header of the answer holds a line break")
        lines += (b"\r\n", body)
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(lines))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


# uvicorn has a name in its module, and no argument, for what serves a request.
httptools_impl.RequestResponseCycle = _Exchange  # type: ignore[misc]


class HttpProtocol(httptools_impl.HttpToolsProtocol):
    """One connection. A timer that runs while requests come is let be, and set again when due."""

    _idle_since: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None

    def on_response_complete(self) -> None:
        """An answer is out; another request may wait, or the connection is idle."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._watch(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        super().connection_lost(exc)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _unset_keepalive_if_required(self) -> None:
        """Told by uvicorn: the connection is idle no longer."""
        self._idle_since = None

    def _watch(self, seconds: float) -> None:
        self._idle_timer = self.loop.call_later(seconds, self._look_whether_idle)

    def _look_whether_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._watch(left)
        else:
            self.transport.close()
