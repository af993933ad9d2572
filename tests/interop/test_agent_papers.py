"""What examples/agents/README.md tells people to type, typed: an agent phones a patient."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from interop.agents import PYTHON, needs_agents, started
from interop.test_documented_commands import SWITCHROOM, blocks, development_server, run

PAPER = "examples/agents/README.md"

pytestmark = [pytest.mark.interop, needs_agents]


def words_of(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " "))


@asynccontextmanager
async def models_by(command: str) -> AsyncIterator[str]:
    """The gateway that a command starts, for as long as the body lasts; yields its first line."""
    process = await asyncio.create_subprocess_exec(
        SWITCHROOM, *words_of(command)[1:], stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode()
    finally:
        process.terminate()
        await process.communicate()


async def test_an_example_agent_calls_a_simulated_patient_as_its_paper_says(tmp_path: Path) -> None:
    _, models, agent, call = blocks(PAPER, "sh")
    settings = dict(re.findall(r"(LIVEKIT_\w+)=(\S+)", agent))
    _, program, start = words_of(agent)[-3:]
    async with (
        development_server(tmp_path, patience=300) as server,
        models_by(models) as ready,
    ):
        assert settings["LIVEKIT_INFERENCE_URL"] in ready
        settings["LIVEKIT_SIP_OUTBOUND_TRUNK"] = server["trunk_id"]
        # A busy machine of two cores is half idle then: above 0.7 a worker refuses jobs.
        settings["NUM_CPUS"] = "4"
        url = settings.pop("LIVEKIT_URL")
        async with started([PYTHON, program, start], url, settings, "registered worker") as worker:
            await run(SWITCHROOM, *words_of(call)[1:])
            await worker.wait_for("over: Maria Lopez comes on Tuesday at three in the afternoon")
