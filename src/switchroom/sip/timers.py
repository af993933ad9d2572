"""Deadlines of everything in the room, in one queue, on a clock that is passed in.

Also the RFC 3261 timer values (table 4 of appendix A), which all derive from T1, T2 and T4.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from switchroom.base.records import record


@record
class Timing:
    """The three base times, in seconds."""

    t1: float = 0.5
    """Round-trip estimate: first retransmission interval."""
    t2: float = 4.0
    """Longest interval between retransmissions of non-INVITE requests and INVITE responses."""
    t4: float = 5.0
    """How long a message can stay in the network."""

    @property
    def give_up(self) -> float:
        """64*T1: timers B, D, F, H, J, L, M, and the patience for an ACK or a PRACK."""
        return 64 * self.t1


class Timer:
    """One deadline; ``cancel`` it or it fires once."""

    __slots__ = ("_queue", "action", "when")

    def __init__(
        self, queue: TimerQueue, when: float, action: Callable[[float], None] | None
    ) -> None:
        self._queue = queue
        self.when = when
        self.action = action
        """``None`` once it has fired or was cancelled."""

    def cancel(self) -> None:
        """Never fire. Harmless if it has fired already."""
        if self.action is not None:
            self.action = None
            self._queue.dead += 1

    def fire(self, now: float) -> None:
        """Run the action, once."""
        action, self.action = self.action, None
        if action is not None:
            action(now)


class TimerQueue:
    """A heap of timers. Cancelling is O(1): dead entries are dropped when they surface."""

    _COMPACT_AT: Final = 512

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = 0
        self.dead = 0
        """Entries of the heap that were cancelled."""

    def __len__(self) -> int:
        return len(self._heap) - self.dead

    def schedule(self, when: float, action: Callable[[float], None]) -> Timer:
        """Call ``action(now)`` at the first ``run_due`` that is not before ``when`` (seconds)."""
        # Most timers are cancelled long before they are due: 32 s of dead ones would pile up.
        if self.dead > self._COMPACT_AT and self.dead * 2 > len(self._heap):
            self._compact()
        timer = Timer(self, when, action)
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, timer))
        return timer

    def deadline(self) -> float | None:
        """The earliest deadline, or ``None`` if there is nothing to wait for."""
        heap = self._heap
        while heap:
            if heap[0][2].action is not None:
                return heap[0][0]
            heapq.heappop(heap)
            self.dead -= 1
        return None

    def run_due(self, now: float) -> None:
        """Fire everything due at ``now``, in order of deadlines, then of scheduling."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            if timer.action is not None:
                timer.fire(now)
            else:
                self.dead -= 1

    def _compact(self) -> None:
        self._heap[:] = [entry for entry in self._heap if entry[2].action is not None]
        heapq.heapify(self._heap)
        self.dead = 0
