"""What a phone makes of the sound it receives: how loud, which tone, with which gaps.

Sound comes in frames of 20 ms and is judged in windows of 100 ms. A *tone* is a window in which one
sine holds nearly all the power; its frequency is read from the zero crossings and then confirmed by
a Goertzel filter, which is cheap enough to run for many calls in one Python process.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import asdict

from switchroom.base.records import record, replace
from switchroom.phonenet.sounds import FULL_SCALE, RATE

FRAME = 160
"""Samples in 20 ms."""

WINDOW = 5 * FRAME
"""Samples in one judgement: 100 ms."""

AUDIBLE_DBOV = -60.0
"""Below it a frame counts as silence; G.711's own noise lies under −65."""

SILENT_DBOV = -127.0
"""What RFC 6464 writes for digital silence."""

_PURE = 0.8
"""The share of a window's power that its tone must hold."""


def level_dbov(power: float) -> float:
    """The level of a mean squared sample."""
    if power <= 0:
        return SILENT_DBOV
    return max(SILENT_DBOV, 10 * math.log10(power) - 20 * math.log10(FULL_SCALE))


def goertzel(samples: array[int], hz: float) -> float:
    """The mean power of the sine of `hz` in the samples; 1/2 of the squared amplitude."""
    coefficient = 2 * math.cos(2 * math.pi * hz / RATE)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    energy = before * before + last * last - coefficient * before * last
    return 2 * energy / len(samples) ** 2


def crossing_hz(samples: array[int]) -> float | None:
    """The frequency a single sine would have with these zero crossings; None below two periods."""
    crossings = 0
    first = final = 0.0
    last = samples[0]
    for n, sample in enumerate(samples):
        if (sample >= 0) != (last >= 0):
            # Between the two samples the curve is nearly a line: take where it meets zero.
            final = n - sample / (sample - last)
            crossings += 1
            if crossings == 1:
                first = final
        last = sample
    if crossings < 5:
        return None
    return (crossings - 1) / 2 * RATE / (final - first)


@record
class Impression:
    """One window: its level, and its tone if it is one."""

    level_dbov: float
    tone_hz: float | None

    @property
    def audible(self) -> bool:
        return self.level_dbov > AUDIBLE_DBOV


@record
class Heard:
    """What was heard over a time.

    ``level_dbov`` is the mean over all audible frames, ``quietest_dbov`` and ``loudest_dbov`` are
    the extremes among windows inside the sound (its first and last window are cut somewhere and do
    not count). ``tone_hz`` is the tone that most audible windows had, None if most had none.
    ``gaps`` counts silences inside the sound, of one frame or more; ``longest_gap_ms`` is the
    longest. ``matched`` tells whether the sound that was waited for came.
    """

    seconds: float = 0.0
    audible_seconds: float = 0.0
    level_dbov: float = SILENT_DBOV
    quietest_dbov: float = SILENT_DBOV
    loudest_dbov: float = SILENT_DBOV
    tone_hz: float | None = None
    gaps: int = 0
    longest_gap_ms: int = 0
    matched: bool = False

    def as_json(self) -> dict[str, object]:
        """With levels and frequencies as exact as they are worth."""
        rounded = replace(
            self,
            seconds=round(self.seconds, 2),
            audible_seconds=round(self.audible_seconds, 2),
            level_dbov=round(self.level_dbov, 1),
            quietest_dbov=round(self.quietest_dbov, 1),
            loudest_dbov=round(self.loudest_dbov, 1),
            tone_hz=None if self.tone_hz is None else round(self.tone_hz, 1),
        )
        return asdict(rounded)


