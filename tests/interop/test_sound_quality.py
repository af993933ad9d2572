"""Speech through the bridge, judged by measures that are not ours."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest
from livekit import api

from interop import judging
from interop.lossy_line import Exchange, Impairment, lines, unbridged
from interop.measuring import measured
from interop.server import Server, server_here
from interop.turns import takes_turns

pytestmark = [
    pytest.mark.interop,
    takes_turns,
    pytest.mark.skipif(
        shutil.which("flite") is None, reason="flite is missing: apt-get install flite"
    ),
]

SPEAKER, LISTENER, SILENT = "1001", "1002", "1003"
PATIENT = 10.0
"""Seconds of buffer: what a busy machine delivers late is not lost to these tests."""
NOISE_BELOW_DB = 15.0


async def call(
    server: Server, exchange: Exchange, *numbers: str, denoised: str = "", codec: str = "PCMU"
) -> None:
    """These phones in one room."""
    async with server.api() as livekit:
        for number in numbers:
            await livekit.sip.create_sip_participant(
                api.CreateSIPParticipantRequest(
                    trunk=api.SIPOutboundConfig(hostname=exchange.where),
                    sip_number="+15550000000",
                    sip_call_to=number,
                    room_name="quality",
                    participant_identity=number,
                    krisp_enabled=number == denoised,
                    media=api.SIPMediaConfig(
                        only_listed_codecs=True, codecs=[api.SIPCodec(name=codec)]
                    ),
                    wait_until_answered=True,
                )
            )
    await exchange.until_up(*numbers)


async def heard(
    exchange: Exchange, said: judging.Samples, late: list[float | None]
) -> judging.Samples:
    """What the listener plays of what the speaker says."""
    speaker, listener = exchange.lines[SPEAKER], exchange.lines[LISTENER]
    await asyncio.to_thread(speaker.settled.wait)
    speaker.speak(judging.frames(said), late)
    await asyncio.to_thread(speaker.spoken.wait)
    return judging.played(listener, min(speaker.sent.values()), PATIENT)


@pytest.mark.parametrize("others", [(), (SILENT,)], ids=["passed through", "mixed"])
@measured
async def test_a_bridge_makes_speech_over_a_lossy_network_no_worse_than_the_network_does(
    tmp_path: Path, others: tuple[str, ...]
) -> None:
    said = judging.speech(10)
    late = Impairment("loss", 0.05).applied(len(judging.frames(said)), seed=5)
    network = judging.scores(said, judging.played(unbridged(judging.frames(said), late), 0))
    async with (
        asyncio.timeout(180),
        server_here(tmp_path) as server,
        lines("127.0.0.1", SPEAKER, LISTENER, *others) as exchange,
    ):
        await call(server, exchange, SPEAKER, LISTENER, *others)
        bridged = judging.scores(said, await heard(exchange, said, late))
    told = bridged, network, f"the phone itself was {exchange.lines[SPEAKER].late:.3f} s late"
    assert bridged["stoi"] > network["stoi"] - 0.1, told
    assert bridged["pesq"] > network["pesq"] - 0.6, told


@measured
async def test_noise_is_ten_decibels_less_and_the_voice_as_loud_where_a_call_asks_for_it(
    tmp_path: Path,
) -> None:
    lead = 2 * judging.RATE
    words = judging.speech(6)
    said = np.concatenate([np.zeros(lead), words, np.zeros(judging.RATE)])
    noisy = said + fan(len(said)) * judging.rms(words) / 10 ** (NOISE_BELOW_DB / 20)
    async with (
        asyncio.timeout(180),
        server_here(tmp_path) as server,
        lines("127.0.0.1", SPEAKER, LISTENER) as exchange,
    ):
        await call(server, exchange, SPEAKER, LISTENER, denoised=SPEAKER)
        frames = judging.frames(noisy)
        clean = judging.aligned(said, await heard(exchange, noisy, [0.0] * len(frames)))
    quiet, loud = judging.pauses(said), judging.loud(said)
    level = judging.level_db
    assert level(noisy[quiet]) - level(clean[quiet]) > 10
    assert abs(level(clean[loud]) - level(noisy[loud])) < 2


def fan(count: int) -> judging.Samples:
    """As a fan makes it, the louder the lower; of mean power 1."""
    white = np.random.default_rng(48).standard_normal(count)
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    sound = np.fft.irfft(spectrum, count)
    return sound / judging.rms(sound)
