"""A media engine of paper: legs and players are real objects, their commands only written down."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from switchroom.media import (
    Engine,
    EngineConfig,
    Leg,
    LegEvent,
    LegStats,
    NoPortAvailable,
    Player,
    PlayerError,
    PlayerEvent,
    Sink,
    Source,
    Tone,
    WavFile,
)

#: What every leg is said to have counted.
COUNTS: dict[str, Any] = {
    field.name: 0 if field.type == "int" else None for field in fields(LegStats)
} | {"packets_in": 500, "lost_in": 5, "jitter_ms": 1.234, "packets_out": 510, "lost_out": 2}


class PaperEngine(Engine):
    """Opens legs and players, notes what they are told, and hears nothing."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(EngineConfig((), 0, (10000, 10010)))
        self.legs: list[Leg] = []
        self.players: list[Player] = []
        self.open_handles: set[int] = set()
        self.ports_left = 1000
        self.cannot_play = False
        self._note = note
        self._next_id = itertools.count(1)

    def open_leg(self, local_ip: str, on_event: Callable[[LegEvent], None]) -> Leg:
        if not self.ports_left:
            raise NoPortAvailable("no port left")
        self.ports_left -= 1
        number = next(self._next_id)
        self.open_handles.add(number)
        leg = Leg(
            number,
            Source(next(self._next_id)),
            Sink(next(self._next_id), self._told),
            (local_ip, 10000 + 2 * len(self.legs)),
            send=self._told,
            request=self._asked,
            on_event=on_event,
            on_close=self._closed,
        )
        self.legs.append(leg)
        return leg

    def play(
        self, what: Tone | WavFile, on_event: Callable[[PlayerEvent], None] | None = None
    ) -> Player:
        if self.cannot_play:
            raise PlayerError("no such sound")
        number = next(self._next_id)
        self.open_handles.add(number)
        self._note(f"plays {what.path.stem}" if isinstance(what, WavFile) else "tone starts")
        player = Player(
            number,
            Source(next(self._next_id)),
            send=self._told,
            on_event=on_event,
            on_close=self._closed,
        )
        self.players.append(player)
        return player

    @property
    def leg(self) -> Leg:
        """The last one."""
        return self.legs[-1]

    def happens(self, event: LegEvent) -> None:
        """Something happens on the last leg."""
        self.leg._on_event(event)

    def _told(self, command: str, *arguments: Any) -> None:
        match command, arguments:
            case "update_leg", (_, remote, _, _, direction, *_):
                self._note(f"leg {direction} {remote[1] if remote else '-'}")
            case "set_processing", (_, denoise, detect_tones):
                self._note(f"processing {denoise} {detect_tones}")
            case "send_digits", (_, digits):
                self._note(f"digits {digits}")
            case "set_inputs", (_, inputs):
                self._note(f"phone hears {len(inputs)}")
            case "play_out", (number,):
                self._note("phone hears the last word")
                next(leg for leg in self.legs if leg.id == number).handle(("played_out", number))
            case "close_leg", _:
                self._note("leg closes")
            case "stop_player", _:
                self._note("tone stops")

    def _asked(self, name: str, *arguments: Any) -> asyncio.Future[Any]:
        match name, arguments:
            case "leg_stats", (number,):
                answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                answer.set_result({**COUNTS, "leg": number})
                return answer
        raise AssertionError(f"{name} is not for a paper engine")

    def _closed(self, handle: int) -> None:
        self.open_handles.discard(handle)
