"""The sections in which a client is sent tracks: what each carries, and what sounds there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from switchroom.media import Peer
from switchroom.rooms.track import Track
from switchroom.sdp.webrtc import TrackLabel


@dataclass(slots=True)
class Section:
    """One section: it keeps its place and mid, and may carry other tracks.

    It goes from one track to another by way of a description that says inactive, and on a new SSRC:
    libwebrtc announces a track only where it did not receive before, and plays it only on an SSRC
    that it has not heard there. `track` is what it is to carry, `told` what the client was last
    told that it carries, `last` what it ever carried last. `usable` says whether the client lets us
    send there.
    """

    mid: str
    ssrc: int = 0
    usable: bool = True
    track: Track | None = None
    told: Track | None = None
    last: Track | None = None
    playing: Track | None = None

    @property
    def free(self) -> bool:
        return self.usable and self.track is None and self.told is None

    @property
    def label(self) -> TrackLabel | None:
        """Whose track it carries, as a description says it."""
        return None if self.track is None else TrackLabel(self.track.publisher.sid, self.track.sid)


class Sections:
    """All sections of one connection in which a client is sent tracks."""

    def __init__(self) -> None:
        self._peer: Peer | None = None
        self._sections: dict[str, Section] = {}
        self._wanted: dict[str, Track] = {}
        self._paused: set[str] = set()

    def __iter__(self) -> Iterator[Section]:
        return iter(self._sections.values())

    def __len__(self) -> int:
        return len(self._sections)

    def open(self, peer: Peer) -> None:
        """The engine's end of the connection."""
        self._peer = peer

    def section(self, mid: str, ssrc: int = 0) -> Section:
        """The section of that mid, new if there is none."""
        return self._sections.setdefault(mid, Section(mid, ssrc))

    # ── what is to be carried ────────────────────────────────────────────────

    def want(self, tracks: Sequence[Track]) -> None:
        """All that the client is to be sent from now on; what is not among it is silent at once."""
        self._wanted = {track.sid: track for track in tracks}
        self._paused &= self._wanted.keys()
        for section in self:
            if section.track is not None and section.track.sid not in self._wanted:
                # For good: a client that unsubscribed has let the track go, and if it wants it
                # back it waits to be sent it anew.
                self.give_back(section)

    def give_back(self, section: Section) -> None:
        """The section does not carry its track any more, whatever the client was told."""
        section.track = None
        self.sound(section)

    @property
    def missing(self) -> list[Track]:
        """Tracks that are to be sent, and that no section carries."""
        carried = {section.track.sid for section in self if section.track is not None}
        return [track for sid, track in self._wanted.items() if sid not in carried]

    @property
    def stale(self) -> bool:
        """Whether the client believes of a section that it carries what it does not any more."""
        return any(section.track is None and section.told is not None for section in self)

    def plan(self) -> list[tuple[Track, Section]]:
        """A free section for as many of the missing tracks as there are."""
        free = [section for section in self if section.free]
        planned = []
        for track in self.missing:
            found = _place_for(track, free)
            if found is not None:
                free.remove(found)
                planned.append((track, found))
        return planned

    def assign(self) -> None:
        """Put missing tracks on free sections, as far as there are any."""
        for track, section in self.plan():
            section.track = track
            if section.last is not None and self._peer is not None:
                section.ssrc = self._peer.renew_sender(section.mid)

    def tell(self) -> None:
        """The client is told now what each section carries."""
        for section in self:
            section.told = section.track
            section.last = section.track or section.last

    # ── what sounds ──────────────────────────────────────────────────────────

    def sound(self, section: Section) -> Track | None:
        """Let a section sound as it is assigned; the track that begins to."""
        if section.playing is section.track:
            return None
        section.playing = section.track
        self._feed(section)
        return section.track

    def source_changed(self, track: Track) -> None:
        """A track sounds from somewhere else."""
        for section in self:
            if section.playing is track:
                self._feed(section)

    def pause(self, track_sids: Iterable[str], *, paused: bool) -> None:
        """The client can do without the packets of these tracks for the moment, or wants them."""
        wanted = self._wanted.keys() & track_sids
        self._paused = self._paused | wanted if paused else self._paused - wanted
        for section in self:
            if section.playing is not None and section.playing.sid in wanted:
                self._feed(section)

    def silence(self) -> None:
        """Nothing sounds any more."""
        for section in self:
            self.give_back(section)

    def _feed(self, section: Section) -> None:
        if self._peer is None:
            return
        track = section.playing
        source = None if track is None or track.sid in self._paused else track.source
        self._peer.send(section.mid).set_inputs({source: 1.0} if source is not None else {})


def _place_for(track: Track, free: Iterable[Section]) -> Section | None:
    """Not where it was before: there the Rust client does not take it for a new track."""
    return next((section for section in free if section.last is not track), None)
