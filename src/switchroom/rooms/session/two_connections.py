"""Two peer connections: the client offers one to publish on, we offer the other (`/rtc`).

The subscriber connection carries every track that the client hears, each in a section that we
chose, and our data channels. One offer of ours is outstanding at a time; what changes meanwhile
goes into the next.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from switchroom.base.tasks import Tasks
from switchroom.base.timers import Deadline, Soon, Timers
from switchroom.media import Engine, LocalTransport, Peer, PeerKind
from switchroom.rooms.session.connection import NEGOTIATION_LIMIT, ConnectionHost
from switchroom.rooms.session.incoming import Incoming, PeerNews
from switchroom.rooms.session.sections import Section, Sections
from switchroom.rooms.session.serial import Serial
from switchroom.rooms.signal import responses
from switchroom.rooms.signal.requests import Answer, Offer, Trickle
from switchroom.rooms.track import Track
from switchroom.sdp.webrtc import finish_answer, offered_sections, prepare_offer
from switchroom.sdp.webrtc_offer import (
    OFFERED_CODECS,
    AnsweredSection,
    DataSection,
    SubscriberSection,
    read_subscriber_answer,
    subscriber_offer,
)

_DATA = DataSection("data")


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
        self._subscriber_primary = subscriber_primary
        self._publishing = Serial(tasks, "negotiate publisher", self._broken)
        self._subscribing = Serial(tasks, "negotiate subscriber", self._broken)
        self._publisher: Peer | None = None
        self._subscriber: Peer | None = None
        self._transport: LocalTransport | None = None
        self._remote_ufrag = ""
        self._sections = Sections()
        self._version = 0
        self._outstanding = Deadline(timers, NEGOTIATION_LIMIT, self._not_answered)
        self._offer_soon = Soon(self._offer_if_free)
        self._changed = False
        self._down: set[str] = set()
        self._reachable = True
        self._closed = False
        self._publisher_news = self._news_of("publisher", sends_data=False)
        self._subscriber_news = self._news_of("subscriber", sends_data=True)

    async def open(self) -> None:
        self._publisher = await self._engine.open_peer(PeerKind.ANSWERER, self._publisher_news)
        self._subscriber = await self._engine.open_peer(PeerKind.OFFERER, self._subscriber_news)
        self._sections.open(self._subscriber)
        self._transport = await self._subscriber.describe()

    @property
    def peer_ids(self) -> Sequence[int]:
        return [peer.id for peer in (self._publisher, self._subscriber) if peer is not None]

    def begin(self) -> None:
        self._send_offer()

    def offer(self, offer: Offer) -> None:
        self._publishing.submit(partial(self._answer_offer, offer))

    def answer(self, answer: Answer) -> None:
        # Some clients answer with id 0, others echo ours: only another number is an old answer.
        if self._outstanding.running and answer.id in (0, self._version):
            self._subscribing.submit(partial(self._take_answer, answer))

    def trickle(self, candidate: Trickle) -> None:
        peer = self._subscriber if candidate.subscriber else self._publisher
        if peer is not None:
            peer.add_remote_candidate(candidate.candidate)

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        self._sections.want(tracks)
        self._changed = True
        self._offer_soon()

    def source_changed(self, track: Track) -> None:
        self._sections.source_changed(track)

    def pause_tracks(self, track_sids: Collection[str], *, paused: bool) -> None:
        self._sections.pause(track_sids, paused=paused)

    def signal_lost(self) -> None:
        self._reachable = False
        self._outstanding.clear()

    def resume(self) -> None:
        """Offer anew, with an ICE restart; the client does the same for its own connection."""
        self._reachable = True
        self._outstanding.clear()
        self._subscribing.submit(self._restart)

    def send_data(self, label: str, payload: bytes) -> None:
        if self._subscriber is not None:
            self._subscriber.send_data(label, payload)

    def retire(self) -> None:
        self._closed = True
        self._publisher_news.retire()
        self._subscriber_news.retire()
        self._outstanding.clear()
        self._publishing.close()
        self._subscribing.close()
        self._sections.silence()

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
        answer = finish_answer(offer.sdp, answered, {}, self._incoming.wishes(sections))
        self._host.send(responses.answer(answer, offer.id, {}))
        self._incoming.apply(peer, sections)

    # ── what the client hears ────────────────────────────────────────────────

    async def _restart(self) -> None:
        if self._subscriber is not None and not self._closed:
            self._transport = await self._subscriber.restart_ice()
            self._send_offer()

    def _offer_if_free(self) -> None:
        waits = self._outstanding.running or self._subscribing.busy
        if self._changed and self._reachable and not waits:
            self._send_offer()

    def _send_offer(self) -> None:
        if self._closed or self._transport is None or self._subscriber is None:
            return
        self._changed = False
        self._assign(self._subscriber)
        self._version += 1
        sections = [
            SubscriberSection(section.mid, section.ssrc, section.label)
            for section in self._sections
        ]
        self._sections.tell()
        text = subscriber_offer(self._transport, [_DATA, *sections], self._version)
        self._host.send(responses.offer(text, self._version))
        self._outstanding.set()

    def _assign(self, peer: Peer) -> None:
        """Put what is missing on free sections, and on new ones where there are none."""
        self._sections.assign()
        for track in self._sections.missing:
            mid = f"s{len(self._sections)}"
            self._sections.section(mid, peer.declare_sender(mid)).track = track

    async def _take_answer(self, answer: Answer) -> None:
        """Raises SdpError, PeerError: then the session starts anew."""
        peer = self._subscriber
        if peer is None:
            return
        said = read_subscriber_answer(answer.sdp)
        self._outstanding.clear()
        if said.ice_ufrag != self._remote_ufrag:
            await peer.apply_answer(said.ice_ufrag, said.ice_pwd, said.fingerprint, said.setup)
            self._remote_ufrag = said.ice_ufrag
        answered = {section.mid: section for section in said.sections}
        for section in self._sections:
            self._connect(peer, section, answered.get(section.mid))
        if self._changed:
            self._offer_soon()

    def _connect(self, peer: Peer, section: Section, answered: AnsweredSection | None) -> None:
        """Let a section sound as it was answered; a section newer than the answer has to wait."""
        track = section.track
        if answered is None or track is None:
            return
        usable = {name: answered.payload_types[name] for name in _usable(answered)}
        if not usable:
            failure = responses.SubscriptionFailure.CODEC_UNSUPPORTED
            self._host.send(responses.subscription_failed(track.sid, failure))
            return
        peer.set_sender_payload_types(section.mid, usable)
        if self._sections.sound(section) is not None:
            self._host.track_received(track)

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
        self._host.failed("client did not answer the subscriber offer")

    def _broken(self, failure: Exception) -> None:
        self._host.failed(f"negotiation failed: {failure}")


def _usable(answered: AnsweredSection) -> list[str]:
    """The codecs of an answered section that we can send."""
    return [codec.name for codec in OFFERED_CODECS if codec.name in answered.payload_types]
