"""`switchroom sip` against a server: the paper on numbers, lk's grammar, and tutorials' forms."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interop.agents import needs_node
from interop.clients import NEWEST, NODE, Kind, joined, token_for
from interop.inbound_desk import ROOM, desk
from interop.pjsua import needs_pjsua, pjsua
from interop.recordings import write_tone
from interop.server import KEY, SECRET, outward_address, server_here
from interop.sipp_phone import ANSWER, RINGING, needs_sipp, receive, send, sipp_phone
from interop.test_documented_commands import SWITCHROOM, blocks

pytestmark = pytest.mark.interop

_PAPER = "docs/numbers.md"
_TRUNK_WITH_HEADERS = """
{
  "trunk": {
    "name": "Care",
    "numbers": ["+15105550188"],
    "headers_to_attributes": {"X-Customer-ID": "customer.id", "X-Tier": "tier"}
  }
}
"""


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


@needs_sipp
async def test_a_file_places_a_call_and_its_four_names_are_printed(
    shell: _Shell, tmp_path: Path
) -> None:
    steps = [receive("INVITE"), RINGING, ANSWER, receive("ACK"), receive("BYE"), send("200 OK")]
    async with sipp_phone(tmp_path, steps) as phone:
        made = await shell.type(
            f"switchroom sip outbound create --name My --address {phone.address} --numbers +1555"
        )
        request = {
            "sip_trunk_id": made.removeprefix("SIPTrunkID: ").strip(),
            "sip_call_to": "+12135550100",
            "room_name": "open-room",
            "participant_identity": "sip-test",
            "participant_name": "Test Caller",
            "display_name": "My Custom Display Name",
            "wait_until_answered": True,
        }
        shell.write("sip-participant.json", json.dumps(request))
        told = await shell.type("switchroom sip participant create sip-participant.json")
        await shell.type("switchroom room delete open-room")
        assert await phone.finished() == 0
    for words in ("SCL_", "PA_", "sip-test", "open-room"):
        assert words in told


@needs_pjsua
@pytest.mark.parametrize(
    "kind", [NEWEST, pytest.param(NODE, marks=needs_node)], ids=["python", "node"]
)
async def test_headers_that_a_trunks_file_names_are_attributes_that_an_agent_sees(
    tmp_path: Path, kind: Kind
) -> None:
    voice = tmp_path / "voice.wav"
    write_tone(voice, 1000, -20, 60)
    token = token_for("agent", room=ROOM, kind="agent")
    async with (
        desk(tmp_path) as front,
        pjsua(tmp_path / "phone", voice, address=outward_address()) as phone,
        joined(front.server, kind, "agent", token=token) as agent,
    ):
        shell = _Shell(front.server.url, tmp_path)
        shell.write("inbound-trunk.json", _TRUNK_WITH_HEADERS)
        await shell.type("switchroom sip inbound create inbound-trunk.json")
        await shell.type(f"switchroom sip dispatch create --direct {ROOM} --trunks ST_…")
        await agent.publish(440)
        headers = {"X-Customer-ID": "4711", "X-Tier": "gold"}
        await phone.dial(f"sip:+15105550188@{front.address}", **headers)
        await phone.is_up()
        await agent.next("heard")
        (caller,) = (await agent.do("look")).values()
        await phone.hang_up()
        await phone.is_over()
    shown = caller["attributes"]
    assert caller["is_phone"]
    assert (shown["customer.id"], shown["tier"]) == ("4711", "gold")
    assert shown["sip.ruleID"].startswith("SDR_")
    assert shown["sip.trunkID"].startswith("ST_")
    assert (shown["sip.trunkPhoneNumber"], shown["sip.phoneNumber"]) == ("+15105550188", "phone")


async def test_what_the_server_refuses_is_one_line(shell: _Shell) -> None:
    await shell.type("switchroom sip inbound create --numbers +1")
    said = await shell.type("switchroom sip inbound create --numbers 1", status=1)
    assert said.startswith('error: Conflicting inbound SIP Trunks: "<new>" and "ST_')
    assert said.count("\n") == 1
