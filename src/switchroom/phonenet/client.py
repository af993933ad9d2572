"""The simulated phone network as a child process, with its events as values.

::

    async with PhoneNetwork(port=0) as network:
        place_a_call_to("+12025550102", by=network.address)
        answered = await network.expect(Answered)
        ended = await network.expect(Ended, call=answered.call)
        assert ended.heard.tone_hz == pytest.approx(440, abs=1)
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from switchroom.phonenet.events import Event, Ready, from_line
from switchroom.phonenet.orders import CallOrder

_Kind = TypeVar("_Kind", bound=Event)
PASSWORD_VARIABLE = "SWITCHROOM_PHONENET_PASSWORD"  # noqa: S105 – a name, not a password
"""Where the process looks for the password; an argument would be visible to every user."""

_STOP_SECONDS = 5.0
_LONGEST_LINE = 1 << 20


class NetworkDied(RuntimeError):
    """The process ended by itself; the message holds what it wrote to its error output."""


class PhoneNetwork:
    """Runs ``python -m switchroom.phonenet`` for as long as the block lasts.

    `numbers` is a file of phones, `username` and `password` are what callers must log in with,
    `messages` is the folder where mailboxes keep what callers say.
    Port 0 lets the system choose. `on_event` is called with every event as it comes. Every event
    is kept in `events`, which grows with the number of calls: one network is for one test.
    """

    def __init__(
        self,
        *,
        bind: str = "127.0.0.1",
        port: int = 0,
        numbers: str | Path | None = None,
        username: str = "",
        password: str = "",
        messages: str | Path | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._arguments = ["--bind", bind, "--port", str(port)]
        if numbers is not None:
            self._arguments += ["--numbers", str(numbers)]
        if messages is not None:
            self._arguments += ["--messages", str(messages)]
        if username:
            self._arguments += ["--username", username]
        self._password = password
        self._on_event = on_event
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._taken: set[int] = set()
        self._dead: str | None = None
        self.events: list[Event] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> Ready:
        """Start the process and wait until it listens. Raises NetworkDied."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "switchroom.phonenet",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            env=self._environment(),
        )
        self._reader = asyncio.create_task(self._read(self._process), name="phonenet: events")
        return await self.expect(Ready)

    def place(self, order: CallOrder) -> None:
        """Let a phone dial; `Dials` follows, or `Misunderstood`."""
        if self._process is None or self._process.stdin is None:
            raise NetworkDied("the phone network does not run")
        self._process.stdin.write(order.as_line().encode() + b"\n")

    async def stop(self) -> None:
        """Close the process's input, at which it ends its calls and itself."""
        process = self._process
        if process is None or self._reader is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._reader), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await self._reader
        self._process = None

    @property
    def address(self) -> str:
        """``ip:port`` of the carrier."""
        return next(event.address for event in self.events if isinstance(event, Ready))

    async def expect(self, kind: type[_Kind], **facts: object) -> _Kind:
        """The next event of that kind with these fields, past ones included; each is given once.

        Waits without limit: give it one by ``asyncio.timeout``. Raises NetworkDied when the process
        ends before.
        """
        async with self._news:
            while True:
                found = self._take(kind, facts)
                if found is not None:
                    return found
                if self._dead is not None:
                    raise NetworkDied(self._dead)
                await self._news.wait()

    def _take(self, kind: type[_Kind], facts: dict[str, object]) -> _Kind | None:
        for place, event in enumerate(self.events):
            if place in self._taken or not isinstance(event, kind):
                continue
            if all(getattr(event, name) == value for name, value in facts.items()):
                self._taken.add(place)
                return event
        return None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        stdout, stderr = process.stdout, process.stderr
        if stdout is None or stderr is None:
            return
        errors = asyncio.create_task(stderr.read(), name="phonenet: error output")
        while line := await stdout.readline():
            event = from_line(line)
            async with self._news:
                self.events.append(event)
                self._news.notify_all()
            if self._on_event is not None:
                self._on_event(event)
        said = (await errors).decode("utf-8", "replace").strip()
        code = await process.wait()
        async with self._news:
            self._dead = f"the phone network ended with {code}: {said or 'without a word'}"
            self._news.notify_all()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, PASSWORD_VARIABLE: self._password}
