"""A participant as its room sees it: facts, rights, tracks and wishes, and its connection's port.

How it is connected is the business of its Member: a client's session, or the seat of somebody who
lives in this process (a phone).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from switchroom.base.ids import new_id
from switchroom.base.legible import legible, legible_texts
from switchroom.rooms.data import DataMessage
from switchroom.rooms.info import (
    ClientFacts,
    ConnectionQuality,
    ParticipantInfo,
    ParticipantKind,
    ParticipantKindDetail,
    ParticipantState,
    Permissions,
    RoomInfo,
    Speaker,
    is_dependent,
)
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.subscriptions import Audience, Wishes
from switchroom.rooms.track import Track

Closing = Coroutine[Any, Any, None] | asyncio.Future[None]
"""Good-byes, which take time."""


class Member(Protocol):
    """What a participant's connection does for its room.

    All but `close` are synchronous, never fail and never wait: what can't be delivered is the
    connection's own problem.
    """

    @property
    def facts(self) -> ClientFacts: ...

    @property
    def watches(self) -> bool:
        """Whether it is to be told of the other participants (a phone is not)."""
        ...

    @property
    def listens(self) -> bool:
        """Whether the participant can be sent tracks yet."""
        ...

    @property
    def reachable(self) -> bool:
        """Whether it can be told something now: its signal connection is there."""
        ...

    def participants_changed(self, infos: Sequence[ParticipantInfo]) -> None: ...

    def room_changed(self, info: RoomInfo) -> None: ...

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        """The whole state: every track this participant is to receive from now on."""
        ...

    def source_changed(self, track: Track) -> None:
        """A track that is heard has another source, was muted or unmuted."""
        ...

    def track_subscribed(self, track_sid: str) -> None:
        """Somebody receives our track for the first time."""
        ...

    def subscription_permission_changed(
        self, publisher_sid: str, track_sid: str, *, allowed: bool
    ) -> None: ...

    def speakers_changed(self, speakers: Sequence[Speaker]) -> None: ...

    def quality_changed(self, qualities: Mapping[str, ConnectionQuality]) -> None: ...

    def receive_data(self, message: DataMessage) -> None: ...

    def muted_by_server(self, track_sid: str, *, muted: bool) -> None: ...

    def unpublished_by_server(self, track_sid: str) -> None: ...

    def grants_changed(self) -> None:
        """Name, metadata, attributes or permissions are not those of the token any more."""
        ...

    def close(self, reason: DisconnectReason) -> Closing:
        """End the connection for this reason. The room removes the participant afterwards."""
        ...


class Participant:
    """One participant of one room. Changed by its Room only, which tells the others.

    `heard` are the tracks it is to be sent, `refused` the sids of those that it would like to hear
    and whose publishers do not let it. `level` and `quality` are what was last told of it.
    `dependent` is as `is_dependent` says, `recorder` whether it records the room, which the others
    are told of, and `gone` whether it has left.
    """

    __slots__ = (
        "_info",
        "attributes",
        "audience",
        "dependent",
        "facts",
        "gone",
        "heard",
        "hidden",
        "identity",
        "joined_at",
        "joined_at_ns",
        "kind",
        "kind_details",
        "level",
        "member",
        "metadata",
        "name",
        "permissions",
        "quality",
        "reason",
        "recorder",
        "refused",
        "sid",
        "state",
        "tracks",
        "version",
        "was_active",
        "wishes",
    )

    def __init__(
        self,
        identity: str,
        member: Member,
        *,
        name: str = "",
        kind: ParticipantKind = ParticipantKind.STANDARD,
        kind_details: tuple[ParticipantKindDetail, ...] = (),
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
        auto_subscribe: bool = True,
    ) -> None:
        self.sid = new_id("PA_")
        self.identity = identity
        self.member = member
        self.facts = member.facts
        self.name = legible(name)
        self.kind = kind
        self.kind_details = kind_details
        self.metadata = legible(metadata)
        self.attributes: Mapping[str, str] = legible_texts(attributes or {})
        self.permit(permissions or Permissions())
        self.wishes = Wishes(automatic=auto_subscribe)
        self.audience = Audience()
        self.heard: dict[str, Track] = {}
        self.refused: set[str] = set()
        self.tracks: dict[str, Track] = {}
        self.state = ParticipantState.JOINING
        self.was_active = self.gone = False
        self.reason = DisconnectReason.UNKNOWN_REASON
        self.level = Speaker(self.sid, 0.0, active=False)
        self.quality = ConnectionQuality.EXCELLENT
        self.joined_at = 0.0
        self.joined_at_ns = 0
        self.version = 0
        self._info: ParticipantInfo | None = None

    def permit(self, permissions: Permissions) -> None:
        """It has these rights from now on."""
        self.permissions = permissions
        self.hidden = permissions.hidden
        self.dependent = is_dependent(self.kind, permissions)
        self.recorder = self.kind is ParticipantKind.EGRESS or permissions.recorder

    def part(self, reason: DisconnectReason) -> None:
        """It is out of its room."""
        self.state = ParticipantState.DISCONNECTED
        self.gone = True
        self.reason = reason
        self.touch()

    def touch(self) -> None:
        """Something that is told of this participant has changed."""
        self.version += 1
        self._info = None

    def info(self) -> ParticipantInfo:
        """The record as it is now; the same object until the next change."""
        if self._info is None:
            self._info = self._make_info()
        return self._info

    def _make_info(self) -> ParticipantInfo:
        return ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            name=self.name,
            state=self.state,
            kind=self.kind,
            kind_details=self.kind_details,
            metadata=self.metadata,
            attributes=self.attributes,
            tracks=tuple(track.info for track in self.tracks.values()),
            permissions=self.permissions,
            joined_at_ns=self.joined_at_ns,
            version=self.version,
            is_publisher=bool(self.tracks),
            disconnect_reason=self.reason,
            client_protocol=self.facts.client_protocol,
            capabilities=self.facts.capabilities,
        )
