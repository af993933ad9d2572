"""What all phones of the network share: its report, speech, a place for messages, a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import field
from typing import Any, Protocol, TypeVar

from switchroom.base.records import record
from switchroom.phonenet.events import Event
from switchroom.phonenet.messages import MessageFolder
from switchroom.phonenet.talking import LocalTalking, Talking

_Result = TypeVar("_Result")


class AfterCalls(Protocol):
    """Runs what outlives a call: a message to be written, last words to be understood."""

    def spawn(self, coro: Coroutine[Any, Any, _Result], *, name: str) -> asyncio.Task[_Result]: ...


@record
class Facilities:
    """`report` takes every event, `wall_clock` gives Unix seconds as events have them."""

    report: Callable[[Event], None]
    after_calls: AfterCalls
    messages: MessageFolder
    talking: Talking = field(default_factory=LocalTalking)
    wall_clock: Callable[[], float] = time.time
