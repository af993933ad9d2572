from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from switchroom.base.load_meter import CpuMeter, LoadMeter, allowed_cpus, machine_ticks
from switchroom.base.overload import Limits, Load, Overload

CALM = Load(cpu=0.3, lag=0.001)
BUSY = Load(cpu=0.97, lag=0.001)
LATE = Load(cpu=0.3, lag=0.8)


def overload(**limits: float) -> Overload:
    return Overload(Limits(**{"cpu": 0.9, "lag": 0.5, **limits}))  # type: ignore[arg-type]


def reason(node: Overload, calls: int = 1) -> str:
    refusal = node.refusal(calls)
    return refusal.reason if refusal else ""


def test_a_call_beyond_the_limit_is_refused_and_taken_when_one_has_ended() -> None:
    node = Overload(Limits(calls=2))
    assert reason(node, 1) == ""
    refusal = node.refusal(2)
    assert refusal is not None
    assert refusal.retry_after > 0
    assert "max_active_calls" in refusal.sentence
    assert reason(node, 1) == ""


def test_without_limits_nothing_is_refused() -> None:
    node = Overload(Limits())
    for _ in range(10):
        node.measured(Load(cpu=1.0, lag=9.0))
    assert reason(node, 10_000) == ""


@pytest.mark.parametrize(("load", "why"), [(BUSY, "cpu"), (LATE, "lag")])
def test_a_node_that_is_short_for_two_seconds_shuts(load: Load, why: str) -> None:
    node = overload()
    for _ in range(3):
        node.measured(load)
        assert reason(node) == ""
    node.measured(load)
    assert reason(node) == why


def test_a_peak_does_not_shut_the_node() -> None:
    node = overload()
    for load in (BUSY, BUSY, BUSY, CALM, BUSY, BUSY, BUSY):
        node.measured(load)
    assert reason(node) == ""


def test_a_node_that_shut_opens_only_after_two_calm_seconds() -> None:
    node = overload()
    for _ in range(4):
        node.measured(BUSY)
    for load in (CALM, CALM, CALM, Load(cpu=0.85, lag=0.0), CALM, CALM, CALM):
        node.measured(load)
        assert reason(node) == "cpu"
    node.measured(CALM)
    assert reason(node) == ""


def test_a_node_without_calls_has_no_sound_to_protect() -> None:
    node = overload()
    for _ in range(4):
        node.measured(BUSY)
    assert reason(node, calls=0) == ""
    assert reason(node, calls=1) == "cpu"


def test_the_machines_ticks_are_read_as_linux_writes_them(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4\n")
    assert machine_ticks(stat) == (150, 1000)
    stat.write_text("intr 1 2\n")
    assert machine_ticks(stat) is None
    assert machine_ticks(tmp_path / "absent") is None


def test_the_cpu_in_use_is_what_happened_between_two_looks(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 0 900 0 0 0 0\n")
    meter = CpuMeter(stat, tmp_path / "absent")
    meter.used()
    stat.write_text("cpu  190 0 0 910 0 0 0 0\n")
    assert meter.used() == pytest.approx(0.9)


def test_a_container_may_use_what_its_quota_says(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("50000 100000\n")
    assert allowed_cpus(quota) == 0.5
    for text in ("max 100000", "", "1 0", "x y"):
        quota.write_text(text)
        assert allowed_cpus(quota) >= 1


def test_a_late_loop_is_measured() -> None:
    async def run() -> list[Load]:
        seen: list[Load] = []
        done = asyncio.Event()

        class Hearing(Overload):
            def measured(self, load: Load) -> None:
                seen.append(load)
                done.set()

        meter = LoadMeter(Hearing(Limits()))
        await meter.start()
        await done.wait()
        await meter.stop()
        return seen

    load = asyncio.run(run())[0]
    assert 0 <= load.cpu <= 1
    assert load.lag >= 0
