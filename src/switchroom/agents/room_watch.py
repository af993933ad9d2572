"""What the agents know of one room: its jobs, who they are for, and who came."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from switchroom.agents.job import Parting
from switchroom.agents.pool import PoolKey
from switchroom.agents.run import Run, pool_key
from switchroom.base.records import record
from switchroom.rooms.dispatches import Dispatch, JobKind
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.room import Room

_REMEMBERED_OUTCASTS = 64

MAX_PUT_OFF = 1024
"""Jobs of one room that wait for there to be workers for them."""

_PARTINGS = {
    DisconnectReason.CLIENT_INITIATED: Parting.GOODBYE,
    DisconnectReason.USER_REJECTED: Parting.GOODBYE,
    DisconnectReason.USER_UNAVAILABLE: Parting.GOODBYE,
    DisconnectReason.PARTICIPANT_REMOVED: Parting.DISMISSED,
    DisconnectReason.ROOM_DELETED: Parting.DISMISSED,
    DisconnectReason.ROOM_CLOSED: Parting.DISMISSED,
    DisconnectReason.SERVER_SHUTDOWN: Parting.DISMISSED,
    DisconnectReason.AGENT_ERROR: Parting.ERROR,
}


@record
class PutOff:
    """A job that waits for there to be workers for it at all, until then (monotonic seconds).

    `identity` is whom it is for; empty for the room.
    """

    dispatch: Dispatch
    kind: JobKind
    identity: str
    wait_until: float


class RoomWatch:
    """One room, from its start to its end.

    `visited` says whether anybody was there for whom a room is kept open. `outcasts` are the
    identities of agents whose jobs were taken from them; they are shown out if they come back.
    `owed` are jobs that a restart interrupted: done again once somebody is there for whom.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.runs: dict[str, Run] = {}
        self.visited = False
        self.owed: list[Run] = []
        self.publishers: set[str] = set()
        self.outcasts: OrderedDict[str, None] = OrderedDict()
        self._departures: dict[str, asyncio.Event] = {}
        self._put_off: list[PutOff] = []

    @property
    def forsaken(self) -> bool:
        """Whoever a job here was for has gone."""
        return self.visited and all(p.dependent for p in self.room.participants.values())

    def has(self, participant_identity: str) -> bool:
        """Whether whom a job is for is there; a job for the room (empty) is for everybody."""
        return not participant_identity or participant_identity in self.room.participants

    def run_of_agent(self, identity: str) -> Run | None:
        """The job whose agent has that identity."""
        for run in self.runs.values():
            acceptance = run.progress.acceptance
            if acceptance is not None and acceptance.identity == identity:
                return run
        return None

    def runs_of(self, dispatch_id: str) -> tuple[Run, ...]:
        """The jobs of a dispatch that are not over."""
        return tuple(run for run in self.runs.values() if run.dispatch.id == dispatch_id)

    def cast_out(self, identity: str) -> None:
        """An agent of that identity is not to come back."""
        self.outcasts[identity] = None
        if len(self.outcasts) > _REMEMBERED_OUTCASTS:
            self.outcasts.popitem(last=False)

    def departure(self, identity: str) -> asyncio.Event:
        """Set when the participant of that identity leaves."""
        return self._departures.setdefault(identity, asyncio.Event())

    def departed(self, identity: str) -> None:
        """A participant has left."""
        event = self._departures.pop(identity, None)
        if event is not None:
            event.set()
        self.publishers.discard(identity)
        self._put_off = [one for one in self._put_off if one.identity != identity]

    def put_off(self, job: PutOff, now: float) -> None:
        """Remember a job for `take_up`; beyond MAX_PUT_OFF that wait, it is forgotten at once."""
        if len(self._put_off) >= MAX_PUT_OFF:
            self._put_off = [one for one in self._put_off if now < one.wait_until]
        if len(self._put_off) < MAX_PUT_OFF:
            self._put_off.append(job)

    def take_up(self, key: PoolKey, now: float) -> list[PutOff]:
        """Hand out what workers of this key do; what waited for too long is left out."""
        waiting = [one for one in self._put_off if now < one.wait_until]
        taken: list[PutOff] = []
        self._put_off = []
        for one in waiting:
            mine = pool_key(one.dispatch, one.kind) == key
            (taken if mine else self._put_off).append(one)
        return taken

    def call_off(self, dispatch_id: str) -> None:
        """The dispatch was taken back: nothing of it is put off any more."""
        self._put_off = [one for one in self._put_off if one.dispatch.id != dispatch_id]


def parting_of(reason: DisconnectReason) -> Parting | None:
    """How an agent left; None if it was only replaced by itself over a new connection."""
    if reason is DisconnectReason.DUPLICATE_IDENTITY:
        return None
    return _PARTINGS.get(reason, Parting.LOST)
