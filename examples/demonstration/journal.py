"""What happens in one call, as both ends and the room tell it; and waiting for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]


class Overdue(Exception):
    """Something that should have happened did not; the message says what."""


@dataclass(frozen=True)
class Said:
    """A sentence of the agent or the patient in the room's transcript; `began` in Unix seconds."""

    text: str
    began: float


@dataclass(frozen=True)
class ToolCall:
    """A tool that the agent's model called."""

    name: str
    arguments: dict[str, Any]


@dataclass
class Journal:
    """One call. `called` is who or what answers.

    `phone` is what the phone reports, `models` what the offline models do, `remarks` are what the
    agent logs; the rest is seen in the room.
    """

    room: str
    called: str = "patient"
    began: float = field(default_factory=time.time)
    phone: list[Record] = field(default_factory=list)
    models: list[Record] = field(default_factory=list)
    agent_said: list[Said] = field(default_factory=list)
    agent_heard: list[Said] = field(default_factory=list)
    tools: list[ToolCall] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    agent_joined: bool = False
    agent_left: bool = False
    room_closed: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, event: str) -> list[Record]:
        """The reports of the phone of one kind."""
        return [record for record in self.phone if record["event"] == event]

    async def until(self, what: str, happened: Callable[[], object], seconds: float = 120) -> None:
        """Wait for something; raises Overdue, with `what`, if it takes longer."""
        try:
            async with asyncio.timeout(seconds):
                while not happened():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise Overdue(f"{what}: not within {seconds:.0f} s") from None
