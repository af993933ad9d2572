"""From the API to the wire and back, and what setting up and tearing down a leg costs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import machine
from rig import Rig, rig

_CALLS = 50
_ANSWER_MS = 200
_TALK = 0.3
# The time that late work gets to end before the CPU is read.
_TAIL = 3.0
_RATES = ((10, 100), (20, 200), (30, 300), (50, 500), (100, 1000), (300, 3000))


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it: some 5 minutes; ``quick`` is one run each."""
    runs = 1 if quick else 3
    return {
        **machine.describe(),
        "runs": runs,
        "load_before": machine.load_average(),
        "latency": [await _latency(_CALLS // (5 if quick else 1)) for _ in range(runs)],
        "rates": [
            {"rate": rate, "rows": [await _rate(rate, legs) for _ in range(runs)]}
            for rate, legs in (_RATES[:3] if quick else _RATES)
        ],
        "load_after": machine.load_average(),
    }


async def _latency(calls: int) -> dict[str, Any]:
    """One call after another, without and with waiting for the answer."""
    found: dict[str, list[float]] = {name: [] for name in ("invite", "post", "answer", "bye")}
    async with rig() as on:
        on.phones.say(f"answer {_ANSWER_MS}")
        await _one_call(on, 999_999, {name: [] for name in found}, wait=False)  # warm
        for phone in range(2 * calls):
            await _one_call(on, phone, found, wait=phone >= calls)
    figures = {name: _percentiles(values) for name, values in found.items()}
    load = machine.load_average()
    print(
        f"API to INVITE p50 {figures['invite']['p50']:.2f} ms (load average {load:.2f})", flush=True
    )
    return {**figures, "load": load}


async def _one_call(on: Rig, phone: int, found: dict[str, list[float]], *, wait: bool) -> None:
    room = f"one-{phone}"
    dialled = await on.dial(room, phone, wait=wait)
    found["invite"].append(_ms(dialled.sent, await on.phones.when("invite", phone)))
    if wait:
        answered = await on.phones.when("answered", phone)
        found["answer"].append(_ms(answered, dialled.returned))
    else:
        found["post"].append(_ms(dialled.sent, dialled.returned))
    await on.phones.when("talking", phone)
    deleted = await on.hang_up_room(room)
    found["bye"].append(_ms(deleted.sent, await on.phones.when("bye", phone)))
    await on.phones.when("ended", phone)


async def _rate(rate: int, legs: int) -> dict[str, Any]:
    """Pairs of phones, each pair in a room of its own: dialled, talk 0.3 s, room deleted."""
    async with rig() as on:
        await _pair(on, 499_999)  # warm
        descriptors = machine.descriptors(on.server.process)
        before, began = machine.sample(on.server.process), time.monotonic()
        failures: list[str] = []
        invites: list[float] = []

        async def pair(number: int) -> None:
            await asyncio.sleep(began + number * 2 / rate - time.monotonic())
            try:
                invites.extend(await _pair(on, number))
            except Exception as error:  # noqa: BLE001 - any failure of a call is a failure
                failures.append(str(error) or repr(error))

        await asyncio.gather(*(pair(number) for number in range(legs // 2)))
        took = time.monotonic() - began
        await asyncio.sleep(_TAIL)
        after = machine.sample(on.server.process)
        row = {
            "legs": legs,
            "failed_pairs": len(failures),
            "failures": failures[:3],
            "seconds": took,
            "cpu_ms_per_leg": 1_000 * (after.cpu - before.cpu) / legs,
            "server_cores": (after.cpu - before.cpu) / took,
            "descriptors_left": machine.descriptors(on.server.process) - descriptors,
            "invite": _percentiles(invites),
            "load": machine.load_average(),
        }
    print(
        f"{rate} legs/s: {row['cpu_ms_per_leg']:.2f} ms CPU per leg, {len(failures)} pairs failed"
        f" (load average {row['load']:.2f})",
        flush=True,
    )
    return row


async def _pair(on: Rig, number: int) -> list[float]:
    """Two phones meet, talk and are hung up; milliseconds from API to INVITE."""
    phones, room = (2 * number, 2 * number + 1), f"pair-{number}"
    dialled = await asyncio.gather(*(on.dial(room, phone) for phone in phones))
    invites = [
        _ms(answer.sent, await on.phones.when("invite", phone))
        for answer, phone in zip(dialled, phones, strict=True)
    ]
    for phone in phones:
        await on.phones.when("talking", phone)
    await asyncio.sleep(_TALK)
    await on.hang_up_room(room)
    for phone in phones:
        await on.phones.when("ended", phone)
    return invites


def _ms(begin: int, end: int) -> float:
    return (end - begin) / 1e6


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}

    def at(share: float) -> float:
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    return {
        "count": len(ordered),
        "min": ordered[0],
        "p50": at(0.5),
        "p95": at(0.95),
        "p99": at(0.99),
        "max": ordered[-1],
    }
