"""How loud a participant is, from how loud each of its tracks is. Pure."""

from __future__ import annotations

from switchroom.media import Source

_SOFTEST = 0.125
"""Levels are told in eighths; who speaks is never told as silent."""


class Loudness:
    """The levels of one participant's tracks, 0 to 1 each."""

    def __init__(self) -> None:
        self._levels: dict[Source, float] = {}

    def begin(self, source: Source) -> None:
        """A track was published; it is silent so far."""
        self._levels[source] = 0.0

    def end(self, source: Source) -> bool:
        """A track is gone; whether it was there."""
        return self._levels.pop(source, None) is not None

    def heard(self, source: Source, level: float, *, active: bool) -> bool:
        """A track became louder or quieter; whether it is one of these."""
        if source not in self._levels:
            return False
        self._levels[source] = max(level, _SOFTEST) if active else 0.0
        return True

    @property
    def level(self) -> float:
        """Of the loudest track in which somebody speaks; 0 if nobody does."""
        return max(self._levels.values(), default=0.0)
