"""Participants that live in this process, such as phones: their port and the seat they get.

A local participant is in the room like any other: seen, heard, sent messages, removed. It takes no
part in signalling, so a room of phones costs no protocol message at all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Protocol

from switchroom.base.log import get_logger
from switchroom.base.records import record
from switchroom.base.tasks import nothing_to_wait_for
from switchroom.media import Sink, Source
from switchroom.rooms.configuration import spec_from_configuration
from switchroom.rooms.data import DataMessage, DispatchEnded, Dtmf, UserData
from switchroom.rooms.dispatches import DispatchRecord
from switchroom.rooms.errors import Invalid
from switchroom.rooms.info import (
    ClientFacts,
    ConnectionQuality,
    ParticipantInfo,
    ParticipantKind,
    ParticipantState,
    Permissions,
    RoomInfo,
    RoomSpec,
    Speaker,
    TrackInfo,
    TrackSource,
    TrackType,
)
from switchroom.rooms.participant import Closing, Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.room import Room
from switchroom.rooms.rpc import (
    UNSUPPORTED,
    RpcAck,
    RpcAnswer,
    RpcCode,
    RpcFailed,
    RpcMethod,
    RpcRequest,
)
from switchroom.rooms.track import Track, new_track_sid

_log = get_logger("rooms")

_FACTS = ClientFacts()
"""Client protocol 0: peers then use the plain forms of RPC and streams towards it."""
_PERMISSIONS = Permissions(can_update_metadata=True)


class LocalParticipant(Protocol):
    """What a participant in this process does when the room turns to it."""

    def close(self, reason: DisconnectReason) -> Closing:
        """Say good-bye to your far end. The room waits (bounded) and then takes the seat away.

        Not called when you leave by yourself.
        """
        ...

    def on_data(self, data: UserData | Dtmf) -> None:
        """A message from another participant. Must neither wait nor fail."""
        ...

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        """An agent that the room was to get does not come. Must neither wait nor fail."""
        ...


@record
class LocalParticipantSpec:
    """Who joins which room; the room is created when there is none of that name.

    `configuration` (proto-JSON of LiveKit's RoomConfiguration) and `preset` are what it is then
    created with.
    """

    room_name: str
    identity: str
    name: str = ""
    kind: ParticipantKind = ParticipantKind.SIP
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""
    preset: str = ""

    @property
    def room(self) -> RoomSpec:
        """The room, should it have to be created. Raises Invalid."""
        if not self.configuration:
            return RoomSpec(self.room_name, preset=self.preset)
        try:
            given = json.loads(self.configuration)
        except (ValueError, RecursionError):
            raise Invalid("the room configuration is no JSON") from None
        if not isinstance(given, Mapping):
            raise Invalid("the room configuration is no JSON object")
        return spec_from_configuration(self.room_name, given, self.preset)


@record
class Companion:
    """Somebody else in a local participant's room.

    `publishes` is whether there is an audio track of it, `sounds` whether one has a source: a phone
    that rings publishes a track which is silent until the answer.
    """

    identity: str
    kind: ParticipantKind
    attributes: Mapping[str, str]
    publishes: bool
    sounds: bool


class Seat:
    """A local participant's place in a room. After it has left, everything here has no effect."""

    __slots__ = ("_member", "_participant", "_room")

    def __init__(self, room: Room, spec: LocalParticipantSpec, local: LocalParticipant) -> None:
        """Join and be ACTIVE at once. Raises what `Room.join` raises."""
        self._room = room
        self._member = _LocalMember(room, local)
        self._participant = Participant(
            spec.identity,
            self._member,
            name=spec.name,
            kind=spec.kind,
            metadata=spec.metadata,
            attributes=spec.attributes,
            permissions=_PERMISSIONS,
        )
        self._member.participant = self._participant
        room.join(self._participant)
        room.activate(self._participant)

    @property
    def room_sid(self) -> str:
        return self._room.sid

    @property
    def room_name(self) -> str:
        return self._room.name

    @property
    def participant_sid(self) -> str:
        return self._participant.sid

    @property
    def identity(self) -> str:
        return self._participant.identity

    @property
    def attributes(self) -> Mapping[str, str]:
        """The participant's attributes as they are now, whoever changed them."""
        return self._participant.attributes

    @property
    def gone(self) -> bool:
        return self._participant.gone

    def publish_audio(self, name: str, source: Source | None, mime_type: str) -> str:
        """Publish a microphone track and return its sid.

        `source` None is silence until `set_source`.
        """
        info = TrackInfo(
            sid=new_track_sid(TrackType.AUDIO, TrackSource.MICROPHONE),
            type=TrackType.AUDIO,
            name=name,
            source=TrackSource.MICROPHONE,
            mime_type=mime_type,
            stream="camera",
            disable_red=True,
        )
        if not self._participant.gone:
            self._room.publish(self._participant, info, source)
        return info.sid

    def set_source(self, track_sid: str, source: Source | None) -> None:
        """Let a published track sound from somewhere else."""
        track = self._participant.tracks.get(track_sid)
        if track is not None:
            self._room.set_source(track, source)

    def hear(self, sink: Sink) -> None:
        """Send everything audible of the others to `sink` from now on, kept up to date."""
        if not self._participant.gone:
            self._member.listen(sink)
            self._room.ask(self._participant, (), wanted=True)

    def hear_only(self, sink: Sink, source: Source | None) -> None:
        """Send `source` to `sink` from now on, and nothing of the room, until `hear`."""
        self._member.deafen()
        sink.set_inputs({} if source is None else {source: 1.0})

    def set_attributes(self, changes: Mapping[str, str]) -> None:
        """Change attributes; an empty value removes one. Raises LimitExceeded."""
        if not self._participant.gone:
            self._room.update(self._participant, attributes=changes)

    def offer_methods(self, methods: Mapping[str, RpcMethod]) -> None:
        """Let the others in the room call these methods of the participant (RPC)."""
        self._member.methods = methods

    def watch_company(self, on_change: Callable[[], None] | None) -> None:
        """Be told whenever `company` or `expects_agents` may have changed; None: no longer."""
        if on_change is None:
            self._room.ignore_company(self._participant)
        else:
            self._room.watch_company(self._participant, on_change)

    @property
    def company(self) -> tuple[Companion, ...]:
        """Everybody else who is ACTIVE in the room, the hidden left out."""
        return tuple(
            _companion(other)
            for other in self._room.participants.values()
            if other is not self._participant
            and other.state is ParticipantState.ACTIVE
            and not other.hidden
        )

    @property
    def expects_agents(self) -> bool:
        """Whether a dispatch of the room may still bring an agent, or has brought one."""
        return any(_may_come(record) for record in self._room.dispatches.list())

    def send_dtmf(self, code: int, digit: str) -> None:
        """Tell the room of a digit pressed."""
        self._send(Dtmf(code, digit), reliable=True, destinations=())

    def send_data(
        self,
        payload: bytes,
        *,
        topic: str = "",
        reliable: bool = True,
        destinations: Collection[str] = (),
    ) -> None:
        """Send bytes to the identities named, or to everybody."""
        self._send(UserData(payload, topic), reliable=reliable, destinations=destinations)

    def level_changed(self, level: float, *, active: bool) -> None:
        """How loud the participant is, 0 to 1."""
        self._room.speaking(self._participant, level, active=active)

    def leave(self, reason: DisconnectReason) -> None:
        """Leave the room for this reason. No effect once the room has begun to close the seat."""
        if not self._member.closing:
            self._member.closing = True
            self._member.depart(reason)

    def _send(
        self, content: UserData | Dtmf, *, reliable: bool, destinations: Collection[str]
    ) -> None:
        if self.gone:
            return
        self._room.send(
            DataMessage(
                reliable=reliable,
                sender_sid=self._participant.sid,
                sender_identity=self._participant.identity,
                destinations=frozenset(destinations),
                content=content,
            )
        )


def _companion(other: Participant) -> Companion:
    tracks = [t for t in other.tracks.values() if t.info.type is TrackType.AUDIO]
    return Companion(
        identity=other.identity,
        kind=other.kind,
        attributes=other.attributes,
        publishes=bool(tracks),
        sounds=any(track.source is not None for track in tracks),
    )


def _may_come(record: DispatchRecord) -> bool:
    return not record.jobs or any(not job.ended for job in record.jobs)


class _Nobody:
    """Who has left."""

    async def close(self, reason: DisconnectReason) -> None:
        return

    def on_data(self, data: UserData | Dtmf) -> None:
        return

    def on_dispatch_ended(self, news: DispatchEnded) -> None:
        return


_NOBODY: LocalParticipant = _Nobody()


class _LocalMember:
    """The Member behind a seat: tracks become the inputs of one sink, messages method calls."""

    __slots__ = (
        "_good_bye", "_inputs", "_local", "_room", "_sink", "_tracks",
        "closing", "methods", "participant",
    )  # fmt: skip

    participant: Participant
    watches = False
    reachable = True
    facts = _FACTS

    def __init__(self, room: Room, local: LocalParticipant) -> None:
        self._room = room
        self._local = local
        self._sink: Sink | None = None
        self._tracks: Sequence[Track] = ()
        self._inputs: dict[Source, float] = {}
        self.methods: Mapping[str, RpcMethod] = {}
        self.closing = False
        self._good_bye: asyncio.Future[None] | None = None

    @property
    def listens(self) -> bool:
        return self._sink is not None

    def listen(self, sink: Sink) -> None:
        self._sink = sink
        self._inputs = {}
        self._mix()

    def deafen(self) -> None:
        self._sink = None

    def depart(self, reason: DisconnectReason) -> None:
        """Hear nothing more, and be out of the room; with that it is of no use to anybody."""
        self._tracks = ()
        self._mix()
        self._room.leave(self.participant, reason)
        # These hold the seat in turn: without them, nobody has to look for rings of references.
        self._local = _NOBODY
        self.methods = {}
        self._good_bye = None
        del self.participant

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        self._tracks = tracks
        self._mix()
        for track in tracks:
            self._room.received(self.participant, track)

    def source_changed(self, track: Track) -> None:
        self._mix()

    def _mix(self) -> None:
        if self._sink is None:
            return
        inputs = {
            track.source: 1.0
            for track in self._tracks
            if track.source is not None and not track.info.muted
        }
        if inputs != self._inputs:
            self._inputs = inputs
            self._sink.set_inputs(inputs)

    def receive_data(self, message: DataMessage) -> None:
        content = message.content
        if isinstance(content, DispatchEnded):
            self._local.on_dispatch_ended(content)
        elif content is not None:
            self._local.on_data(content)
        elif isinstance(message.rpc, RpcRequest):
            self._answer(message.sender_identity, message.rpc)

    def _answer(self, caller: str, request: RpcRequest) -> None:
        """A method that is not there is refused at once: nobody waits for an answer to it."""
        answer = RpcAnswer(request.id, error=(RpcCode.UNSUPPORTED_METHOD, UNSUPPORTED, ""))
        method = self.methods.get(request.method)
        if method is not None:
            try:
                answer = RpcAnswer(request.id, method(request.payload))
            except RpcFailed as failure:
                answer = RpcAnswer(request.id, error=(failure.rpc_code, failure.message, ""))
        for reply in (RpcAck(request.id), answer):
            self._room.send(
                DataMessage(
                    reliable=True,
                    sender_sid=self.participant.sid,
                    sender_identity=self.participant.identity,
                    destinations=frozenset({caller}),
                    rpc=reply,
                )
            )

    def close(self, reason: DisconnectReason) -> asyncio.Future[None]:
        if self.closing:
            # Removed, and then its room is deleted: both wait for the one good-bye.
            return self._good_bye or nothing_to_wait_for()
        self.closing = True
        self._good_bye = asyncio.ensure_future(self._local.close(reason))
        self._good_bye.add_done_callback(partial(self._closed, reason))
        return self._good_bye

    def _closed(self, reason: DisconnectReason, closing: asyncio.Future[None]) -> None:
        self.depart(reason)
        failure = None if closing.cancelled() else closing.exception()
        if failure is not None:
            _log.error("a participant failed to say good-bye", exc_info=failure)

    def participants_changed(self, infos: Sequence[ParticipantInfo]) -> None:
        return

    def room_changed(self, info: RoomInfo) -> None:
        return

    def track_subscribed(self, track_sid: str) -> None:
        return

    def subscription_permission_changed(
        self, publisher_sid: str, track_sid: str, *, allowed: bool
    ) -> None:
        return

    def speakers_changed(self, speakers: Sequence[Speaker]) -> None:
        return

    def quality_changed(self, qualities: Mapping[str, ConnectionQuality]) -> None:
        return

    def muted_by_server(self, track_sid: str, *, muted: bool) -> None:
        return

    def unpublished_by_server(self, track_sid: str) -> None:
        return

    def grants_changed(self) -> None:
        return
