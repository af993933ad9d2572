"""The gateway and the classes that really call it: livekit-agents in Python and for Node, and its
openai plugin. A caller's voice goes in as a telephone would send it, an answer comes out.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from interop.agents import PYTHON, needs_agents, needs_node
from switchroom.offline.journal import Replied
from switchroom.offline.script_file import read_script
from switchroom.offline.server import Gateway
from switchroom.speech.synthesis import say
from unit.speech.local_speech import needs_flite, needs_recogniser, over_the_phone

pytestmark = [pytest.mark.interop, needs_flite, needs_recogniser]

PROGRAMS = Path(__file__).with_name("agent_programs")
KEY, SECRET = "devkey", "secret"

GREETING = "Hello, this is Bright Smile Dental. Am I speaking with Maria Lopez?"
SCRIPT = read_script(
    """\
facts: ["The patient's name is {patient}."]
rules:
  - when: start
    say: "Hello, this is Bright Smile Dental. Am I speaking with {patient}?"
    next: asked who it is
  - hears: ["yes", "Yes, speaking."]
    in: asked who it is
    say: Can you come on Tuesday at 3 pm?
    next: asked to confirm
  - hears: ["yes", "Yes, I confirm."]
    in: asked to confirm
    call: confirm_appointment
    with: {patient: "{patient}"}
  - after: confirm_appointment
    say: "Thank you, {patient}. It is {result}. Goodbye."
"""
)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway(SCRIPT, keys={KEY: SECRET}) as running:
        yield running


async def told(gateway: Gateway, *command: str | Path) -> list[dict[str, Any]]:
    """Run a program against the gateway; what it wrote, an object a line."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={
            **os.environ,
            "LIVEKIT_INFERENCE_URL": gateway.inference_url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()[-3000:]
    return [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]


async def recorded(folder: Path, *sentences: str, rate: int = 8000) -> list[Path]:
    """Files of samples, each a sentence as a telephone sends it."""
    files = []
    for number, sentence in enumerate(sentences):
        file = folder / f"{number}.pcm"
        file.write_bytes(over_the_phone(await say(sentence, rate=8000)).at(rate).samples)
        files.append(file)
    return files


def values(lines: list[dict[str, Any]], name: str) -> list[Any]:
    return [line[name] for line in lines if name in line]


@needs_agents
async def test_an_agent_session_hears_answers_and_calls_its_tool(
    gateway: Gateway, tmp_path: Path
) -> None:
    sentences = ("Yes, speaking.", "Yes, I confirm.")
    program = PROGRAMS / "offline_dialogue.py"
    lines = await told(gateway, PYTHON, program, *await recorded(tmp_path, *sentences))
    happened = [line for line in lines if line["event"] in ("heard", "said", "tool")]
    assert [line.get("text", line.get("patient")) for line in happened] == [
        GREETING,
        "Yes, speaking.",
        "Can you come on Tuesday at 3 pm?",
        "Yes, I confirm.",
        "Maria Lopez",
        "Thank you, Maria Lopez. It is confirmed. Goodbye.",
    ]
    called = [event for event in gateway.journal.events if isinstance(event, Replied)]
    assert [event.tool for event in called if event.tool] == ["confirm_appointment"]
    for number, seconds in enumerate(turn_latencies(lines), start=1):
        sys.stdout.write(f"turn {number}: the answer began {seconds:.2f} s after the caller\n")


def turn_latencies(lines: list[dict[str, Any]]) -> list[float]:
    """Seconds from each end of the caller's sound to the agent's first sound after it."""
    ended, latencies = None, []
    for line in lines:
        if line["event"] == "caller ended":
            ended = line["at"]
        elif line["event"] == "agent began" and ended is not None:
            latencies.append(line["at"] - ended)
            ended = None
    return latencies


@needs_agents
async def test_the_openai_plugin_speaks_hears_and_chats(gateway: Gateway, tmp_path: Path) -> None:
    (file,) = await recorded(tmp_path, "Yes, I confirm.", rate=16_000)
    program = PROGRAMS / "offline_openai.py"
    lines = await told(gateway, PYTHON, program, gateway.openai_url, SECRET, file)
    assert values(lines, "spoke")[0] > 1.5
    assert values(lines, "heard") == ["Yes, I confirm."]
    assert values(lines, "answered") == [GREETING]


@needs_node
async def test_agents_for_node_speak_hear_and_chat(gateway: Gateway, tmp_path: Path) -> None:
    (file,) = await recorded(tmp_path, "Yes, I confirm.")
    lines = await told(gateway, "node", PROGRAMS / "offline_models.mjs", file)
    spoke = values(lines, "spoke")
    assert len(spoke) == 2
    assert spoke[0] == spoke[1] > 1.5
    assert values(lines, "heard") == ["Yes, I confirm."]
    assert values(lines, "answered") == [GREETING]
