"""Participants that live in this process, such as phones: their port and the seat they get.

A local participant is in the room like any other: seen, heard, sent messages, removed. It takes no
part in signalling, so a room of phones costs no protocol message at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from switchroom.media import Sink, Source
from switchroom.rooms.data import DataMessage, DispatchEnded, Dtmf, UserData
from switchroom.rooms.info import (
    ClientFacts,
    ConnectionQuality,
    ParticipantInfo,
    ParticipantKind,
    Permissions,
    RoomInfo,
    Speaker,
    TrackInfo,
    TrackSource,
    TrackType,
)
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.room import Room
from switchroom.rooms.rpc import UNSUPPORTED, RpcAck, RpcAnswer, RpcCode, RpcRequest
from switchroom.rooms.track import Track, new_track_sid

_FACTS = ClientFacts()
"""Client protocol 0: peers then use the plain forms of RPC and streams towards it."""


class LocalParticipant(Protocol):
    """What a participant in this process does when the room turns to it."""

    async def close(self, reason: DisconnectReason) -> None:
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


@dataclass(frozen=True, slots=True)
class LocalParticipantSpec:
    """Who joins which room; the room is created when there is none of that name."""

    room_name: str
    identity: str
    name: str = ""
    kind: ParticipantKind = ParticipantKind.SIP
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


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
            permissions=Permissions(can_update_metadata=True),
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
        if not self.gone:
            self._room.publish(self._participant, info, source)
        return info.sid

    def set_source(self, track_sid: str, source: Source | None) -> None:
        """Let a published track sound from somewhere else."""
        track = self._participant.tracks.get(track_sid)
        if track is not None:
            self._room.set_source(track, source)

    def set_mime_type(self, track_sid: str, mime_type: str) -> None:
        """Tell what a published track is coded in, once that is known."""
        track = self._participant.tracks.get(track_sid)
        if track is not None and track.info.mime_type != mime_type:
            self._room.change_track(track, mime_type=mime_type)

    def hear(self, sink: Sink) -> None:
        """Send everything audible of the others to `sink` from now on, kept up to date."""
        if not self.gone:
            self._member.listen(sink)
            self._room.ask(self._participant, (), wanted=True)

    def set_attributes(self, changes: Mapping[str, str]) -> None:
        """Change attributes; an empty value removes one. Raises LimitExceeded."""
        if not self.gone:
            self._room.update(self._participant, attributes=changes)

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

    async def leave(self, reason: DisconnectReason) -> None:
        """Leave the room for this reason. No effect once the room has begun to close the seat."""
        if not self._member.closing:
            self._member.closing = True
            self._member.silence()
            self._room.leave(self._participant, reason)

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


class _LocalMember:
    """The Member behind a seat: tracks become the inputs of one sink, messages method calls."""

    __slots__ = ("_inputs", "_local", "_room", "_sink", "_tracks", "closing", "participant")

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
        self.closing = False

    @property
    def listens(self) -> bool:
        return self._sink is not None

    def listen(self, sink: Sink) -> None:
        self._sink = sink
        self._inputs = {}
        self._mix()

    def silence(self) -> None:
        self._tracks = ()
        self._mix()

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
            self._refuse(message, message.rpc)

    def _refuse(self, message: DataMessage, request: RpcRequest) -> None:
        """It has no methods: say so, rather than let the caller wait for an answer."""
        refused = RpcAnswer(request.id, error=(RpcCode.UNSUPPORTED_METHOD, UNSUPPORTED, ""))
        for reply in (RpcAck(request.id), refused):
            self._room.send(
                DataMessage(
                    reliable=True,
                    sender_sid=self.participant.sid,
                    sender_identity=self.participant.identity,
                    destinations=frozenset({message.sender_identity}),
                    rpc=reply,
                )
            )

    async def close(self, reason: DisconnectReason) -> None:
        if self.closing:
            return
        self.closing = True
        try:
            await self._local.close(reason)
        finally:
            self.silence()

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
