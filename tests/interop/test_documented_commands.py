"""What the papers tell people to type, typed: against `switchroom dev`, with the official SDK."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWITCHROOM = Path(sys.executable).with_name("switchroom")

pytestmark = pytest.mark.interop


@asynccontextmanager
async def development_server(data: Path, patience: float = 120) -> AsyncIterator[dict[str, Any]]:
    """`switchroom dev` for as long as the body lasts, which has `patience` seconds for all it does.

    Yields its ``ready`` event.
    """
    process = await asyncio.create_subprocess_exec(
        SWITCHROOM,
        *("dev", "--json", "--data", str(data)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(patience):
            yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def run(*command: str | Path) -> str:
    """Run a command, which must succeed within a minute; its output."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def blocks(paper: str, language: str) -> list[str]:
    text = (ROOT / paper).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


async def test_the_readmes_program_calls_a_simulated_phone(tmp_path: Path) -> None:
    (program,) = blocks("README.md", "python")
    async with development_server(tmp_path) as server:
        program = program.replace("ST_…", server["trunk_id"])
        assert "answered: SCL_" in await run(sys.executable, "-c", program)


async def test_the_command_that_dev_prints_calls_a_simulated_phone(tmp_path: Path) -> None:
    async with development_server(tmp_path) as server:
        number, trunk = server["numbers"][0]["number"], server["trunk_id"]
        command = f"sip participant create --trunk {trunk} --room hello --call {number} --wait"
        output = await run(SWITCHROOM, "--dev", *command.split())
        assert "SIPCallID: SCL_" in output
        assert "RoomName: hello" in output
        rooms = await run(SWITCHROOM, "--dev", "room", "list", "--json")
        assert [room["name"] for room in json.loads(rooms)] == ["hello"]
        assert await run(SWITCHROOM, "--dev", "room", "delete", "hello") == "Room hello deleted\n"


async def test_the_readmes_trunk_is_made_listed_and_kept_over_a_restart(tmp_path: Path) -> None:
    (command,) = (
        block for block in blocks("README.md", "sh") if block.startswith("switchroom sip outbound")
    )
    words = shlex.split(command.replace("\\\n", " "))
    async with development_server(tmp_path):
        created = await run(SWITCHROOM, *words[1:])
        trunk_id = created.removeprefix("SIPTrunkID: ").strip()
    async with development_server(tmp_path):
        trunks = json.loads(await run(SWITCHROOM, "sip", "outbound", "list", "--json"))
    assert {trunk["sip_trunk_id"]: trunk["name"] for trunk in trunks}[trunk_id] == "Carrier"
    assert [trunk["name"] for trunk in trunks].count("simulated carrier") == 1


async def test_the_papers_dispatch_is_asked_for_listed_and_taken_back(tmp_path: Path) -> None:
    (commands,) = blocks("docs/agents.md", "sh")
    create, show = (shlex.split(line)[1:] for line in commands.splitlines())
    async with development_server(tmp_path):
        (made,) = json.loads(await run(SWITCHROOM, *create, "--json"))
        assert (made["agent_name"], made["metadata"]) == ("clerk", '{"phone_number": "+15550100"}')
        assert "pending" in await run(SWITCHROOM, *show)
        deleted = await run(SWITCHROOM, "dispatch", "delete", "call", made["id"])
        assert deleted == f"Dispatch {made['id']} deleted\n"
        (left,) = json.loads(await run(SWITCHROOM, *show, "--json"))
        assert left.get("agent_name", "") == ""
