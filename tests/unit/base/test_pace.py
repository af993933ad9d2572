"""How fast somebody may go on."""

from __future__ import annotations

from switchroom.base.pace import Allowance, Pace


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    pace = Pace(Allowance(rate=10.0, burst=50.0))
    assert sum(pace.allows(100.0) for _ in range(80)) == 50
    assert sum(pace.allows(100.5) for _ in range(80)) == 5
    assert sum(pace.allows(1000.0) for _ in range(80)) == 50, "no more than a burst is saved up"


def test_what_costs_more_than_is_left_costs_nothing() -> None:
    pace = Pace(Allowance(rate=1.0, burst=10.0))
    assert not pace.allows(1.0, 11.0)
    assert pace.allows(1.0, 10.0)
