"""What the gateway heard, decided and said: for tests that wait for it, and for whoever watches."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from switchroom.base.log import get_logger
from switchroom.base.records import record

_KEPT = 10_000
_log = get_logger("offline")

JOB_HEADER = "X-LiveKit-Job-ID"
"""Where livekit-agents names the job that asks."""


@record(kw_only=True)
class Understood:
    """An utterance of ``seconds`` was taken for ``text`` (empty: for nothing) within ``took``."""

    text: str
    seconds: float
    took: float
    job: str = ""
    at: float = dataclasses.field(default_factory=time.time)
    """Seconds since 1970; so in the other events."""


@record(kw_only=True)
class Replied:
    """The model said ``text``, called ``tool``, or both, by the rule at ``line`` (0: by none)."""

    text: str
    tool: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    line: int = 0
    remark: str = ""
    job: str = ""
    at: float = dataclasses.field(default_factory=time.time)


@record(kw_only=True)
class Spoken:
    """``text`` became sound of ``seconds`` within ``took``."""

    text: str
    seconds: float
    took: float
    job: str = ""
    at: float = dataclasses.field(default_factory=time.time)


Event: TypeAlias = Understood | Replied | Spoken


def to_line(event: Event) -> str:
    """An event as a JSON object on one line; ``event`` is its kind."""
    return json.dumps({"event": type(event).__name__.lower(), **dataclasses.asdict(event)})


class Journal:
    """The latest events, oldest first. ``on_event`` hears each as it happens."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._waiting: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = []
        self.on_event: Callable[[Event], None] = lambda _event: None

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened so far."""
        return tuple(self._events)

    def record(self, event: Event) -> None:
        """Keep an event and wake whoever waits for it."""
        self._events.append(event)
        for wanted, future in tuple(self._waiting):
            if not future.done() and wanted(event):
                future.set_result(event)
        try:
            self.on_event(event)
        except Exception:  # noqa: BLE001 - a watcher's failure is not the caller's
            _log.exception("a watcher of the gateway failed")

    async def expect(self, wanted: Callable[[Event], bool], seconds: float = 30.0) -> Event:
        """The first event that is wanted, past or to come.

        Raises TimeoutError that tells what happened instead.
        """
        for event in self._events:
            if wanted(event):
                return event
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        entry = (wanted, future)
        self._waiting.append(entry)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            happened = "\n".join(map(to_line, list(self._events)[-20:])) or "nothing"
            raise TimeoutError(f"not within {seconds:g} s; the gateway saw:\n{happened}") from None
        finally:
            self._waiting.remove(entry)
