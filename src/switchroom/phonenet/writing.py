"""How events leave the process: a line each, never in the way of the calls."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from switchroom.base.records import replace
from switchroom.phonenet import events

_MOST_WAITING = 10_000


class EventWriter:
    """Writes from a thread of its own: a reader that has stopped reading stops no phone.

    What does not fit into the queue is dropped. `format_line` makes one line of an event.
    """

    def __init__(
        self, format_line: Callable[[events.Event], str], stream: TextIO | None = None
    ) -> None:
        self._format = format_line
        self._stream = stream or sys.stdout
        self._waiting: queue.Queue[events.Event | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="phonenet events", daemon=True)
        self._thread.start()

    def report(self, event: events.Event) -> None:
        """Queue an event, stamped with the time."""
        stamped = replace(event, time=round(time.time(), 3))
        try:
            self._waiting.put_nowait(stamped)
        except queue.Full:
            return

    def close(self, seconds: float = 2.0) -> None:
        """Write what is waiting, but do not wait for a reader that is gone."""
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                self._stream.write(self._format(event) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                # The reader closed its end. The calls go on; the process ends with its input.
                return
