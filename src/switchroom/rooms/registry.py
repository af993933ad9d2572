"""All rooms of this server by name, and what the server API does with them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

from switchroom.base.clock import Clock
from switchroom.base.config import Config
from switchroom.base.ids import new_id
from switchroom.base.log import get_logger
from switchroom.base.records import replace
from switchroom.base.tasks import Tasks
from switchroom.base.timers import LoopTimers, Timers
from switchroom.media import Engine
from switchroom.rooms.attendant import Attendant
from switchroom.rooms.configuration import with_preset
from switchroom.rooms.data import DataMessage, UserData
from switchroom.rooms.errors import (
    ParticipantNotFound,
    RoomClosing,
    RoomNotFound,
    TooManyArrivals,
    TrackNotFound,
    UnmuteNotAllowed,
)
from switchroom.rooms.events import Listener
from switchroom.rooms.info import ParticipantInfo, Permissions, RoomInfo, RoomSpec, TrackInfo
from switchroom.rooms.keeping import RoomKeeper
from switchroom.rooms.limits import (
    check_attributes,
    check_data,
    check_metadata,
    check_name,
    check_room_name,
)
from switchroom.rooms.local import LocalParticipant, LocalParticipantSpec, Seat
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.room import House, Room, RoomTerms
from switchroom.rooms.stores import RoomStore, StoredRoom
from switchroom.rooms.turnstile import Turnstile

_log = get_logger("rooms")


class Rooms:
    """The registry of rooms.

    `engine` is the media engine that clients' connections are opened in, `store` keeps the rooms
    created by API, `listeners` hear every RoomEvent. `node_id` is how this server introduces itself
    to clients and to agent workers.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        clock: Clock,
        store: RoomStore,
        *,
        listeners: Iterable[Listener] = (),
        timers: Timers | None = None,
    ) -> None:
        self.engine = engine
        self.config = config
        self.clock = clock
        self.tasks = Tasks("rooms")
        self.timers = timers or LoopTimers()
        self.node_id = new_id("ND_")
        self._keeper = RoomKeeper(store, self.tasks)
        self._house = House(clock, self.timers, self.tasks, tuple(listeners))
        self._rooms: dict[str, Room] = {}
        self._turnstile = Turnstile()
        self._stopping = False

    # ── the whole ────────────────────────────────────────────────────────────

    def attended_by(self, attendant: Attendant) -> None:
        """Who looks after the rooms. To be said before there are any."""
        self._house = replace(self._house, attendant=attendant)

    async def start(self) -> None:
        """Open the rooms that were created by API before a restart; their timeouts start anew."""
        sids: set[str] = set()
        for stored in await self._keeper.load():
            terms = _terms_of(stored)
            if stored.sid in sids:
                # Somebody copied a room in the store. Everything else tells rooms by their sids.
                _log.warning("two stored rooms have one sid", room_name=stored.name)
                terms = replace(terms, sid="")
            room = self._open(terms)
            sids.add(room.sid)
            if room.sid != stored.sid:
                await self._save(room)

    async def stop(self) -> None:
        """Close every room for SERVER_SHUTDOWN; rooms created by API are kept in the store."""
        self._stopping = True
        rooms = tuple(self._rooms.values())
        await asyncio.gather(*(room.close(DisconnectReason.SERVER_SHUTDOWN) for room in rooms))
        await self._keeper.flush()
        await self.tasks.aclose()

    # ── rooms ────────────────────────────────────────────────────────────────

    async def create(self, spec: RoomSpec) -> RoomInfo:
        """Create a room, or give an existing one the non-zero values of `spec`; idempotent.

        The room is kept over restarts. Raises Invalid, LimitExceeded, RoomClosing.
        """
        check_room_name(spec.name)
        spec = with_preset(spec, self.config.room.room_configurations)
        check_metadata(spec.metadata)
        room = self._rooms.get(spec.name)
        if room is None or room.closing:
            room = self._open(replace(self._settle(spec), kept=True))
        else:
            room.retime(_renewed(room, spec))
        await self._save(room)
        return room.info()

    def find_or_create(self, spec: RoomSpec) -> Room:
        """The room of that name, created from `spec` if there is none. Raises like `create`."""
        room = self._rooms.get(spec.name)
        if room is not None and not room.closing:
            return room
        check_room_name(spec.name)
        spec = with_preset(spec, self.config.room.room_configurations)
        check_metadata(spec.metadata)
        return self._open(self._settle(spec))

    def exists(self, name: str) -> bool:
        """Whether there is a room of that name that can be joined."""
        room = self._rooms.get(name)
        return room is not None and not room.closing

    def get(self, name: str) -> Room:
        """The room of that name, which may be closing. Raises RoomNotFound."""
        return self._room(name)

    def find(self, name: str, identity: str) -> Participant | None:
        """Somebody in a room, if both are there."""
        room = self._rooms.get(name)
        return room.participants.get(identity) if room is not None else None

    def list(self, names: Collection[str] = ()) -> tuple[RoomInfo, ...]:
        """The rooms of these names, or all."""
        rooms = self._rooms.values()
        return tuple(room.info() for room in rooms if not names or room.name in names)

    async def delete(self, name: str) -> None:
        """Close a room: phones hang up first, then clients are sent away. Raises RoomNotFound."""
        await self._room(name).close(DisconnectReason.ROOM_DELETED)
        await self._keeper.flush()

    async def set_room_metadata(self, name: str, metadata: str) -> RoomInfo:
        """Replace a room's metadata. Raises RoomNotFound, LimitExceeded."""
        room = self._room(name)
        room.set_metadata(metadata)
        if self._keeper.keeps(name):
            await self._save(room)
        return room.info()

    # ── participants ─────────────────────────────────────────────────────────

    def participants(self, name: str) -> tuple[ParticipantInfo, ...]:
        """Everybody in a room, hidden ones too. Raises RoomNotFound."""
        return tuple(p.info() for p in self._room(name).participants.values())

    def get_participant(self, name: str, identity: str) -> ParticipantInfo:
        """Raises RoomNotFound, ParticipantNotFound."""
        return self._member_of(name, identity)[1].info()

    async def remove_participant(self, name: str, identity: str) -> None:
        """Send somebody out of a room; returns when it has left. Raises as get_participant."""
        room, participant = self._member_of(name, identity)
        await room.expel(participant, DisconnectReason.PARTICIPANT_REMOVED)

    def update_participant(
        self,
        name: str,
        identity: str,
        *,
        display_name: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> ParticipantInfo:
        """Change facts (empty: as it is) and permissions (whole). Raises also LimitExceeded."""
        room, participant = self._member_of(name, identity)
        if display_name or metadata or attributes:
            room.update(participant, name=display_name, metadata=metadata, attributes=attributes)
        if permissions is not None:
            room.permit(participant, permissions)
        return participant.info()

    def mute_track(self, name: str, identity: str, track_sid: str, *, muted: bool) -> TrackInfo:
        """Mute a track. Raises also TrackNotFound, and UnmuteNotAllowed for the other way round."""
        room, participant = self._member_of(name, identity)
        track = participant.tracks.get(track_sid)
        if track is None:
            raise TrackNotFound
        if not (muted or self.config.room.enable_remote_unmute) and track.info.muted:
            raise UnmuteNotAllowed
        if muted is not track.info.muted:
            room.change_track(track, muted=muted)
            participant.member.muted_by_server(track_sid, muted=muted)
        return track.info

    def update_subscriptions(
        self, name: str, identity: str, track_sids: Iterable[str], *, subscribe: bool
    ) -> None:
        """Change what a participant hears. Raises also TrackNotFound."""
        room, participant = self._member_of(name, identity)
        sids = tuple(track_sids)
        if any(room.track(sid) is None for sid in sids):
            raise TrackNotFound
        room.ask(participant, sids, wanted=subscribe)

    def send_data(self, name: str, message: DataMessage, sids: Collection[str] = ()) -> None:
        """Send a message of the server to identities, `sids`, or everybody.

        Raises RoomNotFound, LimitExceeded.
        """
        if isinstance(message.content, UserData):
            check_data(message.content.payload)
        room = self._room(name)
        if sids:
            named = {p.identity for p in room.participants.values() if p.sid in sids}
            message.destinations |= named
            if not message.destinations:
                return
        room.send(message)

    async def call_method(
        self, name: str, identity: str, method: str, payload: str, response_limit: float
    ) -> str:
        """Call a method of a participant's client; its answer. Raises also RpcFailed."""
        room, participant = self._member_of(name, identity)
        return await room.call_method(participant, method, payload, response_limit)

    def count_arrival(self, name: str, identity: str) -> None:
        """A client is about to join or return. Raises TooManyArrivals when it is in a loop."""
        if self._turnstile.passes(name, identity, self.clock.monotonic()):
            return
        if self._turnstile.first_refusal(name, identity):
            present = self.find(name, identity)
            _log.warning("a client joins too often", participant=present.sid if present else None)
        raise TooManyArrivals

    def join_local(self, spec: LocalParticipantSpec, local: LocalParticipant) -> Seat:
        """Seat a participant of this process; the room is created when there is none.

        It is ACTIVE at once. Raises Invalid, LimitExceeded, RoomFull, RoomClosing.
        """
        check_name(spec.identity, "identity")
        check_name(spec.name, "name")
        check_metadata(spec.metadata)
        check_attributes(spec.attributes)
        return Seat(self.find_or_create(spec.room), spec, local)

    # ── the inside ───────────────────────────────────────────────────────────

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            raise RoomNotFound
        return room

    def _member_of(self, name: str, identity: str) -> tuple[Room, Participant]:
        room = self._rooms.get(name)
        participant = self.find(name, identity)
        if room is None or participant is None:
            raise ParticipantNotFound
        return room, participant

    def _open(self, terms: RoomTerms) -> Room:
        if self._stopping:
            raise RoomClosing
        predecessor = self._rooms.get(terms.name)
        if predecessor is not None:
            self._forget(predecessor)
        room = Room(terms, self._house, self._forget)
        self._rooms[terms.name] = room
        room.begin()
        return room

    def _forget(self, room: Room) -> None:
        """The room is closed, or is closing and another takes its name."""
        if self._rooms.get(room.name) is not room:
            return
        del self._rooms[room.name]
        if not room.resumes:
            self._keeper.forget(room.name)

    async def _save(self, room: Room) -> None:
        await self._keeper.save(
            StoredRoom(
                name=room.name,
                sid=room.sid,
                metadata=room.metadata,
                empty_timeout=room.terms.empty_timeout,
                departure_timeout=room.terms.departure_timeout,
                max_participants=room.terms.max_participants,
                created_at_ns=room.created_at_ns,
                configuration=room.terms.configuration,
            )
        )

    def _settle(self, spec: RoomSpec) -> RoomTerms:
        defaults = self.config.room
        return RoomTerms(
            name=spec.name,
            empty_timeout=spec.empty_timeout or int(defaults.empty_timeout),
            departure_timeout=spec.departure_timeout or int(defaults.departure_timeout),
            max_participants=spec.max_participants or defaults.max_participants,
            metadata=spec.metadata,
            configuration=spec.configuration,
        )


def _renewed(room: Room, spec: RoomSpec) -> RoomTerms:
    terms = room.terms
    return replace(
        terms,
        empty_timeout=spec.empty_timeout or terms.empty_timeout,
        departure_timeout=spec.departure_timeout or terms.departure_timeout,
        max_participants=spec.max_participants or terms.max_participants,
        metadata=spec.metadata or room.metadata,
        configuration=spec.configuration or terms.configuration,
        kept=True,
    )


def _terms_of(stored: StoredRoom) -> RoomTerms:
    return RoomTerms(
        name=stored.name,
        empty_timeout=stored.empty_timeout,
        departure_timeout=stored.departure_timeout,
        max_participants=stored.max_participants,
        metadata=stored.metadata,
        configuration=stored.configuration,
        sid=stored.sid,
        created_at_ns=stored.created_at_ns,
        kept=True,
    )
