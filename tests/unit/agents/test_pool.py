"""Who is asked first, and who is not asked at all."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from switchroom.agents import pool
from switchroom.agents.pool import (
    MAX_OFFERS,
    SILENCE,
    PoolKey,
    Pools,
    PoolsFull,
    WorkerState,
    believable,
    choose,
)
from switchroom.rooms.dispatches import JobKind

KEY = PoolKey("clerk", JobKind.ROOM)


def _worker(name: str, load: float = 0.0) -> WorkerState:
    return WorkerState(name, KEY, load=load)


def _pools(*names: str) -> Pools:
    pools = Pools()
    for name in names:
        pools.add(_worker(name))
    return pools


def _names(pools: Pools, now: float = 0.0) -> list[str]:
    return [worker.id for worker in pools.candidates(KEY, now)]


@pytest.mark.parametrize(
    ("said", "believed"),
    [(0.25, 0.25), (-3.0, 0.0), (7.0, 1.0), (math.inf, 1.0), (-math.inf, 0.0), (math.nan, 1.0)],
)
def test_a_load_is_believed_within_bounds(said: float, believed: float) -> None:
    assert believable(said) == believed


def test_a_worker_is_chosen_in_proportion_to_its_free_capacity() -> None:
    workers = [_worker("idle", 0.0), _worker("half", 0.5), _worker("busy", 0.9)]
    chosen = Counter(choose(workers, step / 1600).id for step in range(1600))  # type: ignore[union-attr]
    assert chosen == {"idle": 1000, "half": 500, "busy": 100}


def test_workers_that_say_they_are_fully_loaded_but_available_share_alike() -> None:
    workers = [_worker("a", 1.0), _worker("b", 1.0)]
    chosen = Counter(choose(workers, step / 100).id for step in range(100))  # type: ignore[union-attr]
    assert chosen == {"a": 50, "b": 50}


def test_nobody_is_chosen_from_nobody() -> None:
    assert choose([], 0.5) is None


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8),
    st.floats(0, 1, exclude_max=True),
)
def test_somebody_is_chosen_whatever_workers_say_of_their_load(
    loads: list[float], draw: float
) -> None:
    pools = _pools(*(str(index) for index in range(len(loads))))
    for index, load in enumerate(loads):
        pools.report(str(index), load=load, full=None, draining=False)
    assert choose(pools.candidates(KEY, 0.0), draw) is not None


def test_only_an_exact_match_of_name_kind_and_deployment_is_a_candidate() -> None:
    pools = _pools("mine")
    for key in (
        PoolKey("Clerk", JobKind.ROOM),
        PoolKey("clerk", JobKind.PUBLISHER),
        PoolKey("clerk", JobKind.ROOM, "blue"),
    ):
        pools.add(WorkerState(f"other {key}", key))
    assert _names(pools) == ["mine"]
    assert pools.kinds_of("clerk", "") == (JobKind.ROOM, JobKind.PUBLISHER)


def test_full_draining_and_excluded_workers_are_left_out() -> None:
    pools = _pools("full", "draining", "refused", "free")
    pools.report("full", load=0.1, full=True, draining=False)
    pools.report("draining", load=0.1, full=False, draining=True)
    assert [w.id for w in pools.candidates(KEY, 0.0, {"refused"})] == ["free"]
    assert pools.size(KEY) == 4


def test_a_report_without_a_status_leaves_a_worker_full() -> None:
    pools = _pools("a")
    pools.report("a", load=0.1, full=True, draining=False)
    pools.report("a", load=0.1, full=None, draining=False)
    assert _names(pools) == []
    pools.report("a", load=0.1, full=False, draining=False)
    assert _names(pools) == ["a"]


def test_a_worker_that_let_an_offer_lapse_is_left_out_until_it_wakes_or_time_has_passed() -> None:
    pools = _pools("a")
    pools.offered("a")
    pools.lapsed("a", 100.0)
    assert _names(pools, 100.0 + SILENCE - 1) == []
    assert _names(pools, 100.0 + SILENCE) == ["a"]
    pools.offered("a")
    pools.lapsed("a", 200.0)
    pools.awake("a")
    assert _names(pools, 200.0) == ["a"]


def test_a_worker_has_a_bounded_number_of_open_offers() -> None:
    pools = _pools("a")
    for _ in range(MAX_OFFERS):
        assert _names(pools) == ["a"]
        pools.offered("a")
    assert _names(pools) == []
    pools.answered("a")
    assert _names(pools) == ["a"]


def test_there_is_a_limit_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_WORKERS", 2)
    pools = _pools("a", "b")
    with pytest.raises(PoolsFull):
        pools.add(_worker("c"))
    pools.remove("a")
    pools.add(_worker("c"))


def test_what_is_said_of_a_worker_that_is_gone_changes_nothing() -> None:
    pools = _pools("a")
    pools.offered("a")
    pools.remove("a")
    pools.remove("a")
    pools.answered("a")
    pools.lapsed("a", 1.0)
    pools.awake("a")
    assert len(pools) == 0
    assert pools.size(KEY) == 0
    assert pools.kinds_of("clerk", "") == ()


class PoolsOverTime(RuleBasedStateMachine):
    """Any order of registrations, reports and offers, against a model that keeps lists."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = Pools()
        self.full: dict[str, bool] = {}
        self.offers: Counter[str] = Counter()

    @rule(name=st.sampled_from("abcd"))
    def register(self, name: str) -> None:
        if name not in self.full:
            self.pools.add(_worker(name))
            self.full[name] = False

    @rule(name=st.sampled_from("abcd"))
    def leave(self, name: str) -> None:
        self.pools.remove(name)
        self.full.pop(name, None)
        del self.offers[name]

    @rule(name=st.sampled_from("abcd"), full=st.none() | st.booleans(), load=st.floats())
    def report(self, name: str, full: bool | None, load: float) -> None:
        if name in self.full:
            self.pools.report(name, load=load, full=full, draining=False)
            self.full[name] = self.full[name] if full is None else full

    @rule(draw=st.floats(0, 1, exclude_max=True))
    def offer(self, draw: float) -> None:
        chosen = choose(self.pools.candidates(KEY, 0.0), draw)
        if chosen is not None:
            self.pools.offered(chosen.id)
            self.offers[chosen.id] += 1

    @rule(name=st.sampled_from("abcd"))
    def answer(self, name: str) -> None:
        self.pools.answered(name)
        self.offers[name] = max(0, self.offers[name] - 1)

    @invariant()
    def candidates_are_those_with_room(self) -> None:
        free = {n for n, full in self.full.items() if not full and self.offers[n] < MAX_OFFERS}
        assert {worker.id for worker in self.pools.candidates(KEY, 0.0)} == free
        assert len(self.pools) == len(self.full)


TestPoolsOverTime = PoolsOverTime.TestCase
TestPoolsOverTime.settings = settings(max_examples=40, stateful_step_count=30)
