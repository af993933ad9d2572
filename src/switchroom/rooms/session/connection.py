"""What a session needs of a client's WebRTC connection, in either mode, and what it gives to it.

`single_connection` (one peer connection that the client offers) and `two_connections` (a second
one, offered by us, for what the client hears) implement Connection; the session is their host.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from switchroom.media import Source
from switchroom.rooms.info import TrackInfo
from switchroom.rooms.signal.requests import Answer, Offer, Trickle
from switchroom.rooms.track import Track

NEGOTIATION_LIMIT = 15.0
"""Seconds that a client gets to answer an offer, or to make the offer that it was asked for."""


class ConnectionHost(Protocol):
    """The session, as its connection sees it. Nothing here waits or fails."""

    def send(self, message: bytes) -> None:
        """Put a SignalResponse on its way to the client."""
        ...

    def connected(self) -> None:
        """The connection that counts is up (again)."""
        ...

    def disconnected(self) -> None:
        """Nothing comes from the client any more; it may return."""
        ...

    def client_closed(self) -> None:
        """The client closed its end: it leaves, begins anew, or was told to leave."""
        ...

    def failed(self, why: str) -> None:
        """The connection can't be used any further."""
        ...

    def track_started(self, info: TrackInfo, source: Source) -> None:
        """A track that the client announced can be heard."""
        ...

    def track_stopped(self, track_sid: str) -> None:
        """The client's section carries the track no more."""
        ...

    def track_received(self, track: Track) -> None:
        """The client's connection carries a track of somebody else from now on."""
        ...

    def track_coded(self, track_sid: str, mime_type: str) -> None:
        """What the client's track turned out to be coded in."""
        ...

    def source_level(self, source: Source, level: float, *, active: bool) -> None:
        """How loud one of the client's tracks is."""
        ...

    def data_received(self, label: str, payload: bytes) -> None:
        """A message came on a data channel."""
        ...

    def channel_opened(self, label: str) -> None:
        """Messages can be sent on this channel."""
        ...


class Connection(Protocol):
    """A client's media and data, whichever way it is negotiated."""

    async def open(self) -> None:
        """Get the engine's ends. Raises PeerError."""
        ...

    @property
    def peer_ids(self) -> Sequence[int]:
        """The engine's numbers of them."""
        ...

    def begin(self) -> None:
        """The client has been told that it joined: negotiation may begin."""
        ...

    def offer(self, offer: Offer) -> None:
        """The client offers."""
        ...

    def answer(self, answer: Answer) -> None:
        """The client answers."""
        ...

    def trickle(self, candidate: Trickle) -> None:
        """The client names an address of its own."""
        ...

    def receive_tracks(self, tracks: Sequence[Track]) -> None:
        """All that the client is to be sent from now on."""
        ...

    def source_changed(self, track: Track) -> None:
        """A track that the client is sent has another source."""
        ...

    def pause_tracks(self, track_sids: Collection[str], *, paused: bool) -> None:
        """The client can do without the packets of these tracks for the moment, or wants them."""
        ...

    def signal_lost(self) -> None:
        """The client can't be told anything at the moment."""
        ...

    def resume(self) -> None:
        """The client is back on another socket and renews its connection."""
        ...

    def send_data(self, label: str, payload: bytes) -> None:
        """Send on the channel of that label, once `channel_opened` named it."""
        ...

    def retire(self) -> None:
        """The session has ended: send nothing any more, but let the client close first."""
        ...

    def close(self) -> None:
        """Give the engine's ends back."""
        ...
