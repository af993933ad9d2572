"""What it costs to decode a phone: noise suppression on every leg, delay of a jitter buffer.

Calls with suppression and calls without take turns on one server, so that the ratio of the two says
what suppression costs however busy the machine is.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import machine
from agents import calls_with_agents
from rig import cost_row, end_calls, place_calls, rig, spent

_SETTLING = 4.0
_WINDOW = 10.0
_CALLS = 30
_TURNS = 3
_DELAY_CALLS = ((1, 25.0), (10, 25.0), (30, 15.0))


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it: some 5 minutes; ``quick`` is one turn each and shorter windows."""
    return {
        **machine.describe(),
        "runs": 1 if quick else _TURNS,
        "load_before": machine.load_average(),
        "suppression": await _suppression(1 if quick else _TURNS, 5.0 if quick else _WINDOW),
        "delay": [
            await _delay(calls, seconds / (3 if quick else 1))
            for calls, seconds in _DELAY_CALLS[: 2 if quick else None]
        ],
        "load_after": machine.load_average(),
    }


async def _suppression(turns: int, window: float) -> dict[str, Any]:
    """CPU of calls between two phones, with suppression on both legs and without, in turn."""
    rows: dict[str, list[dict[str, Any]]] = {"plain": [], "suppressed": []}
    async with rig() as on:
        for turn in range(turns):
            for kind, suppress in (("plain", False), ("suppressed", True)):
                name = f"{kind}-{turn}"
                await place_calls(on, _CALLS, name=name, suppress=suppress)
                await asyncio.sleep(_SETTLING)
                rows[kind].append(await cost_row(on, _CALLS, window, _all_talk))
                await end_calls(on, _CALLS, name=name)
    for kind, found in rows.items():
        _tell(f"{_CALLS} calls, {kind}: {found[-1]['calls_per_core']:.0f} per core")
    return {"calls": _CALLS, **rows}


def _all_talk(figures: dict[str, Any], calls: int) -> bool:
    """Nothing lost, and as many out as in to 0.5 %; how loud it is, is what is changed."""
    return bool(
        figures["calls"] == 2 * calls
        and figures["missing"] == 0
        and abs(figures["received"] / max(figures["sent"], 1) - 1) < 0.005
    )


async def _delay(calls: int, seconds: float) -> dict[str, Any]:
    """From a phone to an agent that takes Opus only: decoded, and encoded anew."""
    async with rig() as on:
        on.phones.say("play bursts")
        on.phones.say("agents take-opus")
        async with calls_with_agents(on, calls):
            await asyncio.sleep(_SETTLING)
            used, figures = await spent(on, seconds)
    found = figures["agents_burst_delay"]
    _tell(f"{calls} calls: decoded p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms")
    return {"calls": calls, "bursts": figures["bursts"], "others": used.others, **found}


def _tell(line: str) -> None:
    print(f"{line} (load average {os.getloadavg()[0]:.2f})", flush=True)
