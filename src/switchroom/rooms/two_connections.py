"""Two peer connections: the client offers one to publish on, we offer the other (`/rtc`).

The subscriber connection carries every track that the client hears, each in a section that we
chose, and our data channels. One offer of ours is outstanding at a time; what changes meanwhile
goes into the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from switchroom.base.tasks import Tasks
from switchroom.media import Engine, LocalTransport, Peer, PeerKind
from switchroom.rooms import signal_out
from switchroom.rooms.connection import NEGOTIATION_LIMIT, ConnectionHost
from switchroom.rooms.incoming import Incoming, PeerNews
from switchroom.rooms.requests import Answer, Offer, Trickle
from switchroom.rooms.serial import Serial
from switchroom.rooms.timers import Timer, Timers
from switchroom.rooms.track import Track
from switchroom.sdp.webrtc import TrackLabel, finish_answer, offered_sections, prepare_offer
from switchroom.sdp.webrtc_offer import (
    OFFERED_CODECS,
    AnsweredSection,
    DataSection,
    SubscriberSection,
    read_subscriber_answer,
    subscriber_offer,
)

_DATA = DataSection("data")


@dataclass(slots=True)
class _Section:
    """One of our sending sections: it keeps its place and mid, and may carry other tracks.

    It goes from one track to another by way of an offer that says inactive, and on a new SSRC:
    libwebrtc announces a track only where it did not receive before, and plays it only on an SSRC
    that it has not heard there. `offered` is what the last offer said, `last` what it carried.
    """

    mid: str
    ssrc: int
    track: Track | None = None
    offered: Track | None = None
    last: Track | None = None
    playing: Track | None = None


class TwoConnections:
    """The connections of a client that joined by `/rtc`.

    With `subscriber_primary` the client counts as connected when our connection is up, else when
    its own is.
    """

    def __init__(
        self,
        engine: Engine,
        host: ConnectionHost,
        incoming: Incoming,
        *,
        tasks: Tasks,
        timers: Timers,
        subscriber_primary: bool,
    ) -> None:
        self._engine = engine
        self._host = host
        self._incoming = incoming
        self._timers = timers
        self._subscriber_primary = subscriber_primary
        self._publishing = Serial(tasks, "negotiate publisher", self._broken)
        self._subscribing = Serial(tasks, "negotiate subscriber", self._broken)
        self._publisher: Peer | None = None
        self._subscriber: Peer | None = None
        self._transport: LocalTransport | None = None
        self._remote_ufrag = ""
        self._sections: list[_Section] = []
        self._wanted: dict[str, Track] = {}
        self._version = 0
        self._outstanding: Timer | None = None
        self._changed = False
        self._offer_due = False
        self._down: set[str] = set()
        self._reachable = True
        self._closed = False
        self._publisher_news = self._news_of("publisher", sends_data=False)
        self._subscriber_news = self._news_of("subscriber", sends_data=True)

    async def open(self) -> None:
        self._publisher = await self._engine.open_peer(PeerKind.ANSWERER, self._publisher_news)
        self._subscriber = await self._engine.open_peer(PeerKind.OFFERER, self._subscriber_news)
        self._transport = await self._subscriber.describe()

    def begin(self) -> None:
        self._send_offer()

    def offer(self, offer: Offer) -> None:
        self._publishing.submit(partial(self._answer_offer, offer))

    def answer(self, answer: Answer) -> None:
        # Some clients answer with id 0, others echo ours: only another number is an old answer.
        if self._outstanding is not None and answer.id in (0, self._version):
            self._subscribing.submit(partial(self._take_answer, answer))

    def trickle(self, candidate: Trickle) -> None:
        peer = self._subscriber if candidate.subscriber else self._publisher
        if peer is not None:
            peer.add_remote_candidate(candidate.candidate)

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        self._wanted = {track.sid: track for track in tracks}
        for section in self._sections:
            if section.track is not None and section.track.sid not in self._wanted:
                # For good: a client that unsubscribed has let the track go, and if it wants it
                # back it waits to be sent it anew.
                section.track = None
                self._play(section, None)
        self._offer_soon()

    def source_changed(self, track: Track) -> None:
        for section in self._sections:
            if section.playing is track:
                self._play(section, track)

    def signal_lost(self) -> None:
        self._reachable = False
        self._stop_waiting()

    def resume(self) -> None:
        """Offer anew, with an ICE restart; the client does the same for its own connection."""
        self._reachable = True
        self._stop_waiting()
        self._subscribing.submit(self._restart)

    def send_data(self, label: str, payload: bytes) -> None:
        if self._subscriber is not None:
            self._subscriber.send_data(label, payload)

    def retire(self) -> None:
        self._closed = True
        self._publisher_news.retire()
        self._subscriber_news.retire()
        self._stop_waiting()
        self._publishing.close()
        self._subscribing.close()
        for section in self._sections:
            if section.playing is not None:
                self._play(section, None)

    def close(self) -> None:
        self.retire()
        for peer in (self._publisher, self._subscriber):
            if peer is not None:
                peer.close()

    # ── what the client publishes ────────────────────────────────────────────

    async def _answer_offer(self, offer: Offer) -> None:
        peer = self._publisher
        if peer is None:
            return
        sections = offered_sections(offer.sdp)
        answered = await peer.accept_offer(prepare_offer(offer.sdp))
        if self._closed:
            return
        answer = finish_answer(offer.sdp, answered, {})
        self._host.send(signal_out.answer(answer, offer.id, {}))
        self._incoming.apply(peer, sections)

    # ── what the client hears ────────────────────────────────────────────────

    async def _restart(self) -> None:
        if self._subscriber is not None and not self._closed:
            self._transport = await self._subscriber.restart_ice()
            self._send_offer()

    def _offer_soon(self) -> None:
        """Several changes at once, such as those of a join, shall cost one negotiation."""
        self._changed = True
        if not self._offer_due:
            self._offer_due = True
            asyncio.get_running_loop().call_soon(self._offer_if_free)

    def _offer_if_free(self) -> None:
        self._offer_due = False
        waits = self._outstanding is not None or self._subscribing.busy
        if self._changed and self._reachable and not waits:
            self._send_offer()

    def _send_offer(self) -> None:
        if self._closed or self._transport is None or self._subscriber is None:
            return
        self._changed = False
        self._assign(self._subscriber)
        self._version += 1
        sections = [
            SubscriberSection(section.mid, section.ssrc, _label(section.track))
            for section in self._sections
        ]
        for section in self._sections:
            section.offered = section.track
        text = subscriber_offer(self._transport, [_DATA, *sections], self._version)
        self._host.send(signal_out.offer(text, self._version))
        self._stop_waiting()
        self._outstanding = self._timers.after(NEGOTIATION_LIMIT, self._not_answered)

    def _assign(self, peer: Peer) -> None:
        carried = {section.track.sid for section in self._sections if section.track is not None}
        for sid, track in self._wanted.items():
            if sid not in carried:
                section = self._free_section(peer, track)
                section.track = section.last = track

    def _free_section(self, peer: Peer, track: Track) -> _Section:
        for section in self._sections:
            free = section.track is None and section.offered is None
            # Not where it was before: there the Rust client does not take it for a new track.
            if free and section.last is not track:
                section.ssrc = peer.renew_sender(section.mid)
                return section
        mid = f"s{len(self._sections)}"
        self._sections.append(_Section(mid, peer.declare_sender(mid)))
        return self._sections[-1]

    async def _take_answer(self, answer: Answer) -> None:
        """Raises SdpError, PeerError: then the session starts anew."""
        peer = self._subscriber
        if peer is None:
            return
        said = read_subscriber_answer(answer.sdp)
        self._stop_waiting()
        if said.ice_ufrag != self._remote_ufrag:
            await peer.apply_answer(said.ice_ufrag, said.ice_pwd, said.fingerprint, said.setup)
            self._remote_ufrag = said.ice_ufrag
        answered = {section.mid: section for section in said.sections}
        for section in self._sections:
            self._connect(peer, section, answered.get(section.mid))
        if self._changed:
            self._offer_soon()

    def _connect(self, peer: Peer, section: _Section, answered: AnsweredSection | None) -> None:
        """Let a section sound as it was answered; a section newer than the answer has to wait."""
        if answered is None:
            return
        track = section.track
        if track is None:
            if section.playing is not None:
                self._play(section, None)
                section.playing = None
            return
        usable = {name: answered.payload_types[name] for name in _usable(answered)}
        if not usable:
            failure = signal_out.SubscriptionFailure.CODEC_UNSUPPORTED
            self._host.send(signal_out.subscription_failed(track.sid, failure))
            return
        peer.set_sender_payload_types(section.mid, usable)
        if section.playing is not track:
            section.playing = track
            # It may have ended while the client made the answer.
            self._play(section, track if track.sid in self._wanted else None)
            self._host.track_received(track)

    def _play(self, section: _Section, track: Track | None) -> None:
        if self._subscriber is not None:
            source = track.source if track is not None else None
            self._subscriber.send(section.mid).set_inputs(
                {source: 1.0} if source is not None else {}
            )

    # ── the link ─────────────────────────────────────────────────────────────

    def _news_of(self, name: str, *, sends_data: bool) -> PeerNews:
        return PeerNews(
            self._host,
            self._incoming,
            sends_data=sends_data,
            link_changed=partial(self._link_changed, name),
        )

    def _link_changed(self, name: str, up: bool) -> None:
        if not up:
            self._down.add(name)
            self._host.disconnected()
            return
        recovered = name in self._down
        self._down.discard(name)
        primary = "subscriber" if self._subscriber_primary else "publisher"
        if not self._down and (recovered or name == primary):
            self._host.connected()

    def _not_answered(self) -> None:
        self._outstanding = None
        self._host.failed("client did not answer the subscriber offer")

    def _stop_waiting(self) -> None:
        if self._outstanding is not None:
            self._outstanding.cancel()
            self._outstanding = None

    def _broken(self, failure: Exception) -> None:
        self._host.failed(f"negotiation failed: {failure}")


def _usable(answered: AnsweredSection) -> list[str]:
    """The codecs of an answered section that we can send."""
    return [codec.name for codec in OFFERED_CODECS if codec.name in answered.payload_types]


def _label(track: Track | None) -> TrackLabel | None:
    return None if track is None else TrackLabel(track.publisher.sid, track.sid)
