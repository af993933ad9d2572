"""What can be heard, what hears, and the one command that joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from switchroom.base.records import record

Send = Callable[..., None]
"""Queues one command: its name and its arguments."""


@record
class Source:
    """Something that can be heard: a phone's voice, a client's track, a player."""

    id: int


@record
class Sink:
    """Something that hears: a phone, or one section of a client's connection."""

    id: int
    _send: Send = field(repr=False, compare=False, hash=False)

    def set_inputs(self, inputs: Mapping[Source, float]) -> None:
        """Hear exactly ``inputs`` from now on, each with its gain (1.0 leaves it as it is).

        Nothing is silence, one source of gain 1.0 is passed through as its packets come, several
        are mixed. The whole state at once: calling it again with the same inputs changes nothing.
        Sources that are gone are left out.
        """
        self._send("set_inputs", self.id, [(source.id, gain) for source, gain in inputs.items()])


Handler = Callable[[tuple[Any, ...]], None]
"""Takes one event tuple of the compiled engine."""
