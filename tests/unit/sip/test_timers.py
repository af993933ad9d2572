"""The deadline queue."""

from __future__ import annotations

from hypothesis import given, strategies as st

from switchroom.sip.timers import Timer, TimerQueue, Timing


def test_timers_fire_in_order_of_deadline_then_of_scheduling() -> None:
    queue = TimerQueue()
    fired: list[str] = []
    for name, when in (("c", 3.0), ("a", 1.0), ("b1", 2.0), ("b2", 2.0)):
        queue.schedule(when, lambda _now, name=name: fired.append(name))  # type: ignore[misc]
    assert queue.deadline() == 1.0
    queue.run_due(2.5)
    assert fired == ["a", "b1", "b2"]
    assert queue.deadline() == 3.0
    queue.run_due(3.0)
    assert queue.deadline() is None
    assert len(queue) == 0


def test_a_cancelled_timer_never_fires_and_is_no_deadline() -> None:
    queue = TimerQueue()
    fired: list[float] = []
    timer = queue.schedule(1.0, fired.append)
    queue.schedule(2.0, fired.append)
    timer.cancel()
    timer.cancel()
    assert queue.deadline() == 2.0
    queue.run_due(5.0)
    assert fired == [5.0]
    timer.fire(6.0)
    assert fired == [5.0]


def test_a_timer_may_schedule_and_cancel_others_while_it_fires() -> None:
    queue = TimerQueue()
    fired: list[str] = []
    victim = queue.schedule(1.0, lambda _now: fired.append("victim"))

    def first(now: float) -> None:
        victim.cancel()
        queue.schedule(now, lambda _now: fired.append("at once"))

    queue.schedule(0.5, first)
    queue.run_due(1.0)
    assert fired == ["at once"]
    assert len(queue) == 0


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=2000))
def test_dead_timers_do_not_pile_up(plan: list[tuple[float, bool]]) -> None:
    queue = TimerQueue()
    kept: list[Timer] = []
    for when, cancel in plan:
        timer = queue.schedule(when, lambda _now: None)
        if cancel:
            timer.cancel()
        else:
            kept.append(timer)
    assert len(queue) == len(kept)
    assert queue.deadline() == min((timer.when for timer in kept), default=None)
    assert len(queue._heap) <= 2 * len(kept) + 1025


def test_the_usual_times_are_those_of_the_rfc() -> None:
    timing = Timing()
    assert (timing.t1, timing.t2, timing.t4, timing.give_up) == (0.5, 4.0, 5.0, 32.0)
