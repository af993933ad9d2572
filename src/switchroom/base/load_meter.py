"""Measures what the node has to do: CPU of the machine, CPU of this process, lateness of its loop.

Linux tells the machine's through ``/proc/stat`` and a container's share through cgroup v2; where
neither is there, what this process uses of all CPUs is what there is to know.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from .log import get_logger
from .overload import SAMPLE_EVERY, Load, Overload

_log = get_logger("load")
_STAT = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class LoadMeter:
    """Feeds an :class:`Overload` twice a second."""

    def __init__(self, overload: Overload) -> None:
        self._overload = overload
        self._cpu = CpuMeter()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def start(self) -> None:
        """Begin to measure."""
        self._cpu.used()
        self._arm()

    async def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + SAMPLE_EVERY
        self._timer = loop.call_at(self._due, self._measure)

    def _measure(self) -> None:
        late = max(0.0, asyncio.get_running_loop().time() - self._due)
        load, before = Load(self._cpu.used(), late), self._overload.short_of
        self._overload.measured(load)
        now = self._overload.short_of
        if now != before:
            facts = {"cpu": round(load.cpu, 2), "lag_ms": round(load.lag * 1000)}
            if now:
                _log.warning("new calls are refused", short_of=now, **facts)
            else:
                _log.warning("new calls are taken again", **facts)
        self._arm()


class CpuMeter:
    """The share of the CPUs in use between one look and the next, 0 to 1."""

    def __init__(self, stat: Path = _STAT, quota: Path = _QUOTA) -> None:
        self._stat = stat
        self._cpus = allowed_cpus(quota)
        self._machine: tuple[int, int] | None = None
        self._process = (0.0, 0.0)

    def used(self) -> float:
        """Since the last call: of the machine, or of what a container may use if that is more."""
        return min(1.0, max(self._of_machine(), self._of_allowance()))

    def _of_machine(self) -> float:
        now = machine_ticks(self._stat)
        before, self._machine = self._machine, now
        if now is None or before is None or now[1] <= before[1]:
            return 0.0
        return (now[0] - before[0]) / (now[1] - before[1])

    def _of_allowance(self) -> float:
        now = (time.process_time(), time.monotonic())
        before, self._process = self._process, now
        elapsed = now[1] - before[1]
        return (now[0] - before[0]) / (elapsed * self._cpus) if before[1] and elapsed > 0 else 0.0


def machine_ticks(stat: Path) -> tuple[int, int] | None:
    """Busy and all ticks of all CPUs since the start (proc(5)); None where it is not told."""
    try:
        with stat.open(encoding="ascii") as file:
            counts = [int(count) for count in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    if len(counts) < 5:
        return None
    total = sum(counts)
    return total - counts[3] - counts[4], total


def allowed_cpus(quota: Path) -> float:
    """How many CPUs this process may use: those of the machine, or its container's share."""
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return min(cpus, int(allowed) / int(period)) if allowed != "max" else cpus
    except (OSError, ValueError, ZeroDivisionError):
        return cpus
