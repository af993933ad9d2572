"""Receivers of webhooks that check with LiveKit's own code: in this process, and in Node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from livekit import api

from interop.server import KEY, SECRET

NODE_PROGRAM = Path(__file__).with_name("javascript") / "webhook_receiver.mjs"


@dataclass
class Hook:
    """A receiver: where it is, and the events that it took for genuine, as proto-JSON."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.news.set()

    async def until(self, name: str, count: int = 1) -> None:
        """Wait until an event of that name has come so many times."""
        while sum(event["event"] == name for event in self.events) < count:
            self.news.clear()
            await self.news.wait()

    def names(self, room: str) -> list[str]:
        """What was told of a room, in the order of arrival, repeats left out."""
        once = {event["id"]: event for event in self.events if event["room"]["name"] == room}
        return [event["event"] for event in once.values()]


@asynccontextmanager
async def python_receiver(port: int = 0) -> AsyncIterator[Hook]:
    """`livekit.api.WebhookReceiver` behind a socket; what it refuses is answered with 401."""
    check = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
    hook = Hook()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
                body = await reader.readexactly(int(headers["content-length"]))
                token = head.split("Authorization: ")[1].split("\r\n")[0]
                event = check.receive(body.decode(), token)
                hook.take(json_format.MessageToDict(event))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    hook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/livekit"
    try:
        yield hook
    finally:
        server.close()


@asynccontextmanager
async def node_receiver() -> AsyncIterator[Hook]:
    """`WebhookReceiver` of livekit-server-sdk, in a Node process."""
    process = await asyncio.create_subprocess_exec(
        "node", str(NODE_PROGRAM), KEY, SECRET, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    hook = Hook(json.loads(await process.stdout.readline())["url"])

    async def read(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            hook.take(json.loads(line))

    reading = asyncio.create_task(read(process.stdout))
    try:
        yield hook
    finally:
        process.kill()
        await process.wait()
        await reading