class Ear:
    """Listens to one stream. Lost frames are heard as silence, as a caller would hear them."""

    def __init__(self, wanted_hz: int | None = None) -> None:
        self._wanted_hz = wanted_hz
        self._wanted_windows = 0
        self._window = array("h")
        self._frames = _Frames()
        self._judged = _Judgements()
        self.latest: Impression | None = None

    @property
    def matched(self) -> bool:
        """Whether the wanted tone was there for 200 ms in a row."""
        return self._wanted_windows >= 2

    def hear(self, frame: array[int]) -> Impression | None:
        """Take a frame; every fifth one completes a window, whose impression is returned."""
        self._frames.add(sum([sample * sample for sample in frame]) / max(len(frame), 1))
        self._window.extend(frame)
        if len(self._window) < WINDOW:
            return None
        window, self._window = self._window, array("h")
        self.latest = _judge(window)
        self._judged.add(self.latest)
        self._look_for_wanted(window, self.latest)
        return self.latest

    def heard(self) -> Heard:
        """Everything so far."""
        frames = self._frames
        quietest, loudest = self._judged.inside()
        return Heard(
            seconds=frames.count * FRAME / RATE,
            audible_seconds=frames.audible * FRAME / RATE,
            level_dbov=level_dbov(frames.power / max(frames.audible, 1)),
            quietest_dbov=quietest,
            loudest_dbov=loudest,
            tone_hz=self._judged.tone_hz(),
            gaps=frames.gaps,
            longest_gap_ms=frames.longest_gap * 20,
            matched=self.matched,
        )

    def _look_for_wanted(self, window: array[int], impression: Impression) -> None:
        if self._wanted_hz is None or self.matched:
            return
        total = sum([sample * sample for sample in window]) / len(window)
        there = impression.audible and goertzel(window, self._wanted_hz) >= total / 2
        self._wanted_windows = self._wanted_windows + 1 if there else 0


def _judge(window: array[int]) -> Impression:
    power = sum([sample * sample for sample in window]) / len(window)
    level = level_dbov(power)
    if level <= AUDIBLE_DBOV:
        return Impression(level, None)
    hz = crossing_hz(window)
    pure = hz is not None and goertzel(window, hz) >= _PURE * power
    return Impression(level, hz if pure else None)


class _Frames:
    """Sums over frames of 20 ms, and the silences that lie between two sounds.

    Silence before and after all sound is no gap.
    """

    def __init__(self) -> None:
        self.count = 0
        self.audible = 0
        self.power = 0.0
        self.gaps = 0
        self.longest_gap = 0
        self._silent = 0

    def add(self, power: float) -> None:
        self.count += 1
        if level_dbov(power) <= AUDIBLE_DBOV:
            self._silent += 1
            return
        if self._silent and self.audible:
            self.gaps += 1
            self.longest_gap = max(self.longest_gap, self._silent)
        self._silent = 0
        self.audible += 1
        self.power += power


class _Judgements:
    """Sums over windows, of constant size however long the call."""

    def __init__(self) -> None:
        self._audible = 0
        self._tones: dict[int, tuple[int, float]] = {}
        self._last: float | None = None
        self._inside: tuple[float, float] | None = None
        self._run = 0

    def add(self, impression: Impression) -> None:
        self._extremes(impression)
        if not impression.audible:
            return
        self._audible += 1
        if impression.tone_hz is None:
            return
        # Semitones are far enough apart to count a wavering tone as one.
        note = round(12 * math.log2(impression.tone_hz / 440))
        count, total = self._tones.get(note, (0, 0.0))
        self._tones[note] = (count + 1, total + impression.tone_hz)

    def _extremes(self, impression: Impression) -> None:
        """A window counts once its successor is audible too and it had an audible predecessor."""
        self._run = self._run + 1 if impression.audible else 0
        if self._run >= 3 and self._last is not None:
            low, high = self._inside or (self._last, self._last)
            self._inside = (min(low, self._last), max(high, self._last))
        self._last = impression.level_dbov if impression.audible else None

    def inside(self) -> tuple[float, float]:
        return self._inside or (SILENT_DBOV, SILENT_DBOV)

    def tone_hz(self) -> float | None:
        if not self._tones:
            return None
        count, total = max(self._tones.values())
        return total / count if 2 * count > self._audible else None
