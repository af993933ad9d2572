"""What callers can be played: our own recordings, or those of whoever runs the server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from switchroom.media import Tone, WavFile
from switchroom.media.player import DIAL_TONE
from switchroom.telephony.inbound.inbound_events import Sound

_OURS = Path(__file__).with_name("prompts")
_RECORDED = tuple(sound for sound in Sound if sound is not Sound.RING_TONE)


class SoundMissing(ValueError):
    """A file that a setting names is not there; the message names both."""


def sounds(prompts: str = "", hold_music: str = "") -> Mapping[Sound, Tone | WavFile]:
    """Every sound.

    `prompts` is a folder whose files (``enter_pin.wav`` and so on) stand in for ours, `hold_music`
    a file that does. Raises SoundMissing.
    """
    found: dict[Sound, Tone | WavFile] = {Sound.RING_TONE: DIAL_TONE}
    if prompts and not Path(prompts).is_dir():
        raise SoundMissing(f"sip.inbound.prompts: there is no folder {prompts}")
    for sound in _RECORDED:
        own = Path(prompts, f"{sound.value}.wav") if prompts else _OURS
        path = own if own.is_file() else _OURS / f"{sound.value}.wav"
        if sound is Sound.HOLD_MUSIC and hold_music:
            path = Path(hold_music)
            if not path.is_file():
                raise SoundMissing(f"sip.inbound.hold_music: there is no file {hold_music}")
        found[sound] = WavFile(path, repeat=sound.repeats)
    return found
