"""A WebRTC connection of a client."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from switchroom.base.records import record

from .errors import PeerError
from .events import (
    ChannelOpened,
    Closed,
    Connected,
    DataReceived,
    Disconnected,
    Failed,
    LevelChanged,
    PeerEvent,
    TrackStarted,
)
from .graph import Send, Sink, Source

_MID = re.compile(r"[A-Za-z0-9_]{1,16}\Z")
_LABELS = frozenset({"_reliable", "_lossy", "_data_track"})


class PeerKind(StrEnum):
    """Who writes the offers."""

    ANSWERER = "answerer"
    """The client: single connections, and the publishing one of two."""
    OFFERER = "offerer"
    """We: the subscribing one of two."""


@record
class LocalTransport:
    """Our end of a connection, as an offer says it."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: str
    """``sha-256`` and the certificate's hash in hexadecimal."""
    candidates: tuple[str, ...]
    """Attributes of the offer: ``candidate:…``."""


class Request(Protocol):
    """Queues a command that is answered. Raises :class:`PeerError` when it is refused."""

    def __call__(self, name: str, *arguments: object) -> asyncio.Future[Any]: ...


class Peer:
    """One WebRTC connection. Sections are named by their mid: 1 to 16 letters, digits, ``_``."""

    def __init__(
        self,
        peer: int,
        *,
        send: Send,
        request: Request,
        next_id: Callable[[], int],
        on_event: Callable[[PeerEvent], None],
        on_close: Callable[[int], None],
    ) -> None:
        self.id = peer
        self._send = send
        self._request = request
        self._next_id = next_id
        self._on_event = on_event
        self._on_close = on_close
        self._sources: dict[str, Source] = {}
        self._sinks: dict[str, Sink] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<Peer {self.id}>"

    # ── negotiation, when the client offers ──────────────────────────────────

    async def accept_offer(self, sdp: str) -> str:
        """The answer to an offer, for ``sdp.webrtc`` to finish. New ICE credentials restart ICE.

        Raises :class:`PeerError` for an offer that cannot be answered; the peer lives on.
        """
        answer: str = await self._request("accept_offer", self.id, sdp)
        return answer

    # ── negotiation, when we offer ───────────────────────────────────────────

    async def describe(self) -> LocalTransport:
        """Our end of the connection, for the first offer. Raises :class:`PeerError`."""
        return _transport(await self._request("describe", self.id))

    async def restart_ice(self) -> LocalTransport:
        """Our end with new credentials, for the next offer. Raises :class:`PeerError`."""
        return _transport(await self._request("restart_ice", self.id))

    def declare_sender(self, mid: str) -> int:
        """Make a section in which we send audio; the SSRC to write in the offer."""
        ssrc = secrets.randbelow(0xFFFF_FFFE) + 1
        self._send("declare_sender", self.id, _checked(mid), ssrc)
        return ssrc

    def renew_sender(self, mid: str) -> int:
        """Another SSRC for a section in which we send, for its next track; the SSRC.

        Clients built on libwebrtc hear nothing when a section that was inactive sends again with
        the SSRC that it had. Call it before the offer or answer that brings the section back.
        """
        ssrc = secrets.randbelow(0xFFFF_FFFE) + 1
        self._send("renew_sender", self.id, _checked(mid), ssrc)
        return ssrc

    def set_sender_payload_types(self, mid: str, payload_types: Mapping[str, int]) -> None:
        """The client's answer for a section: codec name to payload type."""
        types = list(payload_types.items())
        self._send("set_sender_payload_types", self.id, _checked(mid), types)

    async def apply_answer(
        self, ice_ufrag: str, ice_pwd: str, fingerprint: str, setup: str
    ) -> None:
        """The client's end. The first one connects, one with a new ``ice_ufrag`` restarts ICE.

        ``setup`` is the answer's ``a=setup`` (``active`` or ``passive``). Raises
        :class:`PeerError` for values that cannot be used.
        """
        await self._request("apply_answer", self.id, ice_ufrag, ice_pwd, fingerprint, setup)

    # ── both ─────────────────────────────────────────────────────────────────

    def add_remote_candidate(self, candidate: str) -> None:
        """A candidate of the client. Those that are of no use (TCP, mDNS, damaged) are ignored."""
        self._send("add_remote_candidate", self.id, candidate)

    def receive(self, mid: str) -> Source:
        """What the client sends in a section. The same source each time it is asked for."""
        source = self._sources.get(mid)
        if source is None:
            source = self._sources[_checked(mid)] = Source(self._next_id())
            self._send("receive", self.id, mid, source.id)
        return source

    def send(self, mid: str) -> Sink:
        """What we send in a section: one RTP stream. The same sink each time it is asked for."""
        sink = self._sinks.get(mid)
        if sink is None:
            sink = self._sinks[_checked(mid)] = Sink(self._next_id(), self._send)
            self._send("send", self.id, mid, sink.id)
        return sink

    def send_data(self, label: str, payload: bytes) -> None:
        """Send a message on ``_reliable``, ``_lossy`` or ``_data_track``.

        Reliable messages wait for room, up to a bound beyond which the peer fails; the others are
        dropped when there is none, and so is everything before the channel is open.
        Raises :class:`PeerError` for other labels.
        """
        if label not in _LABELS:
            raise PeerError(f"there is no data channel {label!r}")
        self._send("send_data", self.id, label, payload)

    def close(self) -> None:
        """Say good-bye and forget the connection. No event comes afterwards."""
        if not self._closed:
            self._closed = True
            self._send("close_peer", self.id)
            self._on_close(self.id)

    def handle(self, news: tuple[Any, ...]) -> None:
        """For the engine: one of the compiled engine's event tuples."""
        event = self._event(news)
        if event is not None:
            self._on_event(event)

    def _event(self, news: tuple[Any, ...]) -> PeerEvent | None:
        match news:
            case ("connected", _):
                return Connected()
            case ("disconnected", _):
                return Disconnected()
            case ("closed", _):
                return Closed()
            case ("failed", _, reason):
                return Failed(reason)
            case ("channel_opened", _, label):
                return ChannelOpened(label)
            case ("data_received", _, label, payload):
                return DataReceived(label, payload)
            case ("track_started", _, mid, codec):
                return TrackStarted(mid, codec)
            case ("level_changed", _, source, level, active):
                return LevelChanged(Source(source), level, active)
        return None


def _checked(mid: str) -> str:
    if not _MID.match(mid):
        raise PeerError(f"not a usable mid: {mid[:64]!r}")
    return mid


def _transport(answer: tuple[str, str, str, list[str]]) -> LocalTransport:
    ice_ufrag, ice_pwd, fingerprint, candidates = answer
    return LocalTransport(ice_ufrag, ice_pwd, fingerprint, tuple(candidates))
