"""Listening for SIP over TLS: a handshake takes its place among the connections before it begins.

A server of asyncio's speaks of a connection only once its handshake is over, so that whoever never
ends one would not be counted, and could have any number of them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

from switchroom.base.tasks import Tasks

_BACKLOG: Final = 128
_RECOVERY: Final = 1.0
"""Seconds without an attempt to accept where the system is short of something."""


class TlsListener:
    """One socket that listens, and the handshakes that began on it."""

    def __init__(
        self,
        sock: socket.socket,
        enter: Callable[[str], bool],
        shake_hands: Callable[[socket.socket, str], Coroutine[Any, Any, None]],
    ) -> None:
        """``sock`` is bound. ``enter`` says whether a peer of that address may come in; with who
        may, ``shake_hands`` does what comes next, many at a time."""
        self._sock = sock
        self._enter = enter
        self._shake_hands = shake_hands
        self._tasks = Tasks("sip_io tls")

    def start(self) -> None:
        """Begin to accept (raises OSError)."""
        self._sock.setblocking(False)
        self._sock.listen(_BACKLOG)
        self._tasks.spawn(self._accept(), name="accept")

    async def aclose(self) -> None:
        """Accept no more, and drop the handshakes that are under way."""
        await self._tasks.aclose()
        self._sock.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(self._sock)
            except ConnectionAbortedError:
                continue  # it went away while it waited
            except OSError:
                await asyncio.sleep(_RECOVERY)  # no descriptors or no memory are left
                continue
            if self._enter(address[0]):
                self._tasks.spawn(self._shake_hands(sock, address[0]), name="handshake")
            else:
                sock.close()
            # Where many wait, an accept need not wait: others must get their turn all the same.
            await asyncio.sleep(0)
