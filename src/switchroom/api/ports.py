"""Every TCP port that speaks HTTP: the public one, its twin over TLS, figures, health."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from switchroom.api.asgi import AsgiApp
from switchroom.api.listener import HttpListener
from switchroom.base.certificates import ServerCertificate
from switchroom.base.config import Config
from switchroom.base.node_address import LOOPBACK
from switchroom.base.records import record

_EVERYWHERE = ("0.0.0.0", "::")


@record
class Applications:
    """What the ports serve."""

    public: AsgiApp
    metrics: AsgiApp
    health: AsgiApp


class HttpPorts:
    """The listeners that the configuration asks for."""

    def __init__(
        self, config: Config, apps: Applications, certificate: ServerCertificate | None
    ) -> None:
        self._bind = config.bind_addresses
        tls = certificate.context if certificate is not None else None
        aside = config.https.port if tls is not None else 0
        proxies = config.trusted_proxies
        self._main = HttpListener(
            apps.public,
            self._bind,
            config.port,
            tls=None if aside else tls,
            trusted_proxies=proxies,
        )
        self._listeners = [self._main]
        if aside:
            self._listeners.append(
                HttpListener(apps.public, self._bind, aside, tls=tls, trusted_proxies=proxies)
            )
        for app, port in (
            (apps.metrics, config.prometheus.port),
            (apps.health, config.health_port),
        ):
            if port:
                self._listeners.append(HttpListener(app, self._bind, port))
        self._running = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where clients on this machine find the server: ``http://host:port``."""
        host = LOOPBACK if self._bind[0] in _EVERYWHERE else self._bind[0]
        scheme = "https" if self._main.secure else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._main.port}"

    @property
    def listeners(self) -> Sequence[HttpListener]:
        """All of them, the public one first."""
        return tuple(self._listeners)

    async def start(self) -> None:
        """Listen on every port; on none if one can't be had. Raises ListenError."""
        async with AsyncExitStack() as starting:
            for listener in self._listeners:
                await listener.start()
                starting.push_async_callback(listener.stop)
            self._running = starting.pop_all()

    async def stop(self) -> None:
        """Stop all of them, the public one last."""
        await self._running.aclose()
