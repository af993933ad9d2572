"""`/metrics`: figures for Prometheus, on a port of their own."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable

from switchroom.api.asgi import Receive, Scope, Send, header, respond, respond_text
from switchroom.base.config_settings import PrometheusSettings
from switchroom.base.metrics import CONTENT_TYPE, Figures

_CHALLENGE = ((b"www-authenticate", b'Basic realm="metrics"'),)


class Metrics:
    """Serves the figures; every path answers, as livekit-server's port does."""

    def __init__(
        self,
        figures: Figures,
        settings: PrometheusSettings,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        """`refresh` brings those figures up to date that must be asked for."""
        self._figures = figures
        self._refresh = refresh
        self._expected = (
            f"{settings.username}:{settings.password}".encode() if settings.username else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await respond_text(scope, send, 405, "method not allowed")
            return
        if not self._admits(header(scope, b"authorization") or ""):
            await respond(scope, send, 401, b"", content_type=b"text/plain", extra=_CHALLENGE)
            return
        await self._refresh()
        await respond(scope, send, 200, self._figures.text(), content_type=CONTENT_TYPE)

    def _admits(self, authorization: str) -> bool:
        if self._expected is None:
            return True
        scheme, _, credentials = authorization.partition(" ")
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(given, self._expected)
