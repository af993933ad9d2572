"""docs/cli.md typed from the first line to the last, against one `switchroom dev`."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc

from interop.hearing import Voice
from interop.test_documented_commands import SWITCHROOM, blocks, development_server, run

pytestmark = pytest.mark.interop

NEEDS_OPEN_MICROPHONE = "mute-track"


class Typist:
    """Types the commands of the paper, and puts in what only a running server can know."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._known = {"ST_…": server["trunk_id"]}
        self.typed: list[str] = []

    async def type(self, line: str) -> str:
        for blank, value in self._known.items():
            line = line.replace(blank, value)
        assert "…" not in line, line
        words = shlex.split(line)
        assert words[0] == "switchroom"
        output = await run(SWITCHROOM, *words[1:])
        self.typed.append(line)
        if "sip participant create" in line:
            self._learn("SCL_", output)
            await self._learn_the_phones_track()
        if "dispatch create" in line:
            self._learn("AD_", output)
        return output

    async def _learn_the_phones_track(self) -> None:
        command = "--dev room participants get --room hello phone"
        phone = json.loads(await run(SWITCHROOM, *command.split()))
        self._known["TR_…"] = phone["tracks"][0]["sid"]

    def _learn(self, prefix: str, output: str) -> None:
        found = re.search(rf"\b{prefix}\w+", output)
        assert found is not None, output
        self._known[f"{prefix}…"] = found.group()


async def test_every_command_of_the_paper_works_in_the_order_it_stands_there(
    tmp_path: Path,
) -> None:
    commands = [line for block in blocks("docs/cli.md", "sh") for line in block.splitlines()]
    assert len(commands) >= 15
    async with development_server(tmp_path, patience=300) as server:
        typist = Typist(server)
        told = {command: await typist.type(command) for command in commands}
    assert len(typist.typed) == len(commands)
    listed = next(text for command, text in told.items() if "participants list hello" in command)
    assert "phone" in listed
    assert "active" in listed
    shown = next(text for command, text in told.items() if "call show" in command)
    assert shown.startswith("The participant was taken out of the room.\n")
    assert "INVITE ───" in shown
    got = next(text for command, text in told.items() if "participants get" in command)
    assert json.loads(got)["identity"] == "phone"


async def test_data_that_is_sent_arrives(tmp_path: Path) -> None:
    async with development_server(tmp_path) as server:
        create = "--dev token create --join --room hello --identity ada --token-only"
        token = (await run(SWITCHROOM, *create.split())).strip()
        room, came = rtc.Room(), asyncio.get_running_loop().create_future()
        room.on("data_received", came.set_result)
        await room.connect(server["url"].replace("http", "ws"), token)
        await room.local_participant.publish_track(Voice(440, -20).track)
        send = ("--dev", "room", "send-data", "--room", "hello", "--topic", "chat", '{"a": 1}')
        assert await run(SWITCHROOM, *send) == "Data sent to all in hello\n"
        packet = await asyncio.wait_for(came, 90)
        assert (packet.topic, json.loads(packet.data)) == ("chat", {"a": 1})
        await room.disconnect()
