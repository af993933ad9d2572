"""Host names to addresses, without ever blocking the loop or waiting without end."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from switchroom.base.clock import Clock
from switchroom.sip_io.errors import ResolveError

_PATIENCE: Final = 5.0
_REMEMBER: Final = 30.0
_REMEMBER_FAILURE: Final = 2.0
_KEPT: Final = 1_024
_THREADS: Final = 4

Lookup = tuple[float, tuple[str, ...] | ResolveError]


class Resolver:
    """A and AAAA look-ups by the system's resolver, so that /etc/hosts and search domains count.

    Answers are kept for 30 s, failures for 2 s. A look-up is given up after 5 s: getaddrinfo itself
    can take minutes, so it has threads of its own and is left behind in them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sip-resolver")
        self._known: dict[str, Lookup] = {}

    def known(self, host: str) -> tuple[str, ...]:
        """Addresses remembered from a recent look-up; empty if there are none."""
        entry = self._known.get(host.lower())
        if entry is None or entry[0] < self._clock.monotonic():
            return ()
        return () if isinstance(entry[1], ResolveError) else entry[1]

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Addresses of ``host`` in the order to try them (raises ResolveError)."""
        entry = self._known.get(host.lower())
        if entry is None or entry[0] < self._clock.monotonic():
            answer = await self._look_up(host)
            keep = _REMEMBER_FAILURE if isinstance(answer, ResolveError) else _REMEMBER
            if len(self._known) >= _KEPT:
                self._known.clear()
            entry = self._known[host.lower()] = (self._clock.monotonic() + keep, answer)
        if isinstance(entry[1], ResolveError):
            raise ResolveError(str(entry[1]))
        return entry[1]

    def close(self) -> None:
        """Start no further look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str) -> tuple[str, ...] | ResolveError:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await loop.run_in_executor(self._threads, _getaddrinfo, host)
        except TimeoutError:
            return ResolveError(f"{host}: no answer from DNS")
        except (OSError, UnicodeError, RuntimeError) as error:
            return ResolveError(f"{host}: {_words(error)}")
        return found or ResolveError(f"{host}: no address")


def _getaddrinfo(host: str) -> tuple[str, ...]:
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in entries))


def _words(error: Exception) -> str:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return "no such host"
    return getattr(error, "strerror", None) or str(error) or "lookup failed"
