"""Phones that talk with WebRTC agents: what such a call costs, and how soon each is heard."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import quantiles
from typing import Any

import machine
from joining import joined
from rig import Rig, cost_row, rig, spent

_SETTLING = 6.0
_WINDOW = 20.0
_CALLS = (1, 10, 30, 100, 200)
_DELAY_CALLS = ((1, 25.0), (10, 25.0), (100, 10.0))
_JOINS = 30
_ANSWERS = 30
# The agent is there and talks well before the phone answers.
_ANSWER_MS = 1_000


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it: some 9 minutes; ``quick`` is one run each and shorter windows."""
    runs = 1 if quick else 3
    return {
        **machine.describe(),
        "runs": runs,
        "load_before": machine.load_average(),
        "cost": [await _cost(calls, runs, quick=quick) for calls in _CALLS[: 3 if quick else None]],
        "delay": [
            await _delay(calls, runs, seconds / (5 if quick else 1))
            for calls, seconds in _DELAY_CALLS[: 2 if quick else None]
        ],
        "joins": await _joins(_JOINS // (3 if quick else 1)),
        "answers": await _answers(_ANSWERS // (3 if quick else 1)),
        "load_after": machine.load_average(),
    }


@asynccontextmanager
async def calls_with_agents(on: Rig, calls: int, *, name: str = "room") -> AsyncIterator[None]:
    """So many rooms with a phone and an agent each; all of them talk, and are hung up at the end.

    Phone 2n and agent 2n + 1 are partners.
    """
    on.phones.forget()
    gate = asyncio.Semaphore(8)
    async with AsyncExitStack() as stack:

        async def place(call: int) -> None:
            async with gate:
                await on.dial(f"{name}-{call}", 2 * call)
                room = joined(on.server, on.phones, 2 * call + 1, f"{name}-{call}")
                await stack.enter_async_context(room)

        await asyncio.gather(*(place(call) for call in range(calls)))
        await on.phones.until("talking", calls)
        await on.phones.until("connected", calls)
        yield
        for call in range(calls):
            await on.hang_up_room(f"{name}-{call}")
        await on.phones.until("ended", calls)
    on.phones.say("drop-agents")


async def _cost(calls: int, runs: int, *, quick: bool) -> dict[str, Any]:
    """CPU, loss and spacing at so many calls on a fresh server, in several windows."""
    window = 10.0 if quick else _WINDOW
    async with rig() as on, calls_with_agents(on, calls):
        await asyncio.sleep(_SETTLING)
        rows = [await cost_row(on, calls, window, _is_clean) for _ in range(runs)]
    _tell(f"{calls} calls: {rows[-1]['calls_per_core']:.0f} per core")
    return {"calls": calls, "rows": rows}


def _is_clean(figures: dict[str, Any], calls: int) -> bool:
    """Nothing lost, as many out as in to 0.5 %, and as much of it audible as was sent to 3 %:
    Opus is 6.5 ms behind, so that a word begins or ends in another packet now and then.
    """
    shares = [figures[f"audible_{way}"] / max(figures[way], 1) for way in ("sent", "received")]
    return bool(
        figures["calls"] == calls
        and figures["agents"] == calls
        and figures["missing"] == 0
        and abs(figures["received"] / max(figures["sent"], 1) - 1) < 0.005
        and abs(shares[0] - shares[1]) < 0.03
    )


async def _delay(calls: int, runs: int, seconds: float) -> dict[str, Any]:
    """From sending the first packet of a tone to the arrival of the first that carries it."""
    rows = []
    async with rig() as on:
        on.phones.say("play bursts")
        async with calls_with_agents(on, calls):
            await asyncio.sleep(_SETTLING)
            for _ in range(runs):
                used, figures = await spent(on, seconds)
                rows.append(
                    {
                        "bursts": figures["bursts"],
                        "others": used.others,
                        "load": machine.load_average(),
                        "to_phone": figures["burst_delay"],
                        "to_agent": figures["agents_burst_delay"],
                    }
                )
    last = rows[-1]["to_phone"]
    _tell(f"{calls} calls: agent to phone p50 {last['p50']:.2f} ms, p99 {last['p99']:.2f} ms")
    return {"calls": calls, "rows": rows}


async def _joins(joins: int) -> dict[str, float]:
    """An agent joins a room in which a phone talks: until the phone's sound is at the agent."""
    delays = []
    async with rig() as on:
        on.phones.say("play tone")
        for call in range(joins):
            room = f"join-{call}"
            await on.dial(room, 2 * call, wait=True)
            await asyncio.sleep(_phase(call) / 1000)
            async with joined(on.server, on.phones, 2 * call + 1, room) as began:
                delays.append((await on.phones.when("hears", 2 * call + 1) - began) / 1e6)
                await on.hang_up_room(room)
            on.phones.say("drop-agents")
    return _percentiles(delays)


async def _answers(answers: int) -> dict[str, float]:
    """A phone answers in a room where an agent talks: until the agent's sound is at the phone."""
    delays = []
    async with rig() as on:
        on.phones.say("play tone")
        for call in range(answers):
            on.phones.say(f"answer {_ANSWER_MS + _phase(call)}")
            room = f"answer-{call}"
            await on.dial(room, 2 * call)
            async with joined(on.server, on.phones, 2 * call + 1, room):
                await on.phones.when("connected", 2 * call + 1)
                answered = await on.phones.when("answered", 2 * call)
                delays.append((await on.phones.when("hears", 2 * call) - answered) / 1e6)
                await on.hang_up_room(room)
            on.phones.say("drop-agents")
    return _percentiles(delays)


def _phase(call: int) -> int:
    """Milliseconds by which a call is put off, so that it falls anywhere between two packets."""
    return call * 7 % 20


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=20, method="inclusive")
    return {"count": len(values), "p50": cuts[9], "p95": cuts[18], "max": max(values)}


def _tell(line: str) -> None:
    print(f"{line} (load average {os.getloadavg()[0]:.2f})", flush=True)
