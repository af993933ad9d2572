"""When what a phone hears becomes something else, worth telling; pure."""

from __future__ import annotations

from switchroom.base.records import record
from switchroom.phonenet.hearing import Impression

_STEADY = 5
"""Windows of 100 ms that a change must last: a pause in speech is no silence."""

_SAME_TONE = 0.03
"""Half a semitone."""


@record
class Change:
    """``silence``, ``sound`` or ``tone``, with the mean level since it began."""

    what: str
    level_dbov: float
    tone_hz: float | None


class HearingChanges:
    """Fed with every window; speaks up when half a second was alike and unlike what was before."""

    def __init__(self) -> None:
        self._told = Impression(-127.0, None)
        self._run: list[Impression] = []

    def add(self, impression: Impression) -> Change | None:
        """The change that this window makes certain, if any."""
        if self._run and not _alike(self._run[0], impression):
            self._run.clear()
        self._run.append(impression)
        if len(self._run) < _STEADY:
            return None
        steady, self._run = self._run, []
        if _alike(self._told, steady[0]):
            return None
        self._told = steady[0]
        return _change(steady)


def _alike(one: Impression, other: Impression) -> bool:
    if one.tone_hz is not None and other.tone_hz is not None:
        return abs(one.tone_hz - other.tone_hz) <= _SAME_TONE * one.tone_hz
    return one.audible == other.audible and one.tone_hz == other.tone_hz


def _change(steady: list[Impression]) -> Change:
    level = sum(impression.level_dbov for impression in steady) / len(steady)
    if not steady[0].audible:
        return Change("silence", level, None)
    tones = [impression.tone_hz for impression in steady if impression.tone_hz is not None]
    if not tones:
        return Change("sound", level, None)
    return Change("tone", level, sum(tones) / len(tones))
