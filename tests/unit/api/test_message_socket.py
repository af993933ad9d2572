"""A WebSocket that carries whole messages."""

from __future__ import annotations

import asyncio
from typing import Any

from switchroom.api.message_socket import MessageSocket


class SilentLink:
    """A link with nothing to say, which never closes."""

    closed_for = None

    async def next(self) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async def closed(self) -> str:
        await asyncio.Event().wait()
        return ""

    def receive(self, frame: bytes | str) -> None:
        raise AssertionError(frame)

    def as_text(self, message: bytes) -> str:
        raise AssertionError(message)


async def test_the_end_of_a_peer_is_told_before_anything_else_that_comes_after_it() -> None:
    """A worker that stops closes its socket first; then its agents leave over theirs."""
    frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    order: list[object] = []

    async def send(_message: object) -> None:
        raise AssertionError

    scope = {"type": "websocket", "path": "/agent"}
    socket = MessageSocket(SilentLink(), scope, frames.get, send, on_end=order.append)
    serving = asyncio.ensure_future(socket.serve())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    frames.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
    asyncio.get_running_loop().call_soon(order.append, "what its agents say")
    await serving
    assert order == [1000, "what its agents say"]
