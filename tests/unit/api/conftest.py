"""An HTTP client that talks ASGI to the application, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from switchroom.api.asgi import AsgiApp
from switchroom.api.server import build_app
from switchroom.api.twirp import Service
from switchroom.auth.grants import Claims, VideoGrants
from switchroom.auth.tokens import TokenVerifier, mint

KEY, SECRET = "devkey", "secret"


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def unix_ns(self) -> int:
        return int((1_800_000_000 + self.now) * 1e9)


@dataclass
class Reply:
    """What the application answered."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Sends one request at a time to an ASGI application."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.hang_up = asyncio.Event()

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        chunks: list[bytes] | None = None,
    ) -> Reply:
        route, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": route,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        parts = chunks if chunks is not None else [body]
        reply = Reply()

        async def receive() -> dict[str, Any]:
            if parts:
                part = parts.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(parts)}
            await self.hang_up.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                reply.body += message.get("body", b"")

        await self._app(scope, receive, send)
        return reply


def token(**video: Any) -> str:
    """A token with these video grants, in Python spelling."""
    claims = Claims(KEY, "ann", video=VideoGrants(**video), expires_at=4e9)
    return mint(claims, SECRET)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve(clock: Clock) -> Callable[..., Client]:
    """Builds the application around services and routes and returns its client."""

    def build(*services: Service, routes: Mapping[str, AsgiApp] | None = None) -> Client:
        tokens = TokenVerifier({KEY: SECRET}, clock)
        return Client(build_app(tokens=tokens, clock=clock, services=services, routes=routes or {}))

    return build
