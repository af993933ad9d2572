"""The phone's seat in its room: what the room is shown of it, and told by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from switchroom.base.errors import ServiceError
from switchroom.base.log import get_logger
from switchroom.media import Sink, Source
from switchroom.rooms.local import LocalParticipantSpec, Seat
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.rpc import RpcMethod
from switchroom.telephony.calls.call_events import Guest
from switchroom.telephony.calls.dtmf import code_of
from switchroom.telephony.calls.participant import PhoneParticipant

_log = get_logger("telephony")

#: Receivers without a G.711 codec of their own get Opus, which is what LiveKit's phones publish.
_TRACK_MIME_TYPE = "audio/opus"


class PhoneSeat:
    """Before the phone has joined, and after it has left, everything here has no effect."""

    def __init__(self, rooms: Rooms, call_id: str) -> None:
        self._rooms = rooms
        self._call_id = call_id
        self._seat: Seat | None = None
        self._track_sid = ""

    def join(
        self,
        guest: Guest,
        tell: Callable[[object], None],
        play_out: Callable[[], asyncio.Future[None]],
    ) -> Seat:
        """Take the seat. Raises ServiceError."""
        spec = LocalParticipantSpec(
            room_name=guest.room_name,
            identity=guest.identity,
            name=guest.name,
            metadata=guest.metadata,
            attributes=guest.attributes,
            configuration=guest.configuration,
            preset=guest.preset,
        )
        self._seat = self._rooms.join_local(spec, PhoneParticipant(tell, play_out))
        return self._seat

    @property
    def taken(self) -> Seat | None:
        """The seat itself, once the phone has joined."""
        return self._seat

    @property
    def attributes(self) -> Mapping[str, str]:
        """The participant's attributes: the last ones, once it has left."""
        return self._seat.attributes if self._seat is not None else {}

    def publish(self, source: Source | None) -> None:
        """Publish the phone's track; without a source it is silent."""
        if self._seat is not None:
            identity = self._seat.identity
            self._track_sid = self._seat.publish_audio(identity, source, _TRACK_MIME_TYPE)

    def sound_from(self, source: Source) -> None:
        """Let the published track sound from somewhere else."""
        if self._seat is not None:
            self._seat.set_source(self._track_sid, source)

    def hear(self, sink: Sink) -> None:
        """Send what is audible in the room to `sink` from now on."""
        if self._seat is not None:
            self._seat.hear(sink)

    def hear_only(self, sink: Sink, source: Source | None) -> None:
        """Send only `source` to `sink`, and nothing of the room, until `hear`."""
        if self._seat is not None:
            self._seat.hear_only(sink, source)

    def offer_methods(self, methods: Mapping[str, RpcMethod]) -> None:
        """Let the room call these."""
        if self._seat is not None:
            self._seat.offer_methods(methods)

    def show(self, changes: Mapping[str, str]) -> bool:
        """Change attributes; False if the room refuses so many or so long ones."""
        if self._seat is None:
            return True
        try:
            self._seat.set_attributes(changes)
        except ServiceError as refusal:
            _log.warning("attributes refused", call=self._call_id, why=refusal.message)
            return False
        return True

    def tell_digit(self, digit: str) -> None:
        """Tell the room which key was pressed."""
        if self._seat is not None:
            self._seat.send_dtmf(code_of(digit), digit.lower())

    def level_changed(self, level: float, *, active: bool) -> None:
        """How loud the phone is, 0 to 1."""
        if self._seat is not None:
            self._seat.level_changed(level, active=active)

    def leave(self, reason: DisconnectReason) -> None:
        """Give the seat back."""
        if self._seat is not None:
            self._seat.leave(reason)
