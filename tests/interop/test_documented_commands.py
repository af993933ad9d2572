"""What the papers tell people to type, typed: against `switchroom dev`, with the official SDK."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc

from interop.hearing import Voice

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


@asynccontextmanager
async def typed(*command: str | Path, **environment: str) -> AsyncIterator[asyncio.StreamReader]:
    """A command that runs on while the body lasts; yields what it prints. It ends well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(180):
            yield process.stdout
    finally:
        if not process.stdout.at_eof():
            process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def line_with(words: str, output: asyncio.StreamReader) -> str:
    """The next line that holds these words."""
    read = ""
    while line := (await output.readline()).decode():
        read += line
        if words in line:
            return line
    raise AssertionError(f"no {words!r} in: {read}")


async def run(*command: str | Path) -> str:
    """Run a command, which must succeed within a minute; its output."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(180):
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


async def test_the_papers_phone_calls_in_and_somebody_who_joins_is_heard(tmp_path: Path) -> None:
    (command,) = blocks("docs/inbound.md", "console")
    words = shlex.split(command.removeprefix("$ "))
    async with (
        development_server(tmp_path) as server,
        typed(SWITCHROOM, *words[1:]) as printed,
    ):
        await line_with("rings", printed)
        (made,) = json.loads(await run(SWITCHROOM, "--dev", "room", "list", "--json"))
        assert made["name"].startswith("call_")
        join = f"--dev token create --join --room {made['name']} --identity ada --token-only"
        room, voice = rtc.Room(), Voice(440, -20)
        await room.connect(server["ws_url"], (await run(SWITCHROOM, *join.split())).strip())
        await room.local_participant.publish_track(voice.track)
        async with voice.speaking():
            await line_with("answers", printed)
            await line_with("hears tone of 440 Hz", printed)
        await room.disconnect()
        await run(SWITCHROOM, "--dev", "room", "delete", made["name"])
        assert b"ended by" in await printed.read()


async def test_the_papers_second_server_runs_beside_the_first(tmp_path: Path) -> None:
    paper = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    found = re.search(
        r"`((?:SWITCHROOM_\w+=\d+ )+)(switchroom dev --port \d+)( --data \w+)`", paper
    )
    assert found is not None
    variables = dict(pair.split("=") for pair in found[1].split())
    words = found[2].split()[1:]
    data = ("--data", str(tmp_path / "second"), "--json")
    async with (
        development_server(tmp_path / "first") as first,
        typed(SWITCHROOM, *words, *data, **variables) as printed,
    ):
        second = json.loads(await printed.readline())
        assert second["url"].endswith(words[-1])
        assert second["carrier"] != first["carrier"]
        call = f"sip participant create --trunk {second['trunk_id']} --room r --call +12025550101"
        assert "SCL_" in await run(SWITCHROOM, "--url", second["url"], *call.split(), "--wait")


async def test_the_papers_phones_run_by_themselves(tmp_path: Path) -> None:
    alone, with_numbers = blocks("docs/phonenet.md", "console")
    phones = next(block for block in blocks("docs/phonenet.md", "python") if "picky" in block)
    (tmp_path / "my_phones.py").write_text(phones)
    for command in (alone, with_numbers.replace("my_phones.py", str(tmp_path / "my_phones.py"))):
        words = shlex.split(command.removeprefix("$ "))
        assert words[0] == "python"
        async with typed(sys.executable, *words[1:]) as printed:
            await line_with("127.0.0.1:5070", printed)


async def test_the_papers_keys_are_made_and_used(tmp_path: Path) -> None:
    """examples/production: what is typed makes a key file that a server can be started with."""
    command = next(
        line
        for block in blocks("examples/production/README.md", "sh")
        for line in block.splitlines()
        if "generate-keys" in line
    )
    program, _, rest = command.partition(" generate-keys ")
    options, _, file = rest.partition(" >> ")
    assert (program, file) == ("/opt/switchroom/bin/switchroom", "/etc/switchroom/keys.yaml")
    keys = tmp_path / "keys.yaml"
    keys.touch(mode=0o600)
    for _ in range(2):
        with keys.open("a") as written:
            written.write(await run(SWITCHROOM, "generate-keys", *options.split()))
    assert "can be used" in await run(SWITCHROOM, "serve", "--key-file", str(keys), "--check")
    assert len(keys.read_text().splitlines()) == 2
