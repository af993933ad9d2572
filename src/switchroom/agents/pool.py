"""Which worker is asked first. Pure: times and the random number come in as arguments.

Workers that do the same work form a pool. What a worker says of itself is believed only within
bounds: a load that is no number counts as a full load, and one that lets offers lapse is left out
for a while.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from switchroom.base.records import record, replace
from switchroom.rooms.dispatches import JobKind

MAX_WORKERS = 1024
"""Workers that one server serves."""

MAX_OFFERS = 16
"""Offers that one worker may have unanswered: more would only wait at its door."""

SILENCE = 30.0
"""Seconds that a worker which let an offer lapse is asked nothing."""

_LEAST_WEIGHT = 0.01
"""A worker that is available is never out of the question, however loaded it says it is."""


@record
class PoolKey:
    """What makes workers interchangeable; all parts match exactly."""

    agent_name: str
    kind: JobKind
    deployment: str = ""


@record
class WorkerState:
    """What counts for the choice. `offers` are unanswered; `silent_until` is monotonic seconds."""

    id: str
    key: PoolKey
    namespace: str = ""
    load: float = 0.0
    full: bool = False
    draining: bool = False
    offers: int = 0
    silent_until: float = 0.0

    def available(self, now: float) -> bool:
        """Whether it may be offered a job."""
        willing = not (self.full or self.draining)
        return willing and self.offers < MAX_OFFERS and now >= self.silent_until


class PoolsFull(Exception):
    """There are as many workers as the server serves."""


@dataclass(slots=True)
class Pools:
    """The workers by what they do."""

    _workers: dict[str, WorkerState] = field(default_factory=dict)
    _pools: dict[PoolKey, dict[str, None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._workers)

    def add(self, worker: WorkerState) -> None:
        """A worker registered. Raises PoolsFull."""
        if len(self._workers) >= MAX_WORKERS:
            raise PoolsFull
        self._workers[worker.id] = worker
        self._pools.setdefault(worker.key, {})[worker.id] = None

    def remove(self, worker_id: str) -> None:
        """A worker is gone; without effect if it was not there."""
        worker = self._workers.pop(worker_id, None)
        if worker is None:
            return
        pool = self._pools[worker.key]
        del pool[worker_id]
        if not pool:
            del self._pools[worker.key]

    def get(self, worker_id: str) -> WorkerState:
        """Raises KeyError."""
        return self._workers[worker_id]

    def report(
        self, worker_id: str, *, load: float, full: bool | None, draining: bool
    ) -> WorkerState:
        """What a worker says of itself; `full` None is as before. Raises KeyError."""
        before = self._workers[worker_id]
        return self._put(
            replace(
                before,
                load=believable(load),
                full=before.full if full is None else full,
                draining=draining,
            )
        )

    def offered(self, worker_id: str) -> None:
        """One more offer is open. Raises KeyError."""
        worker = self._workers[worker_id]
        self._put(replace(worker, offers=worker.offers + 1))

    def answered(self, worker_id: str) -> None:
        """An open offer is settled; without effect if the worker is gone."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            self._put(replace(worker, offers=max(0, worker.offers - 1)))

    def awake(self, worker_id: str) -> None:
        """It said something about an offer, if late; without effect if the worker is gone."""
        worker = self._workers.get(worker_id)
        if worker is not None and worker.silent_until:
            self._put(replace(worker, silent_until=0.0))

    def lapsed(self, worker_id: str, now: float) -> None:
        """An open offer is settled because no answer came: the worker is left out for SILENCE."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            offers = max(0, worker.offers - 1)
            self._put(replace(worker, offers=offers, silent_until=now + SILENCE))

    def candidates(
        self, key: PoolKey, now: float, besides: Container[str] = ()
    ) -> tuple[WorkerState, ...]:
        """Who may be offered a job now, `besides` left out."""
        return tuple(
            worker for worker in self._of(key) if worker.id not in besides and worker.available(now)
        )

    def kinds_of(self, agent_name: str, deployment: str) -> tuple[JobKind, ...]:
        """The kinds of job that workers of that name and deployment do."""
        return tuple(
            kind for kind in JobKind if PoolKey(agent_name, kind, deployment) in self._pools
        )

    def size(self, key: PoolKey) -> int:
        """How many workers there are in a pool, busy ones too."""
        return len(self._pools.get(key, ()))

    def _of(self, key: PoolKey) -> Iterator[WorkerState]:
        return (self._workers[worker_id] for worker_id in self._pools.get(key, ()))

    def _put(self, worker: WorkerState) -> WorkerState:
        self._workers[worker.id] = worker
        return worker


def believable(load: float) -> float:
    """A load between 0 and 1, whatever a worker says: what is no number counts as 1."""
    return 1.0 if math.isnan(load) else min(1.0, max(0.0, load))


def choose(candidates: Sequence[WorkerState], draw: float) -> WorkerState | None:
    """One of the candidates, with a chance in proportion to its free capacity (1 - load).

    `draw` is a random number, 0 ≤ draw < 1. None when there is nobody.
    """
    if not candidates:
        return None
    weights = [max(_LEAST_WEIGHT, 1.0 - worker.load) for worker in candidates]
    left = draw * sum(weights)
    for worker, weight in zip(candidates, weights, strict=True):
        left -= weight
        if left < 0:
            return worker
    return candidates[-1]
