"""Speaking with flite."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchroom.speech.errors import CannotSay, SpeechUnavailable
from switchroom.speech.synthesis import LONGEST_TEXT, Synthesiser, say
from unit.speech.local_speech import needs_flite


@needs_flite
async def test_a_text_becomes_sound_of_the_rate_asked_for() -> None:
    narrow, wide = await say("Hello there.", rate=8000), await say("Hello there.", rate=24_000)
    assert (narrow.rate, wide.rate) == (8000, 24_000)
    assert narrow.seconds == pytest.approx(wide.seconds, abs=0.001)
    assert 0.5 < narrow.seconds < 2


@needs_flite
async def test_what_was_said_before_costs_nothing() -> None:
    voice = Synthesiser()
    assert await voice.say("Good morning.") is await voice.say("Good morning.")
    assert await voice.say("Good morning.") != await voice.say("Good morning.", "slt")


@needs_flite
async def test_the_memory_of_what_was_said_is_bounded() -> None:
    voice = Synthesiser(remembered_bytes=100_000)
    first = await voice.say("This is the first of the sentences.")
    for number in range(5):
        await voice.say(f"This is sentence number {number}.")
    assert voice._size <= 100_000
    assert await voice.say("This is the first of the sentences.") is not first


@needs_flite
@pytest.mark.parametrize(
    "text", ["", "...", "-voice slt", "$(id); `id` | cat", "a\x00b\x1b[31m", "ünï ☎", "<speak>&"]
)
async def test_no_text_is_an_option_or_a_command(text: str) -> None:
    sound = await say(text)
    assert sound.rate == 16_000
    assert sound.seconds < 10


@pytest.mark.parametrize(
    ("text", "voice", "rate", "complaint"),
    [
        ("a", "hal", 8000, "no voice 'hal'"),
        ("a", "rms", 7, "7 samples a second"),
        ("a" * (LONGEST_TEXT + 1), "rms", 8000, "are the most"),
    ],
)
async def test_what_cannot_be_said_is_refused(
    text: str, voice: str, rate: int, complaint: str
) -> None:
    with pytest.raises(CannotSay, match=complaint):
        await say(text, voice, rate)


async def test_without_flite_the_error_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpeechUnavailable, match="apt-get install flite"):
        await Synthesiser().say("hello")


async def test_a_flite_that_fails_is_an_error_with_its_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "flite"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotSay, match="status 3"):
        await Synthesiser().say("hello")
    program.write_text("#!/bin/sh\necho nonsense\n")
    with pytest.raises(CannotSay, match="can't be read"):
        await Synthesiser().say("hello")
