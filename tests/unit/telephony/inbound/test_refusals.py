from __future__ import annotations

from switchroom.telephony.inbound.refusals import RefusalBudget


def test_so_many_a_minute_are_written_down_and_the_rest_is_counted() -> None:
    budget = RefusalBudget(per_minute=3)
    assert [budget.spend(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert budget.spend(60.0)
    assert (budget.take_left_out(), budget.take_left_out()) == (2, 0)
