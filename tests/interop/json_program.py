"""Programs that take commands as lines of JSON, and tell answers and events the same way."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

PATIENCE = 90.0
"""Seconds that a test waits for an event."""

_LINE_LIMIT = 2**26


class Refused(Exception):
    """The program raised; the text begins with the name of its error."""


class Told:
    """The events that were told and that nobody has asked for yet."""

    def __init__(self) -> None:
        self._told: list[Facts] = []
        self._news = asyncio.Event()

    def hear_of(self, event: Facts) -> None:
        """Something happened."""
        self._told.append(event)
        self._news.set()

    async def next(self, event: str, **like: Any) -> Facts:
        """The next event of that name with these facts, and everything before it that is not."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (found := self.told(event, **like)) is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"no {event} with {like}; told was {self._told}") from None
        self._told.remove(found)
        return found

    def told(self, event: str, **like: Any) -> Facts | None:
        """The first such event that waits, if any."""
        wanted = {"event": event, **like}
        return next((told for told in self._told if wanted.items() <= told.items()), None)

    async def told_more(self) -> None:
        """Wait until there is any new event."""
        self._news.clear()
        await self._news.wait()

    def all_told(self, event: str) -> list[Facts]:
        """Every event of that name that waits, taken out."""
        found = [told for told in self._told if told["event"] == event]
        self._told = [told for told in self._told if told["event"] != event]
        return found


class JsonProgram:
    """A running program. Its events go to `told`, which may be another one from time to time."""

    def __init__(self, process: asyncio.subprocess.Process, told: Told) -> None:
        self.told = told
        self._process = process
        self._numbers = iter(range(1, 1_000_000))
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def do(self, what: str, facts: Facts) -> Any:
        """Perform a command and return its result. Raises Refused."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": what, **facts}).encode() + b"\n")
        return await answer

    async def close(self) -> None:
        """The end of its commands ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith((b'{"event"', b'{"id"')):
                continue  # what a package says by itself
            said = json.loads(line)
            if "event" in said:
                self.told.hear_of(said)
            else:
                self._settle(said)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Refused("the program ended"))
        self._answers.clear()

    def _settle(self, said: Facts) -> None:
        answer = self._answers.pop(said["id"])
        if answer.done():
            return
        if "error" in said:
            answer.set_exception(Refused(said["error"]))
        else:
            answer.set_result(said["ok"])


async def json_program(
    command: Sequence[str | Path], told: Told, environment: Mapping[str, str] | None = None
) -> JsonProgram:
    """Start one."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
        env={**os.environ, **(environment or {})},
    )
    return JsonProgram(process, told)
