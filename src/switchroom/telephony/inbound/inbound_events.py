"""What happens to a call to us beside what happens to every call, and what is to be done for it."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from switchroom.base.records import record
from switchroom.telephony.calls.call_events import Guest


class Sound(StrEnum):
    """What a caller can be played while nobody talks to him."""

    RING_TONE = "ring_tone"
    HOLD_MUSIC = "hold_music"
    ENTER_PIN = "enter_pin"
    WRONG_PIN = "wrong_pin"
    ROOM_JOIN = "room_join"
    GOODBYE = "goodbye"

    @property
    def repeats(self) -> bool:
        """Whether it goes on until somebody stops it."""
        return self in (Sound.RING_TONE, Sound.HOLD_MUSIC)


# ── what happens ─────────────────────────────────────────────────────────────


@record
class SomebodyHeard:
    """Somebody in the room can be heard now. Told once."""


@record
class NobodyComes:
    """The agents that the room asked for do not come, and nobody else is there."""


@record
class SoundPlayed:
    """A sound that does not repeat has come to its end, or could not be played."""


@record
class PinAccepted:
    """A rule has the PIN: the phone joins as this guest."""

    guest: Guest


@record
class PinRefused:
    """No rule has the PIN."""


@record
class ForwardFailed:
    """The number that was to take the call does not."""

    detail: str


# ── what to do ───────────────────────────────────────────────────────────────


@record
class Ring:
    """Tell the caller that it rings (180)."""


@record
class Answer:
    """Answer the call (200) with this session description."""

    body: bytes = field(repr=False)


@record
class RedirectCaller:
    """Send the caller to this address (302)."""

    uri: str


@record
class WatchCompany:
    """From now on SomebodyHeard and NobodyComes are told, and at once what is so already."""


@record
class PlayToPhone:
    """Let the caller hear this, in place of what he heard; SoundPlayed follows if it ends."""

    sound: Sound


@record
class StopSound:
    """Let the caller hear nothing more of what was played."""


@record
class TryPin:
    """Look for a rule that has this PIN; PinAccepted or PinRefused follows."""

    pin: str = field(repr=False)


@record
class ForwardTo:
    """Let this number take part in the call; ForwardFailed follows if it does not."""

    number: str


@record
class NoteSeat:
    """Write the record of a call that has its room, so that a crash does not lose it."""
