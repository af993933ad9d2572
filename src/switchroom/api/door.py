"""What every HTTP request and WebSocket passes first: CORS, path repair, size, token.

The order is livekit-server's. A token that is present must be valid; whether one is needed is for
the service behind to say.
"""

from __future__ import annotations

from collections.abc import Awaitable
from urllib.parse import parse_qs

from switchroom.api.asgi import (
    BODY_LIMIT,
    CLAIMS,
    AsgiApp,
    Message,
    Receive,
    Scope,
    Send,
    header,
    headers_of,
    respond,
    respond_text,
)
from switchroom.auth.grants import Claims
from switchroom.auth.tokens import TokenRefused, TokenVerifier
from switchroom.base.clock import Clock
from switchroom.base.log import get_logger
from switchroom.base.pace import Allowance, Pace

_log = get_logger("api")

_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
)
_BEARER = "Bearer "
_TOLD_REFUSALS = Allowance(rate=1.0, burst=10.0)


class Door:
    """ASGI middleware around the whole application."""

    def __init__(self, inside: AsgiApp, tokens: TokenVerifier, clock: Clock) -> None:
        self._inside = inside
        self._tokens = tokens
        self._clock = clock
        self._pace = Pace(_TOLD_REFUSALS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it; never lets a failure out with its cause."""
        if scope["type"] not in ("http", "websocket"):
            await self._inside(scope, receive, send)
            return
        reply = _Reply(send)
        try:
            await self._admit(scope, receive, reply)
        except Exception as failure:  # noqa: BLE001 - the last door: nothing may leak to the caller
            _log.error("request failed", path=scope["path"], exc_info=failure)
            if not reply.started:
                await respond_text(scope, reply, 500, "internal error")

    def _admit(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            return _answer_preflight(scope, send)
        # Some clients join a base URL that ends in a slash with "/rtc".
        if scope["path"].startswith("//"):
            scope["path"] = scope["path"][1:]
        headers = headers_of(scope)
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared[:20]) > BODY_LIMIT:
            return respond_text(scope, send, 413, "request body too large")
        try:
            scope[CLAIMS] = self._claims(scope, headers.get(b"authorization", b""))
        except TokenRefused as refused:
            self._tell(scope, refused)
            return respond_text(scope, send, 401, str(refused))
        return self._inside(scope, receive, send)

    def _tell(self, scope: Scope, refused: TokenRefused) -> None:
        """Whoever guesses keys is seen, and can't fill the disk with it."""
        if self._pace.allows(self._clock.monotonic()):
            client = (scope.get("client") or ("",))[0]
            _log.warning("token refused", client=client, path=scope["path"], why=str(refused))

    def _claims(self, scope: Scope, authorization: bytes) -> Claims | None:
        if authorization:
            given = authorization.decode("latin-1")
            if not given.startswith(_BEARER):
                raise TokenRefused("invalid authorization header. Must start with " + _BEARER)
            return self._tokens.verify(given.removeprefix(_BEARER))
        query = scope["query_string"]
        if b"access_token=" not in query:
            return None
        token = parse_qs(query.decode("latin-1")).get("access_token", [""])[0]
        return self._tokens.verify(token) if token else None


class _Reply:
    """Puts the CORS headers on whatever response is sent, and notes that one was begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    def __call__(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            message["headers"] = [*message.get("headers", ()), *_CORS]
            self.started = True
        elif kind in ("websocket.accept", "websocket.close"):
            self.started = True
        return self._send(message)


def _answer_preflight(scope: Scope, send: Send) -> Awaitable[None]:
    """Fetch standard, CORS-preflight: any origin, any request header, for a day."""
    asked = header(scope, b"access-control-request-headers") or "*"
    return respond(
        scope,
        send,
        204,
        b"",
        content_type=b"text/plain",
        extra=(
            (b"access-control-allow-methods", b"OPTIONS, HEAD, GET, POST, PATCH, DELETE"),
            (b"access-control-allow-headers", asked.encode("latin-1")),
            (b"access-control-max-age", b"86400"),
            (b"vary", b"Access-Control-Request-Headers"),
        ),
    )
