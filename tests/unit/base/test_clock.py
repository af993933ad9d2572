from __future__ import annotations

from switchroom.base.clock import Clock, SystemClock


def test_the_system_clock_is_a_clock_and_does_not_go_back() -> None:
    clock: Clock = SystemClock()
    first = clock.monotonic()
    assert clock.monotonic() >= first


def test_unix_time_is_in_nanoseconds() -> None:
    year_2020, year_2200 = 1_577_836_800, 7_258_118_400
    assert year_2020 < SystemClock().unix_ns() / 1e9 < year_2200
