"""One room: who is in, what they publish, what they are told, and when it ends."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from switchroom.base.clock import Clock
from switchroom.base.ids import new_id
from switchroom.base.legible import legible, legible_texts
from switchroom.base.log import get_logger
from switchroom.base.records import record, replace
from switchroom.base.tasks import Tasks
from switchroom.base.timers import Timer, Timers
from switchroom.media import Source
from switchroom.rooms import events
from switchroom.rooms.attendant import Attendant, NoAttendant
from switchroom.rooms.data import DataMessage, DispatchEnded, ReliableHistory
from switchroom.rooms.dispatches import Dispatch, Dispatches, DispatchRecord, DispatchSpec
from switchroom.rooms.errors import RoomClosing, RoomFull
from switchroom.rooms.hearing import Hearing
from switchroom.rooms.info import (
    ConnectionQuality,
    ParticipantInfo,
    ParticipantState,
    Permissions,
    RoomInfo,
    Speaker,
    TrackInfo,
)
from switchroom.rooms.limits import check_attributes, check_metadata, check_name
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.rpc import ACK_LIMIT, RpcRequest, ServerCalls
from switchroom.rooms.subscriptions import Audience
from switchroom.rooms.track import Track

_log = get_logger("rooms")

CLOSE_LIMIT = 5.0
"""Seconds that one participant gets to say good-bye before it is taken out anyway."""

_COUNTS_INTERVAL = 5.0
_REMEMBERED_NONCES = 1024
_UNDERSTANDS_NEW_SID = 12
"""From this protocol on a client takes a new sid of a known identity for what it is."""


@record
class RoomTerms:
    """What a room was created with, all settled. Timeouts in seconds."""

    name: str
    empty_timeout: int
    departure_timeout: int
    max_participants: int
    metadata: str
    configuration: str
    sid: str = ""
    created_at_ns: int = 0
    kept: bool = False
    """Whether the room is there again after a restart."""


@record
class House:
    """What all rooms share: time, deadlines, tasks, and who is told."""

    clock: Clock
    timers: Timers
    tasks: Tasks
    listeners: tuple[events.Listener, ...] = ()
    attendant: Attendant = NoAttendant()


class Room:
    """A room and its participants.

    Everything but closing is synchronous, so that nobody sees a half-made change. The room tells
    Members; it never asks how they are connected.
    """

    def __init__(self, terms: RoomTerms, house: House, on_closed: Callable[[Room], None]) -> None:
        self._house = house
        self._on_closed = on_closed
        self.sid = terms.sid or new_id("RM_")
        self.name = terms.name
        self.terms = terms
        self.metadata = terms.metadata
        self.created_at_ns = terms.created_at_ns or house.clock.unix_ns()
        self._opened_at = house.clock.monotonic()
        self.participants: dict[str, Participant] = {}
        self._tracks: dict[str, Track] = {}
        self._hearing = Hearing(self.participants.values)
        self._history = ReliableHistory()
        self._calls = ServerCalls(house.timers)
        self._nonces: OrderedDict[bytes, None] = OrderedDict()
        self._watchers = 0
        self._company_watchers: dict[str, Callable[[], None]] = {}
        self._departed_at: float | None = None
        self._idle_timer: Timer | None = None
        self._counts_timer: Timer | None = None
        self._told_counts = (0, 0)
        self._recorded = False
        self.dispatches = Dispatches()
        self.closing = False
        self.resumes = False
        """Whether it closes for a restart, and is there again after it."""
        self.closed = asyncio.Event()

    def begin(self) -> None:
        """The registry has the room: tell of it, and let its time run."""
        restored = bool(self.terms.sid)
        if self._house.listeners:
            self._emit(events.RoomStarted(self.info(), self.terms.configuration, restored))
        self._house.attendant.room_started(self, restored=restored)
        self._watch_idleness()

    # ── what is told of it ───────────────────────────────────────────────────

    def info(self) -> RoomInfo:
        """The record as it is now."""
        participants, publishers = self._counts()
        return RoomInfo(
            sid=self.sid,
            name=self.name,
            empty_timeout=self.terms.empty_timeout,
            departure_timeout=self.terms.departure_timeout,
            max_participants=self.terms.max_participants,
            created_at_ns=self.created_at_ns,
            metadata=self.metadata,
            num_participants=participants,
            num_publishers=publishers,
            active_recording=self._recorded,
        )

    def visible_to(self, viewer: Participant) -> list[ParticipantInfo]:
        """Everybody else whom the viewer may know of."""
        return [p.info() for p in self.participants.values() if p is not viewer and not p.hidden]

    def track(self, sid: str) -> Track | None:
        """The track of that sid, whoever publishes it."""
        return self._tracks.get(sid)

    # ── coming and going ─────────────────────────────────────────────────────

    def join(self, participant: Participant) -> None:
        """Take in a participant; one of the same identity is put out. It is JOINED from then on.

        Raises RoomFull or RoomClosing, and then nothing has changed.
        """
        if self.closing:
            raise RoomClosing
        predecessor = self.participants.get(participant.identity)
        self._check_capacity(participant, predecessor)
        if predecessor is not None:
            self._supersede(predecessor)
        participant.joined_at = self._house.clock.monotonic()
        participant.joined_at_ns = self._house.clock.unix_ns()
        participant.state = ParticipantState.JOINED
        participant.touch()
        self.participants[participant.identity] = participant
        if participant.member.watches:
            self._watchers += 1
        if self._idle_timer is not None:
            self._watch_idleness()
        self._tell(participant, to_itself=False)
        self._note_counts()
        self._note_recording(participant)

    def activate(self, participant: Participant) -> None:
        """Media can flow: the participant is ACTIVE, hears what it should, and is announced."""
        if participant.gone or participant.state is ParticipantState.ACTIVE:
            return
        participant.state = ParticipantState.ACTIVE
        participant.was_active = True
        participant.touch()
        self._tell(participant)
        if self._house.listeners:
            self._emit(events.ParticipantJoined(self.info(), participant.info()))
        self._house.attendant.participant_joined(self, participant)
        self._tell_qualities_to(participant)
        if participant.member.watches:
            now = self._house.clock.monotonic()
            for message in self._history.since(participant.joined_at, now):
                self._deliver(message, participant)
        self._hearing.review_listener(participant)
        self._company_changed()

    def leave(self, participant: Participant, reason: DisconnectReason) -> None:
        """Take a participant out and tell the others. Idempotent."""
        if participant.gone:
            return
        self._take_out(participant, reason)
        self._tell(participant, to_itself=False)
        self._watch_idleness()
        self._note_counts()
        self._note_recording(participant)
        self._company_changed()

    def watch_company(self, participant: Participant, on_change: Callable[[], None]) -> None:
        """Tell a participant of this process that somebody came, went, published or changed.

        Until `ignore_company`, or until it has left.
        """
        if not participant.gone:
            self._company_watchers[participant.sid] = on_change

    def ignore_company(self, participant: Participant) -> None:
        """Take `watch_company` back."""
        self._company_watchers.pop(participant.sid, None)

    async def expel(self, participant: Participant, reason: DisconnectReason) -> None:
        """Close a participant's connection for a reason, within CLOSE_LIMIT, and take it out."""
        if participant.gone:
            return
        await self._see_out((participant,), reason)

    async def close(self, reason: DisconnectReason) -> None:
        """End the room: first those who live in this process (phones), then the clients.

        Waits until it is done, also when somebody else closes the room already.
        """
        if self.closing:
            await self.closed.wait()
            return
        self.closing = True
        self.resumes = self.terms.kept and reason is DisconnectReason.SERVER_SHUTDOWN
        self._cancel_timers()
        try:
            for watches in (False, True):
                group = [p for p in self.participants.values() if p.member.watches is watches]
                if group:
                    await self._see_out(group, reason)
        finally:
            self._cancel_timers()
            if self._house.listeners:
                self._emit(events.RoomFinished(self.info(), reason, self.resumes))
            self._house.attendant.room_finished(self)
            self.closed.set()
            self._on_closed(self)

    # ── tracks ───────────────────────────────────────────────────────────────

    def publish(self, participant: Participant, info: TrackInfo, source: Source | None) -> Track:
        """The participant can be heard with this track from now on."""
        track = Track(info, participant, source)
        if participant.gone:
            # Put out while its offer was being answered, and not told yet.
            return track
        participant.tracks[track.sid] = self._tracks[track.sid] = track
        participant.touch()
        # Clients drop a track of which they have not been told before it arrives.
        self._tell(participant)
        if self._house.listeners:
            self._emit(events.TrackPublished(self.info(), participant.info(), info))
        self._house.attendant.track_published(self, participant)
        self._hearing.review_track(track)
        self._note_counts()
        self._company_changed()
        return track

    def unpublish(self, track: Track) -> None:
        """The track has ended."""
        participant = track.publisher
        if participant.tracks.pop(track.sid, None) is None:
            return
        del self._tracks[track.sid]
        participant.touch()
        self._hearing.drop_track(track)
        self._tell(participant)
        if self._house.listeners:
            self._emit(events.TrackUnpublished(self.info(), participant.info(), track.info))
        self._note_counts()

    def set_source(self, track: Track, source: Source | None) -> None:
        """The track sounds from somewhere else; None is silence."""
        if track.source != source:
            track.source = source
            self._hearing.source_changed(track)
            self._company_changed()

    def change_track(self, track: Track, **changes: object) -> None:
        """Change what is told of a track (`muted`, `mime_type`, …) and tell it."""
        track.change(**changes, updated_at_us=self._house.clock.unix_ns() // 1000)
        track.publisher.touch()
        if "muted" in changes:
            self._hearing.source_changed(track)
        self._tell(track.publisher)

    def received(self, listener: Participant, track: Track) -> None:
        """The listener's connection carries the track from now on."""
        self._hearing.received(listener, track)

    # ── rights and wishes ────────────────────────────────────────────────────

    def ask(self, listener: Participant, track_sids: Iterable[str], *, wanted: bool) -> None:
        """The listener wants these tracks, or does not."""
        listener.wishes.ask(track_sids, wanted=wanted)
        self._hearing.review_listener(listener)

    def set_audience(self, publisher: Participant, audience: Audience) -> None:
        """The publisher says who may hear it."""
        publisher.audience = audience
        for track in publisher.tracks.values():
            self._hearing.review_track(track)

    def update(
        self,
        participant: Participant,
        *,
        name: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Change a participant's facts; empty leaves one as it is, an empty attribute is removed.

        Raises LimitExceeded, and then nothing has changed.
        """
        if name:
            check_name(name, "name")
        if metadata:
            check_metadata(metadata)
        if attributes:
            merged = _merged(participant.attributes, legible_texts(attributes))
            check_attributes(merged)
            participant.attributes = merged
        if name:
            participant.name = legible(name)
        if metadata:
            participant.metadata = legible(metadata)
        participant.touch()
        self._tell(participant)
        participant.member.grants_changed()
        self._company_changed()

    def permit(self, participant: Participant, permissions: Permissions) -> None:
        """Replace a participant's permissions; what they no longer cover, ends."""
        was_hidden, was_dependent = participant.hidden, participant.dependent
        participant.permit(permissions)
        participant.touch()
        if participant.dependent and not was_dependent:
            self._departed_at = self._house.clock.monotonic()
        for track in tuple(participant.tracks.values()):
            if not permissions.may_publish(track.info.source):
                participant.member.unpublished_by_server(track.sid)
                self.unpublish(track)
        self._hearing.review_listener(participant)
        self._tell(participant)
        if participant.hidden and not was_hidden:
            self._tell_of_hiding(participant)
        participant.member.grants_changed()
        self._watch_idleness()
        self._note_counts()
        self._note_recording(participant)

    def set_metadata(self, metadata: str) -> None:
        """Replace the room's metadata. Raises LimitExceeded."""
        check_metadata(metadata)
        self.metadata = metadata
        self._tell_room()

    def retime(self, terms: RoomTerms) -> None:
        """Other terms for a room that exists: CreateRoom was called again."""
        self.terms = terms
        self.set_metadata(terms.metadata)
        self._watch_idleness()

    # ── agents ───────────────────────────────────────────────────────────────

    def request_dispatch(self, spec: DispatchSpec) -> Dispatch:
        """Ask for an agent; who finds one hears of it. Raises RoomClosing, TooManyDispatches."""
        if self.closing:
            raise RoomClosing
        now = self._house.clock.unix_ns()
        dispatch = Dispatch(new_id("AD_"), self.name, self.sid, spec, now)
        self.dispatches.add(dispatch)
        self._house.attendant.dispatch_requested(self, dispatch)
        return dispatch

    def take_back_dispatch(self, dispatch_id: str) -> DispatchRecord:
        """Ask no longer; returns the last of it. Raises DispatchNotFound."""
        record = self.dispatches.remove(dispatch_id)
        return replace(record, deleted_at_ns=self._house.clock.unix_ns())

    def tell_dispatch_ended(self, news: DispatchEnded) -> None:
        """Tell everybody that an agent does not come."""
        self.send(DataMessage(reliable=True, sender_sid="", sender_identity="", content=news))

    # ── messages and levels ──────────────────────────────────────────────────

    def send(self, message: DataMessage) -> None:
        """Hand a message to whom it is for; one with a nonce only the first time."""
        if message.nonce and self._seen(message.nonce):
            return
        if message.rpc is not None and self._calls.hear(message.sender_sid, message.rpc):
            return
        if message.reliable and self._watchers:
            self._history.add(self._house.clock.monotonic(), message)
        for participant in self.participants.values():
            self._deliver(message, participant)

    async def call_method(
        self, callee: Participant, method: str, payload: str, response_limit: float
    ) -> str:
        """Call a method of a participant's client; its answer. Raises RpcFailed."""
        waits = max(response_limit - ACK_LIMIT, 1.0)
        request = RpcRequest(new_id("RPC_"), method, payload, int(waits * 1000))
        # Clients answer to the identity that asks, and refuse one without: it gets its own.
        message = DataMessage(
            reliable=True,
            sender_sid="",
            sender_identity=callee.identity,
            destinations=frozenset({callee.identity}),
            rpc=request,
        )
        send = partial(self._deliver, message, callee)
        return await self._calls.call(callee.sid, request, send, response_limit)

    def replay(self, listener: Participant, last_seen: Mapping[str, int]) -> None:
        """Send a resumed client the reliable messages that it has missed."""
        for message in self._history.after(last_seen, self._house.clock.monotonic()):
            self._deliver(message, listener)

    def speaking(self, participant: Participant, level: float, *, active: bool) -> None:
        """How loud a participant is, 0 to 1."""
        speaker = Speaker(participant.sid, level, active)
        if not participant.gone and speaker != participant.level:
            self._hearing.speaking(participant, speaker)

    def set_quality(self, participant: Participant, quality: ConnectionQuality) -> None:
        """How well a participant is connected."""
        if participant.gone or participant.quality is quality:
            return
        participant.quality = quality
        for watcher in self._watching():
            if watcher is participant or not participant.hidden:
                watcher.member.quality_changed({participant.sid: quality})

    # ── the inside ───────────────────────────────────────────────────────────

    def _check_capacity(self, newcomer: Participant, predecessor: Participant | None) -> None:
        limit = self.terms.max_participants
        if not limit or newcomer.dependent:
            return
        present = sum(
            1 for p in self.participants.values() if not p.dependent and p is not predecessor
        )
        if present >= limit:
            raise RoomFull

    async def _see_out(self, group: Sequence[Participant], reason: DisconnectReason) -> None:
        """Each of them leaves when its connection is closed, within CLOSE_LIMIT."""
        leaving = {self._begin_to_close(p, reason): p for p in group}
        await asyncio.wait(leaving, timeout=CLOSE_LIMIT)
        for parting, participant in leaving.items():
            if not parting.done():
                _log.warning("participant did not close in time", sid=participant.sid)
                self.leave(participant, reason)

    def _begin_to_close(
        self, participant: Participant, reason: DisconnectReason
    ) -> asyncio.Future[None]:
        closing = participant.member.close(reason)
        if not isinstance(closing, asyncio.Future):
            closing = self._house.tasks.spawn(closing, name=f"close {participant.sid}")
        closing.add_done_callback(lambda _: self.leave(participant, reason))
        return closing

    def _supersede(self, predecessor: Participant) -> None:
        reason = DisconnectReason.DUPLICATE_IDENTITY
        self._begin_to_close(predecessor, reason)
        self._take_out(predecessor, reason)
        if self._watchers and not predecessor.hidden:
            info = (predecessor.info(),)
            for watcher in self._watching():
                if watcher.facts.protocol < _UNDERSTANDS_NEW_SID:
                    watcher.member.participants_changed(info)

    def _take_out(self, participant: Participant, reason: DisconnectReason) -> None:
        for track in tuple(participant.tracks.values()):
            del participant.tracks[track.sid], self._tracks[track.sid]
            self._hearing.drop_track(track)
            if self._house.listeners:
                event = events.TrackUnpublished(self.info(), participant.info(), track.info)
                self._emit(event)
        self._hearing.drop_listener(participant)
        self._calls.left(participant.sid)
        self.ignore_company(participant)
        del self.participants[participant.identity]
        self._watchers -= participant.member.watches
        participant.part(reason)
        if not participant.dependent:
            self._departed_at = self._house.clock.monotonic()
        if self._house.listeners:
            self._emit_left(participant)
        self._house.attendant.participant_left(self, participant)

    def _emit_left(self, participant: Participant) -> None:
        if participant.was_active:
            self._emit(events.ParticipantLeft(self.info(), participant.info()))
        else:
            self._emit(events.ParticipantConnectionAborted(self.info(), participant.info()))

    def _emit(self, event: events.RoomEvent) -> None:
        for listener in self._house.listeners:
            listener(event)

    def _company_changed(self) -> None:
        if self._company_watchers:
            for on_change in tuple(self._company_watchers.values()):
                on_change()

    def _watching(self) -> Sequence[Participant]:
        if not self._watchers:
            return ()
        return [p for p in self.participants.values() if p.member.watches]

    def _tell(self, changed: Participant, *, to_itself: bool = True) -> None:
        if not self._watchers:
            return
        info = (changed.info(),)
        for watcher in self._watching():
            if to_itself if watcher is changed else not changed.hidden:
                watcher.member.participants_changed(info)

    def _tell_of_hiding(self, participant: Participant) -> None:
        """To the others, who hides has left; they will not be told of it any more."""
        info = (replace(participant.info(), state=ParticipantState.DISCONNECTED, tracks=()),)
        for watcher in self._watching():
            if watcher is not participant:
                watcher.member.participants_changed(info)

    def _note_recording(self, changed: Participant) -> None:
        """`changed` came, went, or has other rights."""
        if not (self._recorded or changed.recorder):
            return
        recorded = any(p.recorder for p in self.participants.values())
        if recorded is not self._recorded:
            self._recorded = recorded
            self._tell_room()

    def _tell_room(self) -> None:
        self._told_counts = self._counts()
        if self._watchers:
            info = self.info()
            for watcher in self._watching():
                watcher.member.room_changed(info)

    def _tell_qualities_to(self, newcomer: Participant) -> None:
        if not self._watchers:
            return
        mine = {newcomer.sid: newcomer.quality}
        for watcher in self._watching():
            if watcher is newcomer:
                seen = (p for p in self.participants.values() if p is newcomer or not p.hidden)
                watcher.member.quality_changed({p.sid: p.quality for p in seen})
            elif not newcomer.hidden:
                watcher.member.quality_changed(mine)

    def _deliver(self, message: DataMessage, participant: Participant) -> None:
        if participant.state is not ParticipantState.ACTIVE:
            return
        if message.for_metrics and not participant.permissions.can_subscribe_metrics:
            return
        if message.is_for(participant.identity):
            participant.member.receive_data(message)

    def _seen(self, nonce: bytes) -> bool:
        if nonce in self._nonces:
            return True
        self._nonces[nonce] = None
        if len(self._nonces) > _REMEMBERED_NONCES:
            self._nonces.popitem(last=False)
        return False

    def _counts(self) -> tuple[int, int]:
        present = [p for p in self.participants.values() if not p.dependent]
        return len(present), sum(1 for p in self.participants.values() if p.tracks)

    def _note_counts(self) -> None:
        """Tell changed counts, but not more often than every five seconds."""
        if not self._watchers or self._counts_timer is not None or self.closing:
            return
        if self._counts() != self._told_counts:
            self._counts_timer = self._house.timers.after(_COUNTS_INTERVAL, self._tell_counts)

    def _tell_counts(self) -> None:
        self._counts_timer = None
        self._tell_room()

    def _watch_idleness(self) -> None:
        """Set the one deadline of a room that nobody keeps open, or clear it."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self.closing:
            return
        for participant in self.participants.values():
            if not participant.dependent:
                return
        now = self._house.clock.monotonic()
        if self._departed_at is not None:
            timeout = self._departed_at + self.terms.departure_timeout - now
        else:
            timeout = self._opened_at + self.terms.empty_timeout - now
        self._idle_timer = self._house.timers.after(timeout, self._close_idle)

    def _close_idle(self) -> None:
        self._idle_timer = None
        if not self.closing:
            self._house.tasks.spawn(
                self.close(DisconnectReason.ROOM_CLOSED), name=f"close {self.sid}"
            )

    def _cancel_timers(self) -> None:
        for timer in (self._idle_timer, self._counts_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._counts_timer = None


def _merged(current: Mapping[str, str], changes: Mapping[str, str]) -> Mapping[str, str]:
    """A new mapping, for the old one was told; an empty change takes its attribute away."""
    merged = {**current, **changes}
    if "" in merged.values():
        return {key: value for key, value in merged.items() if value}
    return merged
