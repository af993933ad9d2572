"""A published track: what is told of it, where its sound comes from, and who receives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchroom.base.ids import new_id
from switchroom.base.records import replace
from switchroom.media import Source
from switchroom.rooms.info import TrackInfo, TrackSource, TrackType

if TYPE_CHECKING:
    from switchroom.rooms.participant import Participant

_TYPE_LETTERS = {TrackType.AUDIO: "A", TrackType.VIDEO: "V", TrackType.DATA: "D"}
_SOURCE_LETTERS = {
    TrackSource.CAMERA: "C",
    TrackSource.MICROPHONE: "M",
    TrackSource.SCREEN_SHARE: "S",
    TrackSource.SCREEN_SHARE_AUDIO: "s",
}


def new_track_sid(type_: TrackType, source: TrackSource) -> str:
    """`TR_`, a letter each for type and source as LiveKit has it, and 12 random characters."""
    return new_id(f"TR_{_TYPE_LETTERS[type_]}{_SOURCE_LETTERS.get(source, '')}")


class Track:
    """One track of one participant, from publication to its end.

    `source` is None while there is nothing to hear yet. `receivers` are the participants that are
    being sent the track; the publisher is told once of the first who is not hidden.
    """

    __slots__ = ("announced", "info", "publisher", "receivers", "sid", "source")

    def __init__(self, info: TrackInfo, publisher: Participant, source: Source | None) -> None:
        self.info = info
        self.sid = info.sid
        self.publisher = publisher
        self.source = source
        self.receivers: set[Participant] = set()
        self.announced = False

    def change(self, **changes: object) -> None:
        """Replace fields of the info."""
        self.info = replace(self.info, **changes)  # type: ignore[arg-type]  # checked by TrackInfo
