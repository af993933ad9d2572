"""The simulated network called by SIPp, which knows nothing of our SIP and RTP."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from switchroom.phonenet import events
from switchroom.phonenet.client import PhoneNetwork

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        shutil.which("sipp") is None, reason="sipp is missing: apt-get install sip-tester"
    ),
]


@pytest.fixture
async def network() -> AsyncIterator[PhoneNetwork]:
    async with asyncio.timeout(180), PhoneNetwork() as running:
        yield running


async def sipp(network: PhoneNetwork, folder: Path, number: str, *options: str) -> int | None:
    """SIPp's own caller: INVITE, ACK, a while of echo, BYE. Returns its exit status."""
    process = await asyncio.create_subprocess_exec(
        "sipp", "-sn", "uac", network.address, "-s", number, "-i", "127.0.0.1", "-p", "0",
        "-nostdin", "-rtp_echo", "-timeout", "120s", *options,
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait()


async def test_a_phone_hears_its_own_tone_from_sipps_echo(
    network: PhoneNetwork, tmp_path: Path
) -> None:
    assert await sipp(network, tmp_path, "+12025550102", "-m", "1", "-d", "2000") == 0
    ended = await network.expect(events.Ended)
    assert (ended.by, ended.reason) == ("caller", "hung up")
    assert ended.heard.tone_hz == pytest.approx(1000, abs=1)
    assert ended.heard.level_dbov == pytest.approx(-20, abs=0.5)
    assert ended.heard.gaps == 0
    assert ended.lost == 0
    assert ended.packets_received > 50


async def test_sipp_understands_a_refusal(network: PhoneNetwork, tmp_path: Path) -> None:
    assert await sipp(network, tmp_path, "+12025550111", "-m", "1") == 1
    assert (await network.expect(events.Rejected)).status == 486


async def test_thirty_calls_of_sipp_over_tcp_are_all_answered_and_ended(
    network: PhoneNetwork, tmp_path: Path
) -> None:
    options = ("-m", "30", "-r", "30", "-l", "30", "-d", "1000", "-t", "t1")
    assert await sipp(network, tmp_path, "+12025550103", *options) == 0
    for _ in range(30):
        assert (await network.expect(events.Ended)).by == "caller"
