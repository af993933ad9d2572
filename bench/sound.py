"""Half a minute of speech through a bridge over bad networks: by this server, and by PJSIP's.

Each condition is heard by all bridges at the same time: two phones here (passed through), two
phones and a silent third (mixed, so decoded), and two phones of PJSIP's conference bridge.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import machine
from livekit.protocol import sip
from rig import FailedError, Rig, network, rig

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from interop import judging
from interop.judging import Samples
from interop.lossy_line import FRAME, Exchange, Impairment, Line, lines, unbridged

_PJSUA = Path(".peers/pjsua/bin/python")
_SETTLING = 3.0
"""Seconds of silence before and after: buffers find their level."""
_PATIENCE = 20.0

CONDITIONS = (
    Impairment("no loss"),
    Impairment("2 % at random", 0.02),
    Impairment("5 % at random", 0.05),
    Impairment("2 % in bursts", 0.02, burst=3),
    Impairment("5 % in bursts", 0.05, burst=3),
    Impairment("60 ms of jitter", jitter=0.06),
)
#: Numbers of the speaking and the listening phone, by path.
_PATHS = {
    "passed through": ("1001", "1002"),
    "mixed": ("2001", "2002"),
    "PJSIP": ("3001", "3002"),
}
_SILENT = "2003"
_NUMBERS = (*(number for pair in _PATHS.values() for number in pair), _SILENT)


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it: four minutes; ``quick`` is ten seconds of two conditions."""
    said = judging.speech(10 if quick else 30)
    conditions = (CONDITIONS[0], CONDITIONS[2]) if quick else CONDITIONS
    before = machine.load_average()
    async with rig() as on, lines(network().far, *_NUMBERS) as exchange, _bridged(on, exchange):
        found = [
            await _condition(exchange, said, condition, seed)
            for seed, condition in enumerate(conditions)
        ]
    return {
        **machine.describe(),
        "runs": 1,
        "load_before": before,
        "seconds": len(said) / judging.RATE,
        "conditions": found,
        "load_after": machine.load_average(),
    }


@asynccontextmanager
async def _bridged(on: Rig, exchange: Exchange) -> AsyncIterator[None]:
    """Every phone called and every pair joined."""
    for name, numbers in (("two", _PATHS["passed through"]), ("three", _PATHS["mixed"])):
        for number in (*numbers, *((_SILENT,) if name == "three" else ())):
            await _dial(on, exchange.where, number, name)
    async with _pjsua(exchange):
        try:
            async with asyncio.timeout(_PATIENCE):
                await exchange.until_up(*exchange.lines)
        except TimeoutError:
            missing = set(exchange.lines) - exchange.up
            raise FailedError(f"never called: {', '.join(sorted(missing))}") from None
        yield
    for name in ("two", "three"):
        await on.hang_up_room(name)


async def _dial(on: Rig, carrier: str, number: str, name: str) -> None:
    request = sip.CreateSIPParticipantRequest(
        trunk=sip.SIPOutboundConfig(hostname=carrier),
        sip_number="+15550000000",
        sip_call_to=number,
        room_name=name,
        participant_identity=number,
        media=sip.SIPMediaConfig(only_listed_codecs=True, codecs=[sip.SIPCodec(name="PCMU")]),
    )
    await on.api.call("SIP", "CreateSIPParticipant", request, sip.SIPParticipantInfo)


@asynccontextmanager
async def _pjsua(exchange: Exchange) -> AsyncIterator[None]:
    if not await asyncio.to_thread(_PJSUA.exists):
        raise FailedError("pjsua2-python is missing: tools/set-up peers")
    net = network()
    uris = [f"sip:{number}@{exchange.where}" for number in _PATHS["PJSIP"]]
    process = await asyncio.create_subprocess_exec(
        *net.enter_near, str(_PJSUA), "bench/pjsua_bridge.py", net.near, *uris,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _condition(
    exchange: Exchange, said: Samples, condition: Impairment, seed: int
) -> dict[str, Any]:
    frames = judging.frames(said)
    late = condition.applied(len(frames), seed)
    await asyncio.sleep(_SETTLING)
    pairs = {
        path: (exchange.lines[speaker], exchange.lines[listener])
        for path, (speaker, listener) in _PATHS.items()
    }
    for speaker, listener in pairs.values():
        listener.heard.clear()
        speaker.speak(frames, late)
    for speaker, _ in pairs.values():
        await asyncio.to_thread(speaker.spoken.wait, len(frames) * 0.02 + _PATIENCE)
    await asyncio.sleep(_SETTLING / 2)
    lost = sum(delay is None for delay in late) / len(late)
    alone = judging.played(unbridged(frames, late), 0)
    found: dict[str, dict[str, Any]] = {"no bridge": judging.scores(said, alone)}
    found |= {path: _judged(said, *pair) for path, pair in pairs.items()}
    for path, figures in found.items():
        print(f"  {condition.name}, {path}: {figures}", flush=True)
    return {"name": condition.name, "lost": lost, "paths": found}


def _judged(said: Samples, speaker: Line, listener: Line) -> dict[str, Any]:
    begun = min(speaker.sent.values())
    whole = said[: len(said) // FRAME * FRAME]
    heard = judging.played(listener, begun)
    late = judging.delays(whole, speaker, listener, begun)
    return {
        **judging.scores(whole, heard),
        "delay_ms": judging.percentiles(late),
        "phone_late_ms": speaker.late * 1e3,
    }
