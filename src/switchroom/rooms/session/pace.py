"""How fast a client may speak: what one sends must not keep others from being heard. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from switchroom.base.pace import Allowance
from switchroom.rooms.info import TrackInfo

DATA = Allowance(rate=1000.0, burst=5000.0)
"""Messages on the data channels."""

SIGNALS = Allowance(rate=100.0, burst=2000.0)
"""Signal messages; each kibibyte counts as one more, for what is said is told to all the others."""


def signal_cost(message: bytes) -> float:
    """What a signal message takes of SIGNALS."""
    return 1.0 + len(message) / 1024


def telling_cost(
    metadata: str, attributes: Mapping[str, str], tracks: Iterable[TrackInfo]
) -> float:
    """What a change takes of it besides: with it all that is known of the participant is told."""
    facts = len(metadata) + sum(len(key) + len(attributes[key]) for key in attributes)
    names = sum(len(track.name) + len(track.stream) + len(track.cid) for track in tracks)
    return (facts + names) / 1024
