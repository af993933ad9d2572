"""Telephony and rooms as they are, between a scripted carrier and an engine of paper.

What happens on either side is written into one timeline, so that a scenario reads as it went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from scenarios.carrier import ScriptedCarrier
from scenarios.paper_engine import PaperEngine
from scenarios.virtual_time import VirtualClock
from switchroom.base.config import load_config
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.media import Source
from switchroom.rooms.local import LocalParticipant, LocalParticipantSpec, Seat
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.room import Room
from switchroom.rooms.stores import NoRoomStore
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.outbound.outbound_request import CreateSipParticipant, SipParticipantInfo
from switchroom.telephony.outbound.request_memory import RequestKey
from switchroom.telephony.routing.trunks import OutboundTrunk
from switchroom.telephony.stores import RoutingStores
from switchroom.telephony.telephony import Telephony

NUMBER = "+15105550123"


_Record = TypeVar("_Record")


class MemoryRecords(Generic[_Record]):
    """A store of trunks or rules that forgets with the process."""

    async def load(self) -> Sequence[_Record]:
        return ()

    async def save(self, record: _Record) -> None:
        return

    async def delete(self, record_id: str) -> None:
        return


class MemoryCalls:
    """A call store; durable writes take a millisecond, and fail if the disk is full."""

    def __init__(self, *kept: CallRecord) -> None:
        self.records: dict[str, CallRecord] = {record.call_id: record for record in kept}
        self.history: list[CallRecord] = []
        self.disk_full = False

    def save(self, record: CallRecord) -> None:
        self.records[record.call_id] = record
        self.history.append(record)

    def save_later(self, call_id: str, record_of: Callable[[], CallRecord]) -> None:
        self.save(record_of())

    def save_now(self, record: CallRecord) -> asyncio.Future[None]:
        return asyncio.ensure_future(self.save_durably(record))

    def save_durably(self, record: CallRecord) -> Awaitable[None]:
        if not self.disk_full:
            self.save(record)
        return self._written()

    async def _written(self) -> None:
        await asyncio.sleep(0.001)
        if self.disk_full:
            raise ServiceError(ErrorCode.INTERNAL, "disk full")

    async def unfinished(self) -> Sequence[CallRecord]:
        return tuple(r for r in self.records.values() if not r.termination or r.dialog)

    async def keyed_since(self, created_at: int) -> Sequence[CallRecord]:
        return tuple(r for r in self.records.values() if r.request_key)

    @property
    def last(self) -> CallRecord:
        return list(self.records.values())[-1]


class ObservedSeat(Seat):
    """A phone's seat that writes down what it shows the room."""

    def __init__(
        self, room: Room, spec: LocalParticipantSpec, local: LocalParticipant, house: House
    ) -> None:
        self._house = house
        super().__init__(room, spec, local)

    def publish_audio(self, name: str, source: Source | None, mime_type: str) -> str:
        self._house.note(f"publishes {name}{' (silent)' if source is None else ''}")
        return super().publish_audio(name, source, mime_type)

    def set_attributes(self, changes: Mapping[str, str]) -> None:
        shown = [value for name, value in changes.items() if name in self._house.watched]
        if shown:
            self._house.note(" ".join(shown))
        super().set_attributes(changes)

    def level_changed(self, level: float, *, active: bool) -> None:
        self._house.note(f"level {level}")
        super().level_changed(level, active=active)

    def leave(self, reason: DisconnectReason) -> None:
        self._house.note(f"leaves {reason.name}")
        super().leave(reason)


class ObservedRooms(Rooms):
    """Rooms whose phones sit on observed seats."""

    house: House

    def join_local(self, spec: LocalParticipantSpec, local: LocalParticipant) -> Seat:
        status = spec.attributes.get("sip.callStatus")
        if status is None:
            return super().join_local(spec, local)
        self.house.note(f"joins {status}")
        room = self.find_or_create(spec.room)
        return ObservedSeat(room, spec, local, self.house)


class House:
    """Everything a scenario touches."""

    def __init__(self, calls: MemoryCalls | None = None, **settings: object) -> None:
        """Settings as ``sip__inbound__answer="now"``."""
        self.timeline: list[str] = []
        self.watched = {"sip.callStatus", "sip.termination"}
        self.clock = VirtualClock()
        self.carrier = ScriptedCarrier(self.note)
        self.engine = PaperEngine(self.note)
        self.calls = calls or MemoryCalls()
        overrides = {name.replace("__", "."): value for name, value in settings.items()}
        config = load_config(None, {}, {"keys": {"devkey": "secret"}, **overrides})
        self.rooms = ObservedRooms(self.engine, config, self.clock, NoRoomStore())
        self.rooms.house = self
        self.telephony = Telephony(
            self.engine,
            self.rooms,
            self.carrier,
            RoutingStores(MemoryRecords(), MemoryRecords(), MemoryRecords()),
            self.calls,
            self.clock,
            config,
        )
        self.trunk_id = ""
        self._requests: list[asyncio.Task[SipParticipantInfo]] = []

    async def start(self) -> None:
        await self.rooms.start()
        await self.telephony.start()
        trunk = OutboundTrunk(address="sip.example.com", numbers=("+15105550100",))
        self.trunk_id = (await self.telephony.trunks.create(trunk)).trunk_id

    async def stop(self) -> None:
        for request in self._requests:
            request.cancel()
        await self.telephony.stop(0.0)
        await self.rooms.stop()
        assert not self.engine.open_handles, "a leg or player was left open"
        assert not self.telephony.running.all, "a call was left"

    def note(self, what: str) -> None:
        self.timeline.append(what)

    def since(self, what: str) -> list[str]:
        """The timeline from the first time that `what` happened on."""
        return self.timeline[self.timeline.index(what) :]

    # ── what scenarios do ────────────────────────────────────────────────────

    def call(
        self,
        *,
        key: RequestKey | None = None,
        deadline: float | None = None,
        **wishes: Any,
    ) -> asyncio.Task[SipParticipantInfo]:
        """Ask for a call, as the API does."""
        request = CreateSipParticipant(room_name="room", call_to=NUMBER, trunk_id=self.trunk_id)
        request = replace(request, **wishes)
        placed = asyncio.ensure_future(
            self.telephony.outbound.create_participant(request, deadline, key)
        )
        self._requests.append(placed)
        return placed

    def forget_requests(self) -> None:
        """Those that were answered."""
        self._requests = [request for request in self._requests if not request.done()]

    async def calm(self) -> None:
        """Until nothing more happens without time passing, and then ten milliseconds."""
        await asyncio.sleep(0.01)

    def attributes(self, identity: str = f"sip_{NUMBER}") -> Mapping[str, str]:
        """What the room shows of the phone."""
        return self.rooms.get_participant("room", identity).attributes
