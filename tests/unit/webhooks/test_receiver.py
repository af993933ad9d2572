"""What one receiver is told and when: order, back-off, bounds, and what happens when it is dead."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchroom.webhooks import receiver as module
from switchroom.webhooks.notice import Notice
from switchroom.webhooks.receiver import (
    AT_ONCE,
    DOWN_AFTER,
    MAX_REFUSALS,
    Outcome,
    Receiver,
    wait_after,
)

DELIVERED, FAILED, REFUSED = Outcome.DELIVERED, Outcome.FAILED, Outcome.REFUSED


def notice(sequence: int, room: str = "RM_a", body: str = "{}") -> Notice:
    return Notice(sequence, f"EV_{sequence}", "room_started", room, body)


def numbers(notices: list[Notice]) -> list[int]:
    return [notice.sequence for notice in notices]


def filled(*rooms: str) -> Receiver:
    """A receiver with a notice of each of these rooms, numbered from 1."""
    receiver = Receiver()
    for sequence, room in enumerate(rooms, 1):
        receiver.add(notice(sequence, room), 0.0)
    return receiver


def test_waits_double_from_a_second_to_a_minute() -> None:
    assert [wait_after(n) for n in (1, 2, 3, 6, 7, 8, 10**9)] == [1, 2, 4, 32, 60, 60, 60]


def test_notices_of_a_room_go_out_one_after_the_other_those_of_others_at_the_same_time() -> None:
    receiver = filled("RM_a", "RM_a", "RM_b")
    first = receiver.due(0.0)
    assert numbers(first) == [1, 3]
    assert receiver.due(0.0) == []
    assert receiver.settle(first[0], DELIVERED, 0.1)
    assert numbers(receiver.due(0.1)) == [2]


def test_a_notice_that_fails_holds_up_its_own_room_only() -> None:
    receiver = filled("RM_a", "RM_a", "RM_b", "RM_b")
    a, b = receiver.due(0.0)
    assert not receiver.settle(a, FAILED, 0.0)
    receiver.settle(b, DELIVERED, 0.0)
    assert numbers(receiver.due(0.9)) == [4]
    assert receiver.next_at() == 1.0
    (again,) = receiver.due(1.0)
    assert again is a
    receiver.settle(again, FAILED, 1.0)
    assert receiver.due(2.9) == []
    assert numbers(receiver.due(3.0)) == [1]


def test_a_receiver_gets_so_many_requests_at_once_and_no_more() -> None:
    receiver = filled(*(f"RM_{n}" for n in range(AT_ONCE + 2)))
    first = receiver.due(0.0)
    assert len(first) == AT_ONCE
    assert receiver.next_at() is None
    receiver.settle(first[0], DELIVERED, 0.0)
    assert numbers(receiver.due(0.0)) == [AT_ONCE + 1]


def test_a_dead_receiver_is_asked_with_one_notice_at_a_time_another_rooms_each_time() -> None:
    receiver = filled(*(f"RM_{n}" for n in range(DOWN_AFTER + 1)))
    for sent in receiver.due(0.0):
        receiver.settle(sent, FAILED, 0.0)
    assert receiver.down
    asked, now = [], 0.0
    for _ in range(8):
        now = receiver.next_at() or pytest.fail("nothing is ever sent again")
        (probe,) = receiver.due(now)
        receiver.settle(probe, FAILED, now)
        asked.append(probe.sequence)
    assert set(asked) == set(range(1, DOWN_AFTER + 2))
    assert receiver.next_at() is not None
    assert now > 60


def test_after_the_first_success_nobody_waits_for_a_receiver_that_was_dead() -> None:
    receiver = filled(*(f"RM_{n}" for n in range(DOWN_AFTER + 1)))
    for sent in receiver.due(0.0):
        receiver.settle(sent, FAILED, 0.0)
    now = 0.0
    for outcome in [FAILED] * 12 + [DELIVERED]:
        now = receiver.next_at() or 0.0
        (probe,) = receiver.due(now)
        receiver.settle(probe, outcome, now)
    assert not receiver.down
    assert len(receiver.due(now)) == DOWN_AFTER


def test_a_room_that_lost_its_notices_and_has_new_ones_is_still_told_one_after_the_other() -> None:
    receiver = filled("RM_a")
    assert numbers(list(receiver.expire(2))) == [1]
    for sequence in (2, 3):
        receiver.add(notice(sequence), 1.0)
    assert numbers(receiver.due(1.0)) == [2]
    assert receiver.due(1.0) == []


def test_one_bad_notice_does_not_take_a_receiver_down_for_the_others() -> None:
    receiver = filled("RM_bad")
    now = 0.0
    for _ in range(DOWN_AFTER + 2):
        (bad,) = receiver.due(now)
        receiver.settle(bad, FAILED, now)
        now = receiver.next_at() or 0.0
    receiver.add(notice(2, "RM_good"), now - 30)
    assert numbers(receiver.due(now - 30)) == [2]


def test_what_is_refused_again_and_again_is_given_up_and_the_room_goes_on() -> None:
    receiver = filled("RM_a", "RM_a")
    now, done = 0.0, []
    for _ in range(MAX_REFUSALS):
        (sent,) = receiver.due(now)
        done.append(receiver.settle(sent, REFUSED, now))
        now = receiver.next_at() or 0.0
    assert done == [False] * (MAX_REFUSALS - 1) + [True]
    assert receiver.dropped == 1
    assert numbers(receiver.due(now)) == [2]


def test_a_receiver_may_ask_for_more_time_but_not_for_ever() -> None:
    receiver = filled("RM_a")
    (sent,) = receiver.due(0.0)
    receiver.settle(sent, FAILED, 0.0, retry_after=30.0)
    assert receiver.next_at() == 30.0
    (sent,) = receiver.due(30.0)
    receiver.settle(sent, FAILED, 30.0, retry_after=86400.0)
    assert receiver.next_at() == 90.0


def test_the_oldest_are_dropped_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NOTICES", 3)
    receiver = filled("RM_a", "RM_a", "RM_b")
    (a, _) = receiver.due(0.0)
    assert numbers(list(receiver.add(notice(4, "RM_c"), 0.0))) == [2], "1 and 3 are on their way"
    assert len(receiver) == 3
    assert receiver.dropped == 1
    assert receiver.settle(a, DELIVERED, 0.0)
    assert numbers(receiver.due(0.0)) == [4]


def test_who_was_on_the_way_when_a_notice_was_dropped_does_not_tell_of_it() -> None:
    receiver = filled("RM_a", "RM_b", "RM_b")
    a, b = receiver.due(0.0)
    receiver.expire(4)
    assert receiver.settle(a, DELIVERED, 0.0)
    assert receiver.dropped == 1
    receiver.add(notice(4, "RM_c"), 0.0)
    (c,) = receiver.due(0.0)
    receiver.settle(c, DELIVERED, 0.0)
    receiver.settle(b, DELIVERED, 0.0)
    assert receiver.dropped == 0


def test_the_bytes_that_wait_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    receiver = Receiver()
    dropped = [receiver.add(notice(n, f"RM_{n}", "x" * 30), 0.0) for n in range(1, 6)]
    assert [numbers(list(gone)) for gone in dropped] == [[], [], [], [1], [2]]


def test_what_is_too_old_is_dropped_unless_it_is_on_its_way() -> None:
    receiver = filled("RM_a", "RM_b", "RM_a", "RM_c")
    receiver.due(0.0)
    assert numbers(list(receiver.expire(4))) == [3]
    assert len(receiver) == 3


def test_a_room_that_has_been_told_everything_leaves_no_trace() -> None:
    receiver = filled("RM_a")
    (sent,) = receiver.due(0.0)
    assert receiver.settle(sent, DELIVERED, 0.0)
    assert (len(receiver), receiver.sending, receiver.next_at()) == (0, 0, None)
    receiver.add(notice(2), 1.0)
    assert numbers(receiver.due(1.0)) == [2]


def test_the_body_tells_how_many_never_arrived() -> None:
    assert notice(1, body='{"event": "x"}').body_after(0) == b'{"event": "x"}'
    assert notice(1, body='{"event": "x"}').body_after(3) == b'{"event": "x","numDropped":3}'


@given(
    rooms=st.lists(st.sampled_from("abc"), max_size=30),
    outcomes=st.lists(st.sampled_from([DELIVERED, FAILED]), max_size=120),
)
def test_whatever_fails_each_room_is_told_everything_once_and_in_order(
    rooms: list[str], outcomes: list[Outcome]
) -> None:
    receiver = filled(*rooms)
    arrived: dict[str, list[int]] = {}
    now, script = 0.0, iter(outcomes)
    while len(receiver):
        now = max(now, receiver.next_at() or now)
        sent = receiver.due(now)
        assert sent
        for one in sent:
            outcome = next(script, DELIVERED)
            if receiver.settle(one, outcome, now):
                arrived.setdefault(one.room_sid, []).append(one.sequence)
    expected: dict[str, list[int]] = {}
    for sequence, room in enumerate(rooms, 1):
        expected.setdefault(room, []).append(sequence)
    assert arrived == expected
    assert (receiver.sending, receiver.dropped) == (0, 0)
