"""Phone to phone through a room: what a call costs, and what its sound suffers."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import machine
from rig import cost_row, end_calls, place_calls, rig, spent

_SETTLING = 6.0
_WINDOW = 20.0
_CALLS = (1, 10, 30, 100, 200, 300)
_DELAY_CALLS = ((1, 25.0), (10, 25.0), (100, 10.0))
_MEMORY_ROOMS = 20


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it: some 11 minutes; ``quick`` is one run each and shorter windows."""
    runs = 1 if quick else 3
    return {
        **machine.describe(),
        "runs": runs,
        "load_before": machine.load_average(),
        "memory": await _memory(),
        "cost": [await _cost(calls, runs, quick=quick) for calls in _CALLS],
        "delay": [
            await _delay(calls, runs, seconds / (5 if quick else 1))
            for calls, seconds in _DELAY_CALLS
        ],
        "load_after": machine.load_average(),
    }


async def _cost(calls: int, runs: int, *, quick: bool) -> dict[str, Any]:
    """CPU, loss and spacing at so many calls on a fresh server, in several windows."""
    window = 10.0 if quick else _WINDOW
    async with rig() as on:
        await place_calls(on, calls)
        await asyncio.sleep(_SETTLING)
        rows = [await cost_row(on, calls, window, _is_clean) for _ in range(runs)]
        await end_calls(on, calls)
    _tell(f"{calls} calls: {rows[-1]['cpu_per_call_minute']:.3f} CPU s per call-minute")
    return {"calls": calls, "rows": rows}


def _is_clean(figures: dict[str, Any], calls: int) -> bool:
    """Nothing lost, as many out as in to 0.5 %, and as much of it audible as was sent."""
    shares = [figures[f"audible_{way}"] / max(figures[way], 1) for way in ("sent", "received")]
    return bool(
        figures["calls"] == 2 * calls
        and figures["missing"] == 0
        and abs(figures["received"] / max(figures["sent"], 1) - 1) < 0.005
        and abs(shares[0] - shares[1]) < 0.01
    )


async def _delay(calls: int, runs: int, seconds: float) -> dict[str, Any]:
    """From sending the first packet of a tone to the arrival of the first that carries it."""
    rows = []
    async with rig() as on:
        on.phones.say("play bursts")
        await place_calls(on, calls)
        await asyncio.sleep(_SETTLING)
        for _ in range(runs):
            used, figures = await spent(on, seconds)
            row = {"bursts": figures["bursts"], "others": used.others, **figures["burst_delay"]}
            rows.append({**row, "load": machine.load_average()})
        await end_calls(on, calls)
    last = rows[-1]
    _tell(f"{calls} calls: delay p50 {last['p50']:.2f} ms, p99 {last['p99']:.2f} ms")
    return {"calls": calls, "rows": rows}


async def _memory() -> dict[str, Any]:
    """Resident memory of a fresh server without calls, and with some."""
    async with rig() as on:
        idle, ready = machine.memory(on.server.process), on.ready_seconds
        began = machine.sample(on.server.process)
        await asyncio.sleep(10.0)
        ended = machine.sample(on.server.process)
        await place_calls(on, _MEMORY_ROOMS)
        await asyncio.sleep(_SETTLING)
        loaded = machine.memory(on.server.process)
        await end_calls(on, _MEMORY_ROOMS)
        return {
            "ready_seconds": ready,
            "idle_mb": idle / 1e6,
            "idle_cpu": (ended.cpu - began.cpu) / (ended.at - began.at),
            "rooms": _MEMORY_ROOMS,
            "mb_per_call": (loaded - idle) / _MEMORY_ROOMS / 1e6,
        }


def _tell(line: str) -> None:
    print(f"{line} (load average {os.getloadavg()[0]:.2f})", flush=True)
