"""`switchroom sip` against a server: the paper on numbers, lk's grammar, and tutorials' forms."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interop.server import KEY, SECRET, server_here
from interop.test_documented_commands import SWITCHROOM, blocks

pytestmark = pytest.mark.interop

_PAPER = "docs/numbers.md"


class _Shell:
    """Types commands in a folder; identifiers that the paper leaves open are those made last."""

    def __init__(self, url: str, folder: Path) -> None:
        self._options = ("--url", url, "--api-key", KEY, "--api-secret", SECRET)
        self._folder = folder
        self._known: dict[str, str] = {}

    async def type(self, line: str, *, status: int = 0) -> str:
        for name, value in self._known.items():
            line = line.replace(name, value)
        assert "…" not in line, line
        words = [word for word in shlex.split(line)[1:] if word != "--dev"]
        process = await asyncio.create_subprocess_exec(
            SWITCHROOM,
            *self._options,
            *words,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaints = await process.communicate()
        assert process.returncode == status, complaints.decode()
        text = output.decode()
        for prefix in ("ST", "SDR"):
            found = re.search(rf"\b{prefix}_\w+", text)
            if found is not None and "create" in words:
                self._known[f"{prefix}_…"] = found.group()
        return text if status == 0 else complaints.decode()

    def write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[_Shell]:
    async with server_here(tmp_path) as server:
        yield _Shell(server.url, tmp_path)


async def test_every_command_of_the_paper_works_in_the_order_it_stands_there(
    shell: _Shell,
) -> None:
    making, changing = (block.splitlines() for block in blocks(_PAPER, "sh"))
    for line in making:
        listed = await shell.type(line)
        if line.endswith("inbound list"):
            assert "+1510555????" in listed
            assert "192.0.2.0/24" in listed
        if line.endswith("dispatch list"):
            assert "call-_<caller>_*" in listed
            assert "receptionist" in listed
            assert "4711" not in listed
    for line in changing:
        await shell.type(line)


async def test_the_papers_files_make_a_trunk_and_a_rule(shell: _Shell) -> None:
    trunk, rule = blocks(_PAPER, "json")
    shell.write("inbound-trunk.json", trunk)
    shell.write("dispatch-rule.json", rule)
    made = json.loads(await shell.type("switchroom sip inbound create inbound-trunk.json --json"))
    assert made["numbers"] == ["+1510555????"]
    made = json.loads(await shell.type("switchroom sip dispatch create dispatch-rule.json --json"))
    assert made["room_config"]["agents"] == [{"agent_name": "receptionist"}]


async def test_forms_of_older_pages_and_of_courses_work(shell: _Shell) -> None:
    shell.write("dispatch-rule.json", '{"rule":{"dispatchRuleIndividual":{"roomPrefix":"call-"}}}')
    assert "SDR_" in await shell.type("switchroom sip dispatch create dispatch-rule.json")
    await shell.type(
        "switchroom sip trunk create-outbound --name My --address sip:trunk.provider.com "
        "--numbers +15551234567 --auth-username user --auth-password password"
    )
    await shell.type("switchroom sip trunk create-inbound --name In --numbers +15551234567")
    listed = await shell.type("switchroom sip trunk list")
    for text in ("trunk.provider.com", "outbound", "inbound", "user / ****"):
        assert text in listed


async def test_what_the_server_refuses_is_one_line(shell: _Shell) -> None:
    await shell.type("switchroom sip inbound create --numbers +1")
    said = await shell.type("switchroom sip inbound create --numbers 1", status=1)
    assert said.startswith('error: Conflicting inbound SIP Trunks: "<new>" and "ST_')
    assert said.count("\n") == 1
