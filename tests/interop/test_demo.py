"""`make demo` on this machine: an agent phones a patient, a busy line and a voicemail, offline."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from interop.agents import needs_agents
from interop.turns import takes_turns

pytestmark = [
    pytest.mark.interop,
    needs_agents,
    takes_turns,
    pytest.mark.skipif(
        shutil.which("flite") is None, reason="flite is missing: apt-get install flite"
    ),
]

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


async def demo(*options: str, seconds: float) -> str:
    """Run the demo, which judges itself. Returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(DEMO),
        *options,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    printed = output.decode()
    assert process.returncode == 0, printed
    return printed


async def test_the_demo_makes_its_three_calls_and_finds_them_right() -> None:
    printed = await demo(seconds=180)
    assert "✗" not in printed
    assert "Traceback" not in printed
    assert printed.count("✓") == 10


@pytest.mark.soak
@pytest.mark.parametrize("time", range(1, 11))
async def test_the_demo_is_right_ten_times_in_a_row(time: int) -> None:
    assert "✗" not in await demo(seconds=180)


@pytest.mark.soak
async def test_the_transcript_of_the_appointment_call_is_right_in_twenty_of_twenty_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = await demo("--appointments", "20", seconds=1800)
    with capsys.disabled():
        sys.stdout.write("\n".join(printed.splitlines()[-6:]))
    assert "20 of 20 calls were right" in printed
