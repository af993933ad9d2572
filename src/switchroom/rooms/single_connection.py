"""One peer connection for both directions, always offered by the client (`/rtc/v1`).

The server can't offer. A track for the client is put on an audio section that the client offered to
receive; when none is free, or one is to be given back, the client is asked to offer again
(MediaSectionsRequirement).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from switchroom.base.tasks import Tasks
from switchroom.media import Engine, Peer, PeerKind
from switchroom.rooms import signal_out
from switchroom.rooms.connection import NEGOTIATION_LIMIT, ConnectionHost
from switchroom.rooms.incoming import Incoming, PeerNews
from switchroom.rooms.requests import Answer, Offer, Trickle
from switchroom.rooms.serial import Serial
from switchroom.rooms.timers import Timer, Timers
from switchroom.rooms.track import Track
from switchroom.sdp.webrtc import (
    OfferedSection,
    TrackLabel,
    finish_answer,
    offered_sections,
    prepare_offer,
)


class SingleConnection:
    """The connection of a client that joined by `/rtc/v1`."""

    def __init__(
        self,
        engine: Engine,
        host: ConnectionHost,
        incoming: Incoming,
        *,
        tasks: Tasks,
        timers: Timers,
    ) -> None:
        self._engine = engine
        self._host = host
        self._incoming = incoming
        self._timers = timers
        self._negotiation = Serial(tasks, "negotiate", self._broken)
        self._peer: Peer | None = None
        self._free: list[str] = []
        self._wanted: dict[str, Track] = {}
        self._assigned: dict[str, Track] = {}
        self._told: dict[str, Track] = {}
        self._last: dict[str, Track] = {}
        self._ended: set[str] = set()
        self._playing: dict[str, Track] = {}
        self._asked: Timer | None = None
        self._review_due = False
        self._reachable = True
        self._closed = False
        self._news = PeerNews(host, incoming, sends_data=True, link_changed=self._link_changed)

    async def open(self) -> None:
        self._peer = await self._engine.open_peer(PeerKind.ANSWERER, self._news)

    def begin(self) -> None:
        """The client's offer came with its join, or will come."""

    def offer(self, offer: Offer) -> None:
        self._negotiation.submit(partial(self._answer_offer, offer))

    def answer(self, answer: Answer) -> None:
        """We never offer, so nothing is answered."""

    def trickle(self, candidate: Trickle) -> None:
        if self._peer is not None:
            self._peer.add_remote_candidate(candidate.candidate)

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        self._wanted = {track.sid: track for track in tracks}
        for mid, track in self._assigned.items():
            if track.sid not in self._wanted:
                # For good: a client that unsubscribed has let the track go, and if it wants it
                # back it waits to be sent it anew.
                self._ended.add(mid)
        for mid in self._ended & self._playing.keys():
            self._play(mid, None)
        self._review_soon()

    def source_changed(self, track: Track) -> None:
        for mid, playing in self._playing.items():
            if playing is track:
                self._play(mid, track)

    def signal_lost(self) -> None:
        self._reachable = False
        self._stop_waiting()

    def resume(self) -> None:
        """The client offers anew by itself, with an ICE restart."""
        self._reachable = True
        self._stop_waiting()

    def send_data(self, label: str, payload: bytes) -> None:
        if self._peer is not None:
            self._peer.send_data(label, payload)

    def retire(self) -> None:
        self._closed = True
        self._news.retire()
        self._stop_waiting()
        self._negotiation.close()
        for mid in self._playing:
            self._play(mid, None)

    def close(self) -> None:
        self.retire()
        if self._peer is not None:
            self._peer.close()

    # ── negotiation ──────────────────────────────────────────────────────────

    async def _answer_offer(self, offer: Offer) -> None:
        """One offer, one answer. Raises SdpError, PeerError: then the session starts anew."""
        peer = self._peer
        if peer is None:
            return
        self._stop_waiting()
        sections = offered_sections(offer.sdp)
        self._assign(peer, sections)
        answered = await peer.accept_offer(prepare_offer(offer.sdp))
        if self._closed:
            return
        # Who has left meanwhile is not known to the client any more.
        self._told = {mid: t for mid, t in self._assigned.items() if mid not in self._ended}
        self._ended.clear()
        self._last.update(self._told)
        labels = {mid: TrackLabel(t.publisher.sid, t.sid) for mid, t in self._told.items()}
        sids = {mid: track.sid for mid, track in self._told.items()}
        answer = finish_answer(offer.sdp, answered, labels)
        self._host.send(signal_out.answer(answer, offer.id, sids))
        self._incoming.apply(peer, sections)
        self._connect()
        self._review_soon()

    def _assign(self, peer: Peer, sections: Sequence[OfferedSection]) -> None:
        """Give back the sections of tracks that ended, and put tracks on those that are free.

        A section goes from one track to another by way of an answer that says inactive, and on
        a new SSRC: libwebrtc announces a track only where it did not receive before, and plays it
        only on an SSRC that it has not heard there.
        """
        open_mids = {
            section.mid: section
            for section in sections
            if section.kind == "audio" and not section.rejected
        }
        self._assigned = {
            mid: track
            for mid, track in self._assigned.items()
            if mid not in self._ended
            and mid in open_mids
            and open_mids[mid].direction in ("recvonly", "sendrecv")
        }
        self._free = [
            mid
            for mid, section in open_mids.items()
            if section.direction == "recvonly"
            and mid not in self._assigned
            and mid not in self._told
        ]
        carried = {track.sid for track in self._assigned.values()}
        missing = [track for sid, track in self._wanted.items() if sid not in carried]
        for track in missing:
            # Not where it was before: there the Rust client does not take it for a new track.
            mid = next((m for m in self._free if self._last.get(m) is not track), None)
            if mid is None:
                continue
            self._free.remove(mid)
            self._assigned[mid] = track
            if mid in self._last:
                peer.renew_sender(mid)

    def _connect(self) -> None:
        """Let what was negotiated sound, and nothing else."""
        self._assigned = dict(self._told)
        for mid in tuple(self._playing):
            if self._told.get(mid) is not self._playing[mid]:
                self._play(mid, None)
                del self._playing[mid]
        for mid, track in self._told.items():
            if mid not in self._playing:
                self._playing[mid] = track
                self._play(mid, track)
                self._host.track_received(track)

    def _play(self, mid: str, track: Track | None) -> None:
        if self._peer is not None:
            source = track.source if track is not None else None
            self._peer.send(mid).set_inputs({source: 1.0} if source is not None else {})

    def _review_soon(self) -> None:
        """Several changes at once, such as those of a join, shall cost one negotiation."""
        if not self._review_due:
            self._review_due = True
            asyncio.get_running_loop().call_soon(self._review)

    def _review(self) -> None:
        """Ask for another offer if there is a reason to, and none is on its way."""
        self._review_due = False
        waits = self._asked is not None or self._negotiation.busy
        if self._closed or waits or not self._reachable:
            return
        carried = {t.sid for mid, t in self._assigned.items() if mid not in self._ended}
        missing = [track for sid, track in self._wanted.items() if sid not in carried]
        if not missing and not self._ended:
            return
        returning = set(self._last.values()).intersection(missing)
        free = max(0, len(self._free) - len(returning))
        additional = max(0, len(missing) - free)
        self._host.send(signal_out.media_sections_requirement(additional))
        self._asked = self._timers.after(NEGOTIATION_LIMIT, self._not_offered)

    def _not_offered(self) -> None:
        self._asked = None
        self._host.failed("client did not offer the media sections it was asked for")

    def _stop_waiting(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    def _broken(self, failure: Exception) -> None:
        self._host.failed(f"negotiation failed: {failure}")

    def _link_changed(self, up: bool) -> None:
        if up:
            self._host.connected()
        else:
            self._host.disconnected()
