"""The HTTP of the listener: uvicorn's, but for how an answer is written, how idleness is timed and
how long a head may be.

uvicorn writes the head of an answer and its body one after the other, and uvloop sends what is
written at once: two system calls and two packets for what fits into one. It sets and cancels a
timer for each request, and has none for a client that falls silent before its request is complete.
And a head may be as long as memory is, and any number of requests may wait behind one another.
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


HEAD_LIMIT = 256 * 1024
"""Bytes of a request's head: a whole offer in its query and the longest token fit twice."""


PIPELINE_LIMIT = 100
"""Requests that may wait behind the one being answered. A kilobyte holds fifty, as objects they are
a hundred times as large; no client that we know has more than one."""


class HttpProtocol(httptools_impl.HttpToolsProtocol):
    """One connection. A timer that runs while requests come is let be, and set again when due."""

    _idle_since: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _upgraded = False
    #: Bytes that came since the last head was complete, or the last piece of a body came.
    _unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there, and has said nothing yet."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._watch(self.timeout_keep_alive)

    def data_received(self, data: bytes) -> None:
        """A part of a request, or several."""
        self._unread += len(data)
        super().data_received(data)
        if self._upgraded or self.transport.is_closing():
            return
        if self._unread > HEAD_LIMIT:
            self._refuse_head()
        elif self._awaits_client():
            self._idle_since = self.loop.time()
            if self._idle_timer is None:
                self._watch(self.timeout_keep_alive)

    def on_headers_complete(self) -> None:
        """A head is read."""
        self._unread = 0
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINE_LIMIT:
            # The parser stops at this alone.
            raise ValueError("too many requests at once")

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP, or too much of it."""
        if self._answering():
            self.transport.close()
        else:
            super().send_400_response(msg)

    def on_body(self, body: bytes) -> None:
        """A piece of a body is read; what ends a body in chunks (trailers) counts as a head."""
        self._unread = 0
        super().on_body(body)

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is another protocol's."""
        self._upgraded = True
        self._stop_watching()
        super().handle_websocket_upgrade()

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
        self._stop_watching()

    def _unset_keepalive_if_required(self) -> None:
        """Told by uvicorn: the connection is idle no longer."""
        self._idle_since = None

    def _answering(self) -> bool:
        """Whether an answer is to come, before which nothing else can be said."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _awaits_client(self) -> bool:
        """Whether a request, or the rest of one, is to come."""
        return self.cycle.more_body if self._answering() else True

    def _refuse_head(self) -> None:
        if not self._answering():
            lines = (STATUS_LINE[431], b"content-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.write(b"".join(lines))
        self.transport.close()

    def _stop_watching(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _watch(self, seconds: float) -> None:
        self._idle_timer = self.loop.call_later(seconds, self._look_whether_idle)

    def _look_whether_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._watch(left)
        elif self.transport.get_write_buffer_size():
            # It does not even read its last answer; closing would wait for that.
            self.transport.abort()
        else:
            self.transport.close()
