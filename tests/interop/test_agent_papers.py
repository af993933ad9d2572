"""What examples/agents/README.md tells people to type, typed: an agent phones a patient."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from interop.agents import PYTHON, needs_agents, started
from interop.test_documented_commands import SWITCHROOM, blocks, development_server, run

PAPER = "examples/agents/README.md"

pytestmark = [pytest.mark.interop, needs_agents]


def words_of(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " "))


async def test_an_example_agent_calls_a_simulated_patient_as_its_paper_says(tmp_path: Path) -> None:
    _, models, agent, call = blocks(PAPER, "sh")
    exported = dict(re.findall(r"(LIVEKIT_\w+)=(\S+)", agent))
    _, program, *options = words_of(agent)[-3:]
    async with development_server(tmp_path, patience=120) as server:
        exported["LIVEKIT_SIP_OUTBOUND_TRUNK"] = server["trunk_id"]
        gateway = await asyncio.create_subprocess_exec(
            SWITCHROOM, *words_of(models)[1:], stdout=asyncio.subprocess.PIPE
        )
        assert gateway.stdout is not None
        ready = await gateway.stdout.readline()
        assert exported["LIVEKIT_INFERENCE_URL"] in ready.decode()
        command: list[str | Path] = [PYTHON, program, *options]
        async with started(
            command, exported.pop("LIVEKIT_URL"), exported, "registered worker"
        ) as worker:
            await run(SWITCHROOM, *words_of(call)[1:])
            await worker.wait_for("over: Maria Lopez comes on Tuesday at three in the afternoon")
        gateway.terminate()
        await gateway.communicate()
