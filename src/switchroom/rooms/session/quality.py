"""How well a client is connected, from what was lost on its way. Pure.

LiveKit shows this as bars beside a name. The bounds follow what loss does to speech in Opus: its
forward error correction hides a few packets in a hundred, from one in ten on words suffer.
"""

from __future__ import annotations

from switchroom.base.records import record
from switchroom.rooms.info import ConnectionQuality

INTERVAL = 5.0
"""Seconds between two looks."""

_FEWEST_PACKETS = 25
"""Fewer than half a second of sound in an interval says nothing."""

_GOOD_LOSS, _POOR_LOSS = 0.03, 0.10
_GOOD_ROUND_TRIP, _POOR_ROUND_TRIP = 0.3, 0.6
"""Seconds: ITU-T G.114 has 400 ms one way as the limit of what a conversation bears."""


@record
class Counts:
    """Totals of one client's connections. `lost_in` and `lost_out` are RTP packets each way."""

    rtp_in: int = 0
    lost_in: int = 0
    rtp_out: int = 0
    lost_out: int = 0
    round_trip: float | None = None

    def __add__(self, other: Counts) -> Counts:
        trips = [trip for trip in (self.round_trip, other.round_trip) if trip is not None]
        return Counts(
            self.rtp_in + other.rtp_in,
            self.lost_in + other.lost_in,
            self.rtp_out + other.rtp_out,
            self.lost_out + other.lost_out,
            max(trips, default=None),
        )


class Gauge:
    """Judges one client, interval by interval. It gets worse at once and better by and by."""

    def __init__(self) -> None:
        self._before = Counts()
        self._quality = ConnectionQuality.EXCELLENT

    def judge(self, now: Counts) -> ConnectionQuality:
        """The quality after another interval."""
        before, self._before = self._before, now
        incoming = _share(now.lost_in - before.lost_in, now.rtp_in - before.rtp_in, sent=False)
        outgoing = _share(now.lost_out - before.lost_out, now.rtp_out - before.rtp_out, sent=True)
        seen = _grade(max(incoming, outgoing), now.round_trip or 0.0)
        self._quality = seen if seen < self._quality else _one_better(self._quality, seen)
        return self._quality


def _share(lost: int, counted: int, *, sent: bool) -> float:
    """What part was lost; `counted` are those sent, or those that arrived."""
    lost = max(lost, 0)
    total = counted if sent else counted + lost
    return min(lost / total, 1.0) if total >= _FEWEST_PACKETS else 0.0


def _grade(loss: float, round_trip: float) -> ConnectionQuality:
    if loss > _POOR_LOSS or round_trip > _POOR_ROUND_TRIP:
        return ConnectionQuality.POOR
    if loss > _GOOD_LOSS or round_trip > _GOOD_ROUND_TRIP:
        return ConnectionQuality.GOOD
    return ConnectionQuality.EXCELLENT


def _one_better(current: ConnectionQuality, seen: ConnectionQuality) -> ConnectionQuality:
    return min(seen, ConnectionQuality(current + 1)) if seen > current else current
