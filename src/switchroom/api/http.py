"""The HTTP of the listener: uvicorn's, but for how an answer is written.

uvicorn writes the head of an answer and its body one after the other, and uvloop sends what is
written at once: two system calls and two packets for what fits into one.
"""

from __future__ import annotations

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
        """Whether the answer is all there, and its head says of which length it is."""
        if message.get("more_body") or self.scope["method"] == "HEAD":
            return False
        length = (b"content-length", b"%d" % len(message.get("body", b"")))
        return length in head["headers"] and head["status"] not in (204, 304)

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

HttpProtocol = httptools_impl.HttpToolsProtocol
