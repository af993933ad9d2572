"""What one receiver still has to be told, and when: order, back-off, bounds. Pure.

Notices of one room wait for each other, rooms do not. A notice that fails holds up its own room
only. A receiver that fails the notices of several rooms, and takes none, is *down*: it is then
asked with one notice at a time, another room's each time, until one arrives.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from switchroom.webhooks.notice import Notice

AT_ONCE = 8
"""Requests that a receiver gets at the same time, each of another room."""

DOWN_AFTER = 5
"""Rooms whose notices fail, with none arriving between, after which a receiver is down."""

MAX_REFUSALS = 8
"""Attempts after which a notice that the receiver understood and refused is given up."""

MAX_NOTICES = 10_000
MAX_BYTES = 64 * 1024 * 1024

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


class Outcome(Enum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """Nobody there, no answer in time, or an answer that promises better times (5xx, 429)."""
    REFUSED = "refused"
    """An answer that will hardly change (other 4xx, a redirect)."""


def wait_after(failures: int) -> float:
    """Seconds to the next attempt after so many in a row: 1, 2, 4, … at most 60."""
    return float(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures - 1, 16)))


@dataclass(slots=True)
class _Queue:
    """The notices of one room, oldest first."""

    notices: deque[Notice] = field(default_factory=deque)
    failures: int = 0
    busy: bool = False


class Receiver:
    """The notices that one URL has not got yet. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._ready: list[tuple[float, int, str]] = []
        self._turns = 0
        self._waiting: dict[int, Notice] = {}
        self._bytes = 0
        # Those on their way, and how many had been given up when they left.
        self._sending: dict[int, int] = {}
        self._failing: set[str] = set()
        self._probes = 0
        self._retry_at = 0.0
        self._given_up = 0
        self._told = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def sending(self) -> int:
        """How many notices are on their way."""
        return len(self._sending)

    @property
    def dropped(self) -> int:
        """Notices given up of which the receiver has not been told."""
        return self._given_up - self._told

    @property
    def down(self) -> bool:
        return len(self._failing) >= DOWN_AFTER

    def add(self, notice: Notice, now: float) -> tuple[Notice, ...]:
        """Take a notice in; returns the oldest ones, given up because there are too many."""
        queue = self._queues.get(notice.room_sid)
        if queue is None:
            queue = self._queues[notice.room_sid] = _Queue()
            self._line_up(notice.room_sid, now)
        queue.notices.append(notice)
        self._waiting[notice.sequence] = notice
        self._bytes += len(notice.body)
        return tuple(self._overflow())

    def due(self, now: float) -> list[Notice]:
        """The notices to send now, with `dropped` as it is now; each is answered with `settle`."""
        found = []
        while self._may_send(now):
            _, _, room_sid = heapq.heappop(self._ready)
            queue = self._queues.get(room_sid)
            if queue is None or queue.busy or not queue.notices:
                continue
            queue.busy = True
            notice = queue.notices[0]
            self._sending[notice.sequence] = self._given_up
            found.append(notice)
        return found

    def next_at(self) -> float | None:
        """When `due` has something again, unless something happens before."""
        if not self._ready or len(self._sending) >= self._allowed():
            return None
        at = self._ready[0][0]
        return max(at, self._retry_at) if self.down else at

    def settle(
        self, notice: Notice, outcome: Outcome, now: float, *, retry_after: float = 0.0
    ) -> bool:
        """An attempt ended. Returns whether the notice is done with: delivered, or given up."""
        told = self._sending.pop(notice.sequence)
        queue = self._queues[notice.room_sid]
        queue.busy = False
        if outcome is Outcome.DELIVERED:
            queue.failures = self._probes = 0
            self._failing.clear()
            self._remove(notice)
            self._told = max(self._told, told)
        else:
            self._failed(notice.room_sid, queue, now, retry_after)
            if outcome is Outcome.REFUSED and queue.failures >= MAX_REFUSALS:
                self._remove(notice)
                self._given_up += 1
                queue.failures = 0
        done = notice.sequence not in self._waiting
        self._after(notice.room_sid, queue, now, retry_after)
        return done

    def expire(self, before: int) -> tuple[Notice, ...]:
        """Give up, and return, what is older than the sequence `before`."""
        old = []
        for sequence, notice in self._waiting.items():
            if sequence >= before:
                break
            if sequence not in self._sending:
                old.append(notice)
        for notice in old:
            self._give_up(notice)
        return tuple(old)

    # ── the inside ───────────────────────────────────────────────────────────

    def _allowed(self) -> int:
        return 1 if self.down else AT_ONCE

    def _may_send(self, now: float) -> bool:
        if not self._ready or len(self._sending) >= self._allowed():
            return False
        if self.down and now < self._retry_at:
            return False
        return self._ready[0][0] <= now

    def _line_up(self, room_sid: str, at: float) -> None:
        self._turns += 1
        heapq.heappush(self._ready, (at, self._turns, room_sid))

    def _failed(self, room_sid: str, queue: _Queue, now: float, retry_after: float) -> None:
        queue.failures += 1
        self._failing.add(room_sid)
        if self.down:
            self._probes += 1
            wait = max(wait_after(self._probes), min(retry_after, _LONGEST_WAIT))
            self._retry_at = now + wait

    def _after(self, room_sid: str, queue: _Queue, now: float, retry_after: float) -> None:
        """The queue goes on with its next notice, waits, or is no more."""
        if not queue.notices:
            del self._queues[room_sid]
        elif queue.failures:
            wait = max(wait_after(queue.failures), min(retry_after, _LONGEST_WAIT))
            self._line_up(room_sid, now + wait)
        else:
            self._line_up(room_sid, now)

    def _overflow(self) -> Iterator[Notice]:
        while len(self._waiting) > MAX_NOTICES or self._bytes > MAX_BYTES:
            oldest = next((n for s, n in self._waiting.items() if s not in self._sending), None)
            if oldest is None:
                return
            self._give_up(oldest)
            yield oldest

    def _give_up(self, notice: Notice) -> None:
        self._remove(notice)
        self._given_up += 1
        queue = self._queues[notice.room_sid]
        if not queue.notices and not queue.busy:
            del self._queues[notice.room_sid]

    def _remove(self, notice: Notice) -> None:
        if self._waiting.pop(notice.sequence, None) is not None:
            self._bytes -= len(notice.body)
            self._queues[notice.room_sid].notices.remove(notice)
