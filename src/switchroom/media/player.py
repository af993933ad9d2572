"""Tones and files that can be heard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from switchroom.base.records import record

from .events import Finished, PlayerEvent
from .graph import Send, Source


@record
class Tone:
    """A cadence: parts that sound, one after another, from the beginning again if ``repeat``."""

    segments: tuple[tuple[tuple[float, ...], float], ...]
    """Frequencies in Hz (up to four at once, none for a pause) and how many seconds they last."""
    level_dbov: float = -19.0
    """Of each frequency; the loudest sine is -3.01 (RFC 6464)."""
    repeat: bool = True


@record
class WavFile:
    """A WAV file of 16-bit PCM, mono or stereo, 8 to 48 kHz, at most ten minutes.

    Wideband listeners hear up to 8 kHz of it."""

    path: Path
    repeat: bool = False


DIAL_TONE = Tone(segments=(((425.0,), 1.0), ((), 4.0)))
"""What is heard while a number is dialled: 425 Hz, one second on, four off (ITU-T E.180)."""


class Player:
    """Plays from the moment it is made, whether anybody hears it or not."""

    def __init__(
        self,
        player: int,
        source: Source,
        *,
        send: Send,
        on_event: Callable[[PlayerEvent], None] | None,
        on_close: Callable[[int], None],
    ) -> None:
        self.id = player
        self.source = source
        self._send = send
        self._on_event = on_event
        self._on_close = on_close
        self._stopped = False

    def stop(self) -> None:
        """End it and free it, also after :class:`Finished`. No event comes afterwards."""
        if not self._stopped:
            self._stopped = True
            self._send("stop_player", self.id)
            self._on_close(self.id)
            self._on_event = None

    def handle(self, news: tuple[Any, ...]) -> None:
        """For the engine: one of the compiled engine's event tuples."""
        if news[0] == "player_finished" and self._on_event is not None:
            self._on_event(Finished())
