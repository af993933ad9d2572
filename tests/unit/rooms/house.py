"""A house without sockets: time by hand, a store in memory, recording members and phones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from switchroom.media import Sink, Source
from switchroom.rooms.data import DataMessage, DispatchEnded, Dtmf, UserData
from switchroom.rooms.events import RoomEvent
from switchroom.rooms.info import (
    ClientFacts,
    ConnectionQuality,
    ParticipantInfo,
    RoomInfo,
    RoomSpec,
    Speaker,
    TrackInfo,
    TrackSource,
    TrackType,
)
from switchroom.rooms.local import LocalParticipantSpec, Seat
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.room import Room
from switchroom.rooms.stores import StoredRoom
from switchroom.rooms.track import Track


class Time:
    """Clock and timers in one: nothing happens until `pass_`."""

    def __init__(self) -> None:
        self.now = 100.0
        self._timers: list[_Timer] = []

    def monotonic(self) -> float:
        return self.now

    def unix_ns(self) -> int:
        return int((1_800_000_000 + self.now) * 1e9)

    def after(self, seconds: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(self.now + seconds, callback)
        self._timers.append(timer)
        return timer

    @property
    def pending(self) -> int:
        """How many deadlines are set."""
        self._timers = [timer for timer in self._timers if not timer.done]
        return len(self._timers)

    async def pass_(self, seconds: float) -> None:
        """Let time pass, firing each deadline at its moment, and let tasks run."""
        end = self.now + seconds
        while due := [t for t in self._timers if not t.done and t.at <= end]:
            timer = min(due, key=lambda t: t.at)
            self.now = max(self.now, timer.at)
            timer.done = True
            timer.callback()
            await settle()
        self.now = end
        await settle()


@dataclass(eq=False)
class _Timer:
    at: float
    callback: Callable[[], None]
    done: bool = False

    def cancel(self) -> None:
        self.done = True


async def settle() -> None:
    """Let every task that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)


class Ears:
    """A sink, and what it was last told to play and all that before."""

    def __init__(self) -> None:
        self.sink = Sink(0, self._command)
        self.inputs: dict[Source, float] = {}
        self.history: list[dict[Source, float]] = []

    def _command(self, name: str, sink: int, inputs: list[tuple[int, float]]) -> None:
        assert (name, sink) == ("set_inputs", 0)
        self.inputs = {Source(source): gain for source, gain in inputs}
        self.history.append(self.inputs)


class Phone:
    """A local participant that records what the room does to it."""

    def __init__(self) -> None:
        self.closed: list[DisconnectReason] = []
        self.data: list[UserData | Dtmf] = []
        self.news: list[DispatchEnded] = []
        self.on_close: Callable[[], None] = lambda: None
        self.may_close = asyncio.Event()
        self.may_close.set()

    async def close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)
        self.on_close()
        await self.may_close.wait()

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        self.news.append(news)

    def on_data(self, data: UserData | Dtmf) -> None:
        self.data.append(data)

    def answer(self, payload: str) -> str:
        """A method that others may call."""
        return f"{len(self.closed)}: {payload}"


class Recorder:
    """A Member that records, standing in for a client's session."""

    def __init__(self, *, protocol: int = 17, listens: bool = True) -> None:
        self.facts = ClientFacts(protocol=protocol)
        self.watches = True
        self.reachable = True
        self.listens = listens
        self.updates: list[ParticipantInfo] = []
        self.rooms: list[RoomInfo] = []
        self.heard: Sequence[Track] = ()
        self.sources: list[str] = []
        self.subscribed: list[str] = []
        self.permissions: list[tuple[str, bool]] = []
        self.speakers: list[Speaker] = []
        self.qualities: list[Mapping[str, ConnectionQuality]] = []
        self.data: list[DataMessage] = []
        self.muted: list[tuple[str, bool]] = []
        self.unpublished: list[str] = []
        self.grants = 0
        self.closed: list[DisconnectReason] = []

    def participants_changed(self, infos: Sequence[ParticipantInfo]) -> None:
        self.updates.extend(infos)

    def room_changed(self, info: RoomInfo) -> None:
        self.rooms.append(info)

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        self.heard = tracks

    def source_changed(self, track: Track) -> None:
        self.sources.append(track.sid)

    def track_subscribed(self, track_sid: str) -> None:
        self.subscribed.append(track_sid)

    def subscription_permission_changed(
        self, publisher_sid: str, track_sid: str, *, allowed: bool
    ) -> None:
        self.permissions.append((track_sid, allowed))

    def speakers_changed(self, speakers: Sequence[Speaker]) -> None:
        self.speakers.extend(speakers)

    def quality_changed(self, qualities: Mapping[str, ConnectionQuality]) -> None:
        self.qualities.append(qualities)

    def receive_data(self, message: DataMessage) -> None:
        self.data.append(message)

    def muted_by_server(self, track_sid: str, *, muted: bool) -> None:
        self.muted.append((track_sid, muted))

    def unpublished_by_server(self, track_sid: str) -> None:
        self.unpublished.append(track_sid)

    def grants_changed(self) -> None:
        self.grants += 1

    async def close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)


class MemoryStore:
    """A RoomStore in a dictionary."""

    def __init__(self) -> None:
        self.rooms: dict[str, StoredRoom] = {}

    async def load(self) -> Sequence[StoredRoom]:
        return tuple(self.rooms.values())

    async def save(self, room: StoredRoom) -> None:
        self.rooms[room.name] = room

    async def delete(self, name: str) -> None:
        self.rooms.pop(name, None)


@dataclass
class House:
    """The registry with everything around it that a test looks at."""

    rooms: Rooms
    time: Time
    store: MemoryStore
    events: list[RoomEvent] = field(default_factory=list)

    def room(self, name: str = "r") -> Room:
        return self.rooms._rooms[name]

    async def phone(self, identity: str, room: str = "r", **spec: Any) -> tuple[Seat, Phone]:
        phone = Phone()
        seat = self.rooms.join_local(LocalParticipantSpec(room, identity, **spec), phone)
        return seat, phone

    def client(
        self, identity: str, *, active: bool = True, member: Recorder | None = None, **facts: Any
    ) -> tuple[Participant, Recorder]:
        member = member or Recorder()
        participant = Participant(identity, member, **facts)
        room = self.rooms.find_or_create(RoomSpec("r"))
        room.join(participant)
        if active:
            room.activate(participant)
        return participant, member


def microphone(sid: str) -> TrackInfo:
    """A microphone track of that sid."""
    return TrackInfo(sid, TrackType.AUDIO, source=TrackSource.MICROPHONE)
