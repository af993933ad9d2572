"""The sound of one phone: its leg in the engine, and the tones that stand in for it."""

from __future__ import annotations

import asyncio
from typing import Any

from switchroom.media import (
    Engine,
    EngineError,
    Leg,
    LegStats,
    Player,
    Sink,
    Source,
    Tone,
    stats_of,
)
from switchroom.media.player import DIAL_TONE
from switchroom.sdp.offer_answer import NegotiatedMedia
from switchroom.telephony.calls.call_events import Patience
from switchroom.telephony.calls.leg_media import leg_media

#: Seconds that the last word may take before we hang up: the engine holds less.
_PLAY_OUT_LIMIT = 0.1


class PhoneSound:
    """The leg, from `open_leg` to `close`."""

    def __init__(self, engine: Engine, leg: Leg) -> None:
        self._engine = engine
        self._leg = leg
        self._tone: Player | None = None
        self._ringing: Player | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where the leg receives."""
        return self._leg.local_address

    @property
    def source(self) -> Source:
        """What the phone says."""
        return self._leg.source

    @property
    def sink(self) -> Sink:
        """What the phone hears."""
        return self._leg.sink

    def start_tone(self, tone: Tone) -> Source:
        """A tone for the room, until `stop_tone` or `close`."""
        self.stop_tone()
        self._tone = self._engine.play(tone)
        return self._tone.source

    def stop_tone(self) -> None:
        tone, self._tone = self._tone, None
        if tone is not None:
            tone.stop()

    def update(
        self, media: NegotiatedMedia, remote: tuple[str, int] | None, patience: Patience
    ) -> None:
        """Send to `remote` and receive as agreed. Raises EngineError."""
        self._leg.update(leg_media(media, remote, patience))

    def process(self, *, denoise: bool, detect_tones: bool) -> None:
        """What is done to the phone's sound before anybody hears it."""
        self._leg.set_processing(denoise=denoise, detect_tones=detect_tones)

    def figures(self) -> asyncio.Future[Any]:
        """How the sound went so far, for `figures_of`. To be asked for before `close`.

        Raises EngineError.
        """
        return self._leg.ask_stats()

    def start_ringing(self) -> Source:
        """The ringing tone for the phone, until `stop_ringing` or `close`."""
        self.stop_ringing()
        self._ringing = self._engine.play(DIAL_TONE)
        return self._ringing.source

    def stop_ringing(self) -> None:
        ringing, self._ringing = self._ringing, None
        if ringing is not None:
            ringing.stop()

    def send_digits(self, digits: str) -> None:
        """Press keys behind those that wait: as events, or as tones where there are none.

        Raises EngineError.
        """
        self._leg.send_digits(digits)

    def play_out(self) -> asyncio.Future[None]:
        """Done, in a moment at most, when the phone has been sent what was meant for it."""
        played_out = self._leg.play_out()
        limit = played_out.get_loop().call_later(_PLAY_OUT_LIMIT, _long_enough, played_out)
        played_out.add_done_callback(lambda _: limit.cancel())
        return played_out

    def close(self) -> None:
        """Give the port back."""
        self.stop_tone()
        self.stop_ringing()
        self._leg.close()


def figures_of(answer: asyncio.Future[Any]) -> LegStats | None:
    """What the engine told, None if it could not or was not waited for any more."""
    try:
        return stats_of(answer.result())
    except (EngineError, asyncio.CancelledError):
        return None


def _long_enough(played_out: asyncio.Future[None]) -> None:
    if not played_out.done():
        played_out.set_result(None)
