"""One peer connection for both directions, always offered by the client (`/rtc/v1`).

The server can't offer. A track for the client is put on an audio section that the client offered to
receive; when none is free, or one is to be given back, the client is asked to offer again
(MediaSectionsRequirement).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from switchroom.base.tasks import Tasks
from switchroom.base.timers import Deadline, Soon, Timers
from switchroom.media import Engine, Peer, PeerKind
from switchroom.rooms.session.connection import NEGOTIATION_LIMIT, ConnectionHost
from switchroom.rooms.session.incoming import Incoming, PeerNews
from switchroom.rooms.session.sections import Sections
from switchroom.rooms.session.serial import Serial
from switchroom.rooms.signal import responses
from switchroom.rooms.signal.requests import Answer, Offer, Trickle
from switchroom.rooms.track import Track
from switchroom.sdp.webrtc import OfferedSection, finish_answer, offered_sections, prepare_offer


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
        self._negotiation = Serial(tasks, "negotiate", self._broken)
        self._peer: Peer | None = None
        self._sections = Sections()
        self._asked = Deadline(timers, NEGOTIATION_LIMIT, self._not_offered)
        self._review_soon = Soon(self._review)
        self._reachable = True
        self._closed = False
        self._news = PeerNews(host, incoming, sends_data=True, link_changed=self._link_changed)

    async def open(self) -> None:
        self._peer = await self._engine.open_peer(PeerKind.ANSWERER, self._news)
        self._sections.open(self._peer)

    @property
    def peer_ids(self) -> Sequence[int]:
        return () if self._peer is None else (self._peer.id,)

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
        self._sections.want(tracks)
        self._review_soon()

    def source_changed(self, track: Track) -> None:
        self._sections.source_changed(track)

    def pause_tracks(self, track_sids: Collection[str], *, paused: bool) -> None:
        self._sections.pause(track_sids, paused=paused)

    def signal_lost(self) -> None:
        self._reachable = False
        self._asked.clear()

    def resume(self) -> None:
        """The client offers anew by itself, with an ICE restart."""
        self._reachable = True
        self._asked.clear()

    def send_data(self, label: str, payload: bytes) -> None:
        if self._peer is not None:
            self._peer.send_data(label, payload)

    def retire(self) -> None:
        self._closed = True
        self._news.retire()
        self._asked.clear()
        self._negotiation.close()
        self._sections.silence()

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
        self._asked.clear()
        offered = offered_sections(offer.sdp)
        self._take_in(offered)
        self._sections.assign()
        answered = await peer.accept_offer(prepare_offer(offer.sdp))
        if self._closed:
            return
        # Who left while the engine made the answer is not known to the client any more.
        labels = {s.mid: s.label for s in self._sections if s.label is not None}
        sids = {mid: label.track_sid for mid, label in labels.items()}
        answer = finish_answer(offer.sdp, answered, labels, self._incoming.wishes(offered))
        self._sections.tell()
        self._host.send(responses.answer(answer, offer.id, sids))
        self._incoming.apply(peer, offered)
        self._connect()
        self._review_soon()

    def _take_in(self, offered: Sequence[OfferedSection]) -> None:
        """Which of its sections the client lets us send in."""
        directions = {
            section.mid: section.direction
            for section in offered
            if section.kind == "audio" and not section.rejected
        }
        for mid, direction in directions.items():
            if direction == "recvonly":
                self._sections.section(mid)
        for section in self._sections:
            direction = directions.get(section.mid, "inactive")
            section.usable = direction == "recvonly"
            if section.track is not None and direction not in ("recvonly", "sendrecv"):
                self._sections.give_back(section)

    def _connect(self) -> None:
        """Let what was negotiated sound, and nothing else."""
        for section in self._sections:
            begun = self._sections.sound(section)
            if begun is not None:
                self._host.track_received(begun)

    def _review(self) -> None:
        """Ask for another offer if there is a reason to, and none is on its way."""
        waits = self._asked.running or self._negotiation.busy
        if self._closed or waits or not self._reachable:
            return
        missing = len(self._sections.missing)
        if missing or self._sections.stale:
            additional = missing - len(self._sections.plan())
            self._host.send(responses.media_sections_requirement(additional))
            self._asked.set()

    def _not_offered(self) -> None:
        self._host.failed("client did not offer the media sections it was asked for")

    def _broken(self, failure: Exception) -> None:
        self._host.failed(f"negotiation failed: {failure}")

    def _link_changed(self, up: bool) -> None:
        if up:
            self._host.connected()
        else:
            self._host.disconnected()
