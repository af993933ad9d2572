from __future__ import annotations

import math
import random
from array import array

import pytest

from switchroom.phonenet.changes import HearingChanges
from switchroom.phonenet.g711 import PCMA, PCMU
from switchroom.phonenet.hearing import FRAME, Ear, Heard, Impression, crossing_hz, goertzel
from switchroom.phonenet.sounds import melody, silence, tone

NOTHING = array("h", [0] * FRAME)


def frames(samples: array[int], count: int) -> list[array[int]]:
    return [samples[n * FRAME : (n + 1) * FRAME] for n in range(count)]


def hear(*pieces: list[array[int]], wanted: int | None = None) -> Ear:
    ear = Ear(wanted)
    for piece in pieces:
        for frame in piece:
            ear.hear(frame)
    return ear


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=["PCMU", "PCMA"])
@pytest.mark.parametrize("hz", [300, 440, 1000, 3000])
def test_a_tone_over_a_line_is_named_within_a_hertz_and_a_tenth_of_a_decibel(
    law: object, hz: int
) -> None:
    samples = PCMU.decode(PCMU.encode(tone(hz, -18).samples))
    heard = hear(frames(samples, 50)).heard()
    assert heard.tone_hz == pytest.approx(hz, abs=1)
    assert heard.level_dbov == pytest.approx(-18, abs=0.1)
    assert heard.quietest_dbov == pytest.approx(-18, abs=0.1)
    assert heard.loudest_dbov == pytest.approx(-18, abs=0.1)
    assert (heard.seconds, heard.audible_seconds) == (1.0, 1.0)
    assert (heard.gaps, heard.longest_gap_ms) == (0, 0)


def test_a_melody_and_noise_are_sound_but_no_tone() -> None:
    noise = random.Random(1)  # a fixed seed: the same noise every time
    hiss = array("h", [noise.randint(-2000, 2000) for _ in range(8000)])
    for samples in (melody().samples, hiss):
        heard = hear(frames(samples, 50)).heard()
        assert heard.tone_hz is None
        assert heard.audible_seconds > 0.9


def test_two_tones_at_once_are_no_tone() -> None:
    mixed = array("h", [a + b for a, b in zip(tone(350).samples, tone(440).samples, strict=True)])
    assert hear(frames(mixed, 50)).heard().tone_hz is None


def test_silence_is_heard_as_nothing() -> None:
    heard = hear(frames(silence().samples, 50)).heard()
    assert heard == Heard(seconds=1.0)


def test_a_gap_inside_a_sound_is_counted_and_one_around_it_is_not() -> None:
    sound = frames(tone(440).samples, 20)
    ear = hear([NOTHING] * 7, sound, [NOTHING] * 2, sound, [NOTHING], sound, [NOTHING] * 9)
    heard = ear.heard()
    assert (heard.gaps, heard.longest_gap_ms) == (2, 40)


def test_the_cut_windows_at_the_ends_of_a_sound_do_not_count_as_quiet() -> None:
    sound = frames(tone(440, -20).samples, 33)
    heard = hear([NOTHING] * 2, sound, [NOTHING] * 10).heard()
    assert heard.quietest_dbov == pytest.approx(-20, abs=0.1)
    assert heard.loudest_dbov == pytest.approx(-20, abs=0.1)
    assert heard.level_dbov == pytest.approx(-20, abs=0.1)
    assert heard.audible_seconds == pytest.approx(0.66)


def test_a_dip_inside_a_sound_shows_as_its_quietest_window() -> None:
    loud, soft = frames(tone(440, -20).samples, 20), frames(tone(440, -32).samples, 5)
    heard = hear(loud, soft, loud).heard()
    assert heard.quietest_dbov == pytest.approx(-32, abs=0.1)


def test_a_tone_that_is_waited_for_must_last_two_hundred_milliseconds() -> None:
    beep = frames(tone(440).samples, 50)
    other = frames(tone(1000).samples, 50)
    assert not hear(other, wanted=440).matched
    assert not hear(other[:5], beep[:5], other[:5], beep[:5], wanted=440).matched
    assert hear(other[:5], beep[:10], other, wanted=440).matched


def test_the_wanted_tone_is_found_beside_a_weaker_one() -> None:
    pairs = zip(tone(440, -20).samples, tone(1000, -26).samples, strict=True)
    mixed = array("h", [a + b for a, b in pairs])
    ear = hear(frames(mixed, 20), wanted=440)
    assert ear.matched


def test_a_goertzel_filter_gives_the_power_of_its_own_sine_only() -> None:
    samples = tone(1000, -20).samples[:800]
    whole = sum(s * s for s in samples) / len(samples)
    assert goertzel(samples, 1000) == pytest.approx(whole, rel=0.01)
    assert goertzel(samples, 1100) < whole / 1000


def test_crossings_give_the_frequency_between_whole_hertz() -> None:
    samples = array(
        "h", [round(8000 * math.sin(2 * math.pi * 441.37 * n / 8000)) for n in range(800)]
    )
    assert crossing_hz(samples) == pytest.approx(441.37, abs=0.1)
    assert crossing_hz(NOTHING) is None


def test_what_is_remembered_does_not_grow_with_the_call() -> None:
    ear = Ear()
    for hz in range(100, 3900, 100):
        for frame in frames(tone(hz).samples, 10):
            ear.hear(frame)
    assert len(ear._judged._tones) < 100


# ── changes ──────────────────────────────────────────────────────────────────

QUIET = Impression(-127.0, None)
BEEP = Impression(-20.0, 440.0)
TALK = Impression(-25.0, None)


def told(*impressions: Impression) -> list[str]:
    changes = HearingChanges()
    found = [changes.add(impression) for impression in impressions]
    return [change.what for change in found if change is not None]


def test_a_change_is_told_when_it_has_lasted_half_a_second() -> None:
    assert told(*[BEEP] * 4) == []
    assert told(*[BEEP] * 5) == ["tone"]
    assert told(*[BEEP] * 50) == ["tone"]
    assert told(*[QUIET] * 5, *[TALK] * 5, *[BEEP] * 5, *[QUIET] * 5) == [
        "sound",
        "tone",
        "silence",
    ]


def test_pauses_shorter_than_that_are_part_of_the_sound() -> None:
    assert told(*[TALK] * 5, *[QUIET] * 4, *[TALK] * 5) == ["sound"]


def test_another_tone_is_a_change_and_a_wavering_one_is_not() -> None:
    wavering = [Impression(-20.0, hz) for hz in (440, 442, 438, 441, 439, 440, 445)]
    assert told(*wavering) == ["tone"]
    assert told(*[BEEP] * 5, *[Impression(-20.0, 880.0)] * 5) == ["tone", "tone"]


def test_a_change_tells_its_mean_level_and_tone() -> None:
    changes = HearingChanges()
    for level in (-20.0, -21.0, -22.0, -21.0):
        changes.add(Impression(level, 440.0))
    change = changes.add(Impression(-21.0, 445.0))
    assert change is not None
    assert (change.level_dbov, change.tone_hz) == (-21.0, 441.0)
