"""Speech with real noise, through a call whose phone is denoised.

The noises are recordings that `livekit-agents` ships for agents' backgrounds: a street, an office,
a room full of people, birds, keyboards.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import machine
import numpy as np
from livekit.protocol import sip
from numpy.typing import NDArray
from rig import FailedError, Rig, network, rig

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from interop import judging
from interop.judging import RATE, Samples
from interop.lossy_line import Exchange, hurry, lines

_AGENTS = Path(".peers/agents")
_NOISES = {
    "a street": "city-ambience",
    "an office with people": "office-ambience",
    "a room full of people": "crowded-room",
    "birds in a forest": "forest-ambience",
    "a keyboard": "keyboard-typing",
}
_SNR_DB = 10.0
_LEAD = 3.0
"""Seconds of noise before the first word."""
_PAUSES = (1.5, 0.6, 4.0)
"""Seconds after each sentence, in turn: a breath, a comma, and the time it takes to be answered."""
_DECODE = """
import sys, av
out = av.AudioResampler("s16", "mono", int(sys.argv[2]))
with av.open(sys.argv[1]) as file:
    for frame in file.decode(audio=0):
        for piece in out.resample(frame):
            sys.stdout.buffer.write(piece.to_ndarray().tobytes())
"""


async def measure(*, quick: bool) -> dict[str, Any]:
    """All noises at the same time, each in a call of its own."""
    said, words = _conversation(8 if quick else 30)
    noisy = {name: _mixed(said, words, recording(file)) for name, file in _NOISES.items()}
    noisy["none"] = said
    before = machine.load_average()
    numbers = {name: (f"40{at:02}", f"50{at:02}") for at, name in enumerate(noisy)}
    calls = [number for pair in numbers.values() for number in pair]
    async with (
        rig() as on,
        lines(network().far, *calls) as exchange,
        _talking(on, exchange, numbers),
    ):
        heard = await _heard(exchange, numbers, noisy)
        late = max(judging.lateness_ms(exchange.lines[speaker]) for speaker, _ in numbers.values())
    return {
        **machine.describe(),
        "runs": 1,
        "load_before": before,
        "seconds": float(words.sum()) / RATE,
        "late_ms": late,
        "snr_db": _SNR_DB,
        "noises": [_judged(name, said, words, noisy[name], heard[name]) for name in noisy],
        "load_after": machine.load_average(),
    }


def recording(name: str) -> Samples:
    """A noise of `livekit-agents` at 8 kHz."""
    folder = next(_AGENTS.glob("lib/python*/site-packages/livekit/agents/resources"), None)
    if folder is None:
        raise FailedError("livekit-agents is missing: tools/set-up peers")
    command: list[str | Path] = [
        _AGENTS / "bin" / "python",
        "-c",
        _DECODE,
        folder / f"{name}.ogg",
        str(RATE),
    ]
    decoded = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(decoded, "<i2").astype(float)


def _conversation(seconds: float) -> tuple[Samples, NDArray[np.bool_]]:
    """One side of it, and which of its samples are of sentences."""
    parts, spoken = [np.zeros(int(_LEAD * RATE))], [False]
    for at, sentence in enumerate(judging.sentences(seconds)):
        parts += [sentence, np.zeros(int(_PAUSES[at % len(_PAUSES)] * RATE))]
        spoken += [True, False]
    words = np.concatenate([np.full(len(p), s) for p, s in zip(parts, spoken, strict=True)])
    return np.concatenate(parts), words


def _mixed(said: Samples, words: NDArray[np.bool_], noise: Samples) -> Samples:
    noise = np.resize(noise, len(said))
    wanted = np.sqrt(np.mean(said[words] ** 2) / 10 ** (_SNR_DB / 10))
    mixed = said + noise * wanted / np.sqrt(np.mean(noise**2))
    return np.asarray(np.clip(mixed, -32_768, 32_767), float)


@asynccontextmanager
async def _talking(
    on: Rig, exchange: Exchange, numbers: dict[str, tuple[str, str]]
) -> AsyncIterator[None]:
    for name, (speaker, listener) in numbers.items():
        for number in (speaker, listener):
            request = sip.CreateSIPParticipantRequest(
                trunk=sip.SIPOutboundConfig(hostname=exchange.where),
                sip_number="+15550000000",
                sip_call_to=number,
                room_name=name,
                participant_identity=number,
                krisp_enabled=number == speaker,
                media=sip.SIPMediaConfig(
                    only_listed_codecs=True, codecs=[sip.SIPCodec(name="PCMU")]
                ),
            )
            await on.api.call("SIP", "CreateSIPParticipant", request, sip.SIPParticipantInfo)
    await exchange.until_up(*(number for pair in numbers.values() for number in pair))
    yield
    for name in numbers:
        await on.hang_up_room(name)


async def _heard(
    exchange: Exchange, numbers: dict[str, tuple[str, str]], noisy: dict[str, Samples]
) -> dict[str, Samples]:
    await asyncio.sleep(1)
    # The phones wait for the interpreter: whoever holds it must not wait for the machine, nor look
    # through all that was ever imported for what may be freed.
    hurry()
    gc.freeze()
    # All are made before the first is spoken: that would make the phones late.
    spoken = {name: judging.frames(sound) for name, sound in noisy.items()}
    for name, (speaker, _) in numbers.items():
        exchange.lines[speaker].speak(spoken[name], [0.0] * len(spoken[name]))
    for speaker, _ in numbers.values():
        await asyncio.to_thread(exchange.lines[speaker].spoken.wait, 60)
    await asyncio.sleep(1)
    return {
        name: judging.played(
            exchange.lines[listener], min(exchange.lines[speaker].sent.values()), buffer=1.0
        )
        for name, (speaker, listener) in numbers.items()
    }


def _judged(
    name: str, said: Samples, words: NDArray[np.bool_], noisy: Samples, heard: Samples
) -> dict[str, Any]:
    heard = judging.aligned(said, heard)
    quiet, loud = judging.pauses(said), judging.loud(said)
    level, first = judging.level_db, int(_LEAD * RATE)

    def less(where: slice) -> float:
        return level(noisy[where][quiet[where]]) - level(heard[where][quiet[where]])

    return {
        "name": name,
        "before_words_db": less(slice(first)),
        "between_words_db": less(slice(first, None)),
        "voice_db": level(heard[loud]) - level(noisy[loud]),
        "before": judging.scores(said[words], noisy[words]),
        "after": judging.scores(said[words], heard[words]),
    }
