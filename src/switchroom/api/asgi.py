"""The few ASGI moves that several doors share: header look-up, plain responses, bounded bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from switchroom.auth.grants import Claims

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

BODY_LIMIT = 10 * 1024 * 1024
"""Bytes of a request body; LiveKit's limit."""

CLAIMS = "switchroom.claims"
"""Scope key under which the door leaves the verified claims (None without a token)."""

_TEXT = b"text/plain; charset=utf-8"


class BodyTooLarge(Exception):
    """The body grew beyond its limit."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers by their (lower-case) names; of those that come twice, the first."""
    return dict(reversed(scope["headers"]))


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that (lower-case) name, or None."""
    found = headers_of(scope).get(name)
    return None if found is None else found.decode("latin-1")


def claims_of(scope: Scope) -> Claims | None:
    """The verified claims of the request, None when it carried no token."""
    claims: Claims | None = scope.get(CLAIMS)
    return claims


async def respond(
    scope: Scope, send: Send, status: int, body: bytes, *, content_type: bytes, extra: Headers = ()
) -> None:
    """Answer an HTTP request, or refuse a WebSocket upgrade with an ordinary HTTP response."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        *extra,
    ]
    prefix = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        prefix = "websocket.http.response"
    await send({"type": f"{prefix}.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": body})


def respond_text(scope: Scope, send: Send, status: int, text: str) -> Awaitable[None]:
    """Answer with plain text, the form of every refusal outside Twirp."""
    return respond(scope, send, status, text.encode(), content_type=_TEXT)


async def read_body(receive: Receive, limit: int = BODY_LIMIT) -> bytes:
    """The whole request body, of `limit` bytes at most.

    Raises BodyTooLarge, or ClientGone when the client left first.
    """
    first = await receive()
    if first["type"] != "http.request":
        raise ClientGone
    body: bytes = first.get("body", b"")
    if not first.get("more_body", False):
        if len(body) > limit:
            raise BodyTooLarge
        return body
    parts = bytearray(body)
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts += message.get("body", b"")
        if len(parts) > limit:
            raise BodyTooLarge
        more = message.get("more_body", False)
    return bytes(parts)
