"""How loud a participant is."""

from __future__ import annotations

from switchroom.media import Source
from switchroom.rooms.session.loudness import Loudness

MICROPHONE, MUSIC, UNKNOWN = Source(1), Source(2), Source(3)


def test_the_loudest_track_in_which_somebody_speaks_counts() -> None:
    loudness = Loudness()
    loudness.begin(MICROPHONE)
    loudness.begin(MUSIC)
    assert loudness.level == 0
    assert loudness.heard(MICROPHONE, 0.25, active=True)
    assert loudness.heard(MUSIC, 0.75, active=False)
    assert loudness.level == 0.25
    loudness.heard(MUSIC, 0.75, active=True)
    assert loudness.level == 0.75


def test_a_track_that_ended_is_not_heard_any_more() -> None:
    loudness = Loudness()
    loudness.begin(MICROPHONE)
    loudness.heard(MICROPHONE, 1.0, active=True)
    assert loudness.end(MICROPHONE)
    assert loudness.level == 0
    assert not loudness.end(MICROPHONE)
    assert not loudness.heard(MICROPHONE, 1.0, active=True)
    assert not loudness.heard(UNKNOWN, 1.0, active=True)


def test_who_speaks_softly_speaks() -> None:
    loudness = Loudness()
    loudness.begin(MICROPHONE)
    loudness.heard(MICROPHONE, 0.0, active=True)
    assert loudness.level > 0
