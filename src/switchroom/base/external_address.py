"""Asks STUN servers for the address that others see (`rtc.use_external_ip`)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from .stun import binding_request, mapped_address

PUBLIC_SERVERS = ("stun.l.google.com:19302", "stun1.l.google.com:19302")
"""Asked where the configuration names none, as livekit-server does."""

_TRIES = 3
_WAIT = 1.0
"""Seconds until a request is repeated; three tries a server, as livekit-sip does."""

_PORT = 3478


class AddressUnknown(Exception):
    """No server told; the message says who was asked and what to do."""


async def external_address(local_ip: str, servers: Sequence[str] = ()) -> str:
    """The address that packets from ``local_ip`` have elsewhere. Raises AddressUnknown."""
    asked = tuple(servers) or PUBLIC_SERVERS
    for server in asked:
        found = await _ask(local_ip, server)
        if found is not None:
            return found
    raise AddressUnknown(
        "rtc.use_external_ip: no STUN server told the external address "
        f"({', '.join(asked)} asked from {local_ip}); set rtc.node_ip to it"
    )


async def _ask(local_ip: str, server: str) -> str | None:
    host, colon, port = server.removeprefix("stun:").rpartition(":")
    transaction = secrets.token_bytes(12)
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Lookup(transaction, answered),
            local_addr=(local_ip, 0),
            remote_addr=(host or port, int(port) if colon else _PORT),
        )
    except (OSError, ValueError):
        return None
    try:
        for _ in range(_TRIES):
            transport.sendto(binding_request(transaction))
            await asyncio.wait((answered,), timeout=_WAIT)
            if answered.done():
                return answered.result()
    finally:
        transport.close()
    return None


class _Lookup(asyncio.DatagramProtocol):
    def __init__(self, transaction: bytes, answered: asyncio.Future[str]) -> None:
        self._transaction = transaction
        self._answered = answered

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Whatever comes to this port; only the answer counts."""
        found = mapped_address(data, self._transaction)
        if found is not None and not self._answered.done():
            self._answered.set_result(found)
