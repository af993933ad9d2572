"""A program of somebody else's making, run by a test: what it writes is read line by line."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PATIENCE = 90.0
"""Seconds that a test waits for a program's word, on a machine that has much else to do."""
PORTS_EACH = 200
"""How many ports in a row are one program's: 100 for SIP and what else it likes, 100 for sound."""

_first_ports = itertools.cycle(range(26_000, 32_600, PORTS_EACH))


_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""A program must not outlive a test run that was killed: linphonec would go round for ever."""


@dataclass
class PeerProcess:
    """A running program and what it has written."""

    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def tell(self, words: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n".encode())

    async def says(self, words: str, *, times: int = 1) -> str:
        """Until so many lines hold these words; the last of them. Fails with its whole log."""
        return await self.until(lambda line: words in line, words, times=times)

    async def until(self, fits: Callable[[str], bool], wanted: str, *, times: int = 1) -> str:
        """Until so many lines fit; the last of them."""
        found: list[str] = []

        def enough() -> bool:
            found[:] = [line for line in self.log if fits(line)]
            return len(found) >= times or self.process.returncode is not None

        async with self.changed:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self.changed.wait_for(enough)
        if len(found) < times:
            told = "\n".join(self.log)
            pytest.fail(f"{wanted!r} was seen {len(found)} times, not {times}:\n{told}")
        return found[times - 1]

    async def note(self, line: str) -> None:
        """Take down a line, whoever has written it."""
        async with self.changed:
            self.log.append(line)
            self.changed.notify_all()

    async def read(self) -> None:
        """Take down what it writes until it ends; run it as a task."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            await self.note(line.decode(errors="replace").rstrip())
        await self.process.wait()
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def peer_process(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[PeerProcess]:
    """A program at work in a folder; it is ended with the test."""
    process = await asyncio.create_subprocess_exec(
        *_WITH_US,
        *command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
    )
    peer = PeerProcess(process)
    reading = asyncio.create_task(peer.read())
    try:
        yield peer
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


def free_port() -> int:
    """A port that nobody has, neither over UDP nor over TCP, and the first of `PORTS_EACH`.

    They are below those that the system gives to sockets without a port of their own: one of those
    may come at any time between this look and the program's.
    """
    for port in _first_ports:
        with (
            suppress(OSError),
            socket.socket(type=socket.SOCK_DGRAM) as udp,
            socket.socket() as tcp,
        ):
            udp.bind(("", port))
            tcp.bind(("", port))
            return port
    raise AssertionError("it goes round for ever")
