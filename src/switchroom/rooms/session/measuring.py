"""Asks the engine now and then how its connections fare, and tells each session of its own."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from switchroom.base.tasks import Tasks
from switchroom.base.timers import Deadline, Timers
from switchroom.media import Engine, EngineError, PeerStats
from switchroom.rooms.session.quality import INTERVAL, Counts


class Measured(Protocol):
    """Whose connection is looked at."""

    @property
    def peer_ids(self) -> Iterable[int]:
        """The engine's numbers of its connections."""
        ...

    def measured(self, counts: Counts) -> None:
        """What was counted so far."""
        ...


class Measuring:
    """One look at all connections every few seconds, as long as there are any."""

    def __init__(self, engine: Engine, *, tasks: Tasks, timers: Timers) -> None:
        self._engine = engine
        self._tasks = tasks
        self._sessions: set[Measured] = set()
        self._next = Deadline(timers, INTERVAL, self._look_soon)

    def add(self, session: Measured) -> None:
        """Look at this one too."""
        self._sessions.add(session)
        if not self._next.running:
            self._next.set()

    def remove(self, session: Measured) -> None:
        """Not any more. Idempotent."""
        self._sessions.discard(session)
        if not self._sessions:
            self._next.clear()

    def _look_soon(self) -> None:
        self._tasks.spawn(self._look(), name="measure connections")

    async def _look(self) -> None:
        with suppress(EngineError):
            found = {peer.peer: peer for peer in (await self._engine.stats()).peers}
            for session in tuple(self._sessions):
                session.measured(_counts(found, session.peer_ids))
        if self._sessions:
            self._next.set()


def _counts(found: dict[int, PeerStats], peers: Iterable[int]) -> Counts:
    total = Counts()
    for peer in (found[number] for number in peers if number in found):
        total += Counts(peer.rtp_in, peer.lost_in, peer.rtp_out, peer.lost_out, peer.round_trip)
    return total
