"""What comes from a client: its tracks by section, and the engine's news of its peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from switchroom.media import (
    ChannelOpened,
    Closed,
    Connected,
    DataReceived,
    Disconnected,
    Failed,
    LevelChanged,
    Peer,
    PeerEvent,
    TrackStarted,
)
from switchroom.rooms.info import AudioFeature
from switchroom.rooms.session.connection import ConnectionHost
from switchroom.rooms.session.publishing import Publishing
from switchroom.sdp.webrtc import OfferedSection, PublishedAudio


class Incoming:
    """Joins what the client announced (`publishing`) with what the engine receives."""

    def __init__(self, publishing: Publishing, host: ConnectionHost) -> None:
        self._publishing = publishing
        self._host = host

    def wishes(self, sections: Sequence[OfferedSection]) -> dict[str, PublishedAudio]:
        """How the client sends where it publishes, by mid, for the answer to its offer."""
        return {
            mid: PublishedAudio(
                dtx=AudioFeature.NO_DTX not in info.audio_features,
                redundant=not info.disable_red,
                stereo=AudioFeature.STEREO in info.audio_features,
            )
            for mid, info in self._publishing.foreseen(sections).items()
        }

    def apply(self, peer: Peer, sections: Sequence[OfferedSection]) -> None:
        """An offer has been answered: start and stop the tracks of its sections."""
        before = dict(self._publishing.live)
        matched = self._publishing.match(sections)
        for mid in matched.stopped:
            self._host.track_stopped(before[mid].sid)
        for mid, info in matched.started:
            self._host.track_started(info, peer.receive(mid))

    def coded(self, mid: str, codec: str) -> None:
        """The first packets of a section showed its codec."""
        info = self._publishing.live.get(mid)
        if info is not None:
            self._host.track_coded(info.sid, f"audio/{codec}")


class PeerNews:
    """Receives the events of one peer and tells the session.

    `sends_data` says whether its data channels are the ones that we send on; `link_changed` is told
    whether the peer is connected.
    """

    def __init__(
        self,
        host: ConnectionHost,
        incoming: Incoming,
        *,
        sends_data: bool,
        link_changed: Callable[[bool], None],
    ) -> None:
        self._host = host
        self._incoming = incoming
        self._sends_data = sends_data
        self._link_changed = link_changed
        self._retired = False

    def retire(self) -> None:
        """The session has ended: the only news that still counts is that the client closed."""
        self._retired = True

    def __call__(self, event: PeerEvent) -> None:
        if not self._retired:
            self._tell(event)
        elif isinstance(event, Closed | Failed):
            self._host.client_closed()

    def _tell(self, event: PeerEvent) -> None:
        match event:
            case DataReceived(label=label, payload=payload):
                self._host.data_received(label, payload)
            case LevelChanged(source=source, level=level, active=active):
                self._host.source_level(source, level, active=active)
            case TrackStarted(mid=mid, codec=codec):
                self._incoming.coded(mid, codec)
            case ChannelOpened(label=label):
                if self._sends_data:
                    self._host.channel_opened(label)
            case Connected():
                self._link_changed(True)
            case Closed():
                self._host.client_closed()
            case Disconnected():
                self._link_changed(False)
            case Failed(reason=reason):
                self._host.failed(reason)
