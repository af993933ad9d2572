"""From AddTrack to sound: which offered section carries which announced track. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto

from switchroom.base.records import record, replace
from switchroom.rooms.info import TrackInfo, TrackSource, TrackType
from switchroom.rooms.limits import is_too_long_of_track
from switchroom.rooms.signal.requests import AddTrack
from switchroom.rooms.track import new_track_sid
from switchroom.sdp.webrtc import OfferedSection

_MAX_TRACKS = 64
"""Announced and live tracks of one participant together."""

_STREAMS = {
    TrackSource.CAMERA: "camera",
    TrackSource.MICROPHONE: "camera",
    TrackSource.SCREEN_SHARE: "screen",
    TrackSource.SCREEN_SHARE_AUDIO: "screen",
}


class Refusal(Enum):
    """Why an AddTrack is not answered with a track at once."""

    UNSUPPORTED = auto()
    TOO_MANY = auto()
    TOO_LONG = auto()
    QUEUED = auto()


@record
class Matched:
    """What an offer changes: sections that begin to carry a track, and those that stopped."""

    started: tuple[tuple[str, TrackInfo], ...]
    stopped: tuple[str, ...]


class Publishing:
    """The tracks that one client announced, and the sections that carry them."""

    def __init__(self) -> None:
        self._pending: dict[str, TrackInfo] = {}
        self._queued: deque[AddTrack] = deque()
        self._live: dict[str, TrackInfo] = {}
        self._ended: set[str] = set()

    @property
    def live(self) -> dict[str, TrackInfo]:
        """Tracks by the mid of their section."""
        return self._live

    def knows(self, track_sid: str) -> bool:
        """Whether a track of that sid is announced or live."""
        known = (*self._pending.values(), *self._live.values())
        return any(info.sid == track_sid for info in known)

    def announce(self, request: AddTrack) -> TrackInfo | Refusal:
        """Take an AddTrack: the info to answer with, or why not."""
        if request.type is not TrackType.AUDIO:
            return Refusal.UNSUPPORTED
        if any(is_too_long_of_track(text) for text in (request.name, request.stream, request.cid)):
            return Refusal.TOO_LONG
        if len(self._pending) + len(self._queued) + len(self._live) >= _MAX_TRACKS:
            return Refusal.TOO_MANY
        if self._in_use(request.cid):
            self._queued.append(request)
            return Refusal.QUEUED
        info = _track_info(request)
        self._pending[request.cid] = info
        return info

    def next_queued(self) -> AddTrack | None:
        """An AddTrack that waited for its cid and can be announced now."""
        for request in self._queued:
            if not self._in_use(request.cid):
                self._queued.remove(request)
                return request
        return None

    def mute(self, track_sid: str, *, muted: bool) -> None:
        """A track that is not live yet was muted or unmuted."""
        for cid, info in self._pending.items():
            if info.sid == track_sid:
                self._pending[cid] = replace(info, muted=muted)
                return

    def match(self, sections: Iterable[OfferedSection]) -> Matched:
        """Compare an offer with what is known, and make the changes."""
        sending = {
            section.mid: section
            for section in sections
            if section.kind == "audio"
            and not section.rejected
            and section.direction in ("sendonly", "sendrecv")
        }
        stopped = tuple(mid for mid in self._live if mid not in sending)
        for mid in stopped:
            del self._live[mid]
        # A track that the server ended goes on being offered until the client has stopped it.
        self._ended.intersection_update(sending)
        started = []
        for mid, section in sending.items():
            known = mid in self._live or mid in self._ended
            info = None if known else self._claim(section)
            if info is not None:
                self._live[mid] = replace(info, mid=mid)
                started.append((mid, self._live[mid]))
        return Matched(tuple(started), stopped)

    def foreseen(self, sections: Iterable[OfferedSection]) -> dict[str, TrackInfo]:
        """The tracks by mid as `match` of this offer will have them; changes nothing."""
        copy = Publishing()
        copy._pending, copy._live = dict(self._pending), dict(self._live)
        copy._ended = set(self._ended)
        copy.match(sections)
        return copy._live

    def drop(self, track_sid: str) -> None:
        """The server ended the track."""
        self._pending = {cid: i for cid, i in self._pending.items() if i.sid != track_sid}
        ended = {mid for mid, info in self._live.items() if info.sid == track_sid}
        for mid in ended:
            del self._live[mid]
        self._ended |= ended

    def forbid(self, allowed: Callable[[TrackSource], bool]) -> None:
        """What was announced and is not allowed any more shall not begin."""
        self._pending = {cid: i for cid, i in self._pending.items() if allowed(i.source)}
        self._queued = deque(request for request in self._queued if allowed(request.source))

    def _claim(self, section: OfferedSection) -> TrackInfo | None:
        """The announced track of a section: by the client's id, else the oldest one.

        Some clients change a track's id when they use a section again.
        """
        if section.msid_track in self._pending:
            return self._pending.pop(section.msid_track)
        if not self._pending:
            return None
        return self._pending.pop(next(iter(self._pending)))

    def _in_use(self, cid: str) -> bool:
        return cid in self._pending or any(info.cid == cid for info in self._live.values())


def _track_info(request: AddTrack) -> TrackInfo:
    return TrackInfo(
        sid=new_track_sid(request.type, request.source),
        type=request.type,
        name=request.name,
        source=request.source,
        muted=request.muted,
        # The answer takes nothing but Opus from clients.
        mime_type="audio/opus",
        cid=request.cid,
        stream=request.stream or _STREAMS.get(request.source, "unknown"),
        disable_dtx=request.disable_dtx,
        stereo=request.stereo,
        disable_red=request.disable_red,
        encryption=request.encryption,
        audio_features=request.audio_features,
    )
