"""LiveKit's own command line, `lk`, typed as LiveKit's pages teach it, against a server of ours."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from livekit import api

from interop.agents import PYTHON, needs_agents, started
from interop.dispatching import NUMBER, dispatch, trunk_to
from interop.hearing import steady_stretch, windows
from interop.peer_process import PeerProcess, peer_process
from interop.recordings import write_tone
from interop.rtp_phone import rtp_phone
from interop.server import KEY, SECRET, Server
from interop.sipp_phone import ANSWER, RINGING, needs_sipp, receive, refusal, send, sipp_phone
from interop.talking_agent import ROOM, called
from interop.talking_phone import talking_phone
from interop.test_agent_snippets import AGENT, GREETING, SNIPPETS
from switchroom.offline.server import Gateway

_LK = Path(__file__).parents[2] / ".peers" / "go" / "lk"
_RULE = '{"rule":{"dispatchRuleIndividual":{"roomPrefix":"call-"}}}'
_STEPS = [receive("INVITE"), RINGING, ANSWER, receive("ACK"), receive("BYE"), send("200 OK")]

pytestmark = [
    pytest.mark.interop,
    pytest.mark.go,
    pytest.mark.skipif(
        not _LK.exists() or shutil.which("opusenc") is None,
        reason="LiveKit's command line is missing: make go",
    ),
]


class _Shell:
    """Types commands in a folder of its own, which is its home as well."""

    def __init__(self, server: Server, folder: Path) -> None:
        keys = {"LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
        self._environment = {**os.environ, **keys, "HOME": str(folder)}
        self._folder = folder

    async def type(self, line: str, *, status: int = 0) -> str:
        """What the command says; it must end with this status."""
        process = await asyncio.create_subprocess_exec(
            *(str(_LK), *shlex.split(line)[1:]),
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(180):
            output, _ = await process.communicate()
        assert process.returncode == status, output.decode()
        return output.decode()

    def at_work(self, line: str) -> AbstractAsyncContextManager[PeerProcess]:
        """A command that goes on."""
        command = (str(_LK), *shlex.split(line)[1:])
        return peer_process(command, self._folder, self._environment)

    def write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
async def shell(server: Server, tmp_path: Path) -> _Shell:
    home = tmp_path / "home"
    home.mkdir()
    return _Shell(server, home)


def named(text: str, prefix: str) -> str:
    """The first identifier of this kind."""
    found = re.search(rf"\b{prefix}_\w+", text)
    assert found is not None, text
    return found.group()


async def test_trunks_are_made_listed_changed_and_deleted(shell: _Shell) -> None:
    made = await shell.type(
        "lk sip outbound create --name My --address trunk.provider.com --numbers +15551234567 "
        "--auth-user user --auth-pass password"
    )
    listed = await shell.type("lk sip outbound list")
    for text in (named(made, "ST"), "trunk.provider.com", "+15551234567", "user / ****"):
        assert text in listed
    await shell.type(f"lk sip outbound update --id {named(made, 'ST')} --name Theirs")
    assert "Theirs" in await shell.type("lk sip outbound list")
    trunk = {"name": "Care", "numbers": ["+15105550188"], "headers_to_attributes": {"X-A": "a"}}
    shell.write("inbound-trunk.json", json.dumps({"trunk": trunk}))
    inbound = await shell.type("lk sip inbound create inbound-trunk.json")
    assert "X-A=a" in await shell.type("lk sip inbound list")
    older = await shell.type("lk list-sip-trunk")
    assert named(made, "ST") in older
    assert named(inbound, "ST") in older
    assert "deleted" in await shell.type(f"lk sip inbound delete {named(inbound, 'ST')}")
    assert named(inbound, "ST") not in await shell.type("lk sip inbound list")


async def test_rules_are_made_in_the_old_form_and_in_the_new(shell: _Shell) -> None:
    shell.write("old.json", _RULE)
    shell.write("new.json", json.dumps({"dispatch_rule": json.loads(_RULE)}))
    # Since the command line has the new form, it refuses the one that older pages teach by itself.
    assert "missing rule" in await shell.type("lk sip dispatch create old.json", status=1)
    old = await shell.type("lk create-sip-dispatch-rule --request old.json")
    listed = await shell.type("lk sip dispatch list")
    assert "call-_<caller>_<random>" in listed
    await shell.type(f"lk sip dispatch delete {named(old, 'SDR')}")
    new = await shell.type("lk sip dispatch create new.json")
    await shell.type(f"lk sip dispatch delete {named(new, 'SDR')}")
    made = await shell.type("lk sip dispatch create --name x --individual call-")
    again = await shell.type("lk sip dispatch create --name y --individual call-", status=1)
    assert "already exists" in again
    assert named(made, "SDR") in await shell.type("lk sip dispatch list")


async def test_an_agent_is_asked_for_in_a_new_room(shell: _Shell, server: Server) -> None:
    metadata = '{"phone_number": "+15105550123"}'
    await shell.type(f"lk dispatch create --new-room --agent-name my-agent --metadata '{metadata}'")
    async with server.api() as lk:
        (room,) = (await lk.room.list_rooms(api.ListRoomsRequest())).rooms
        asked = await lk.agent_dispatch.list_dispatch(room.name)
    assert ("my-agent", metadata) in [(one.agent_name, one.metadata) for one in asked]
    assert room.name in await shell.type("lk room list")
    assert "my-agent" in await shell.type(f"lk dispatch list {room.name}")
    await shell.type(f"lk room delete {room.name}")
    assert room.name not in await shell.type("lk room list")


async def test_a_token_is_taken_by_the_server(shell: _Shell, server: Server) -> None:
    written = await shell.type("lk token create --create --list --token-only")
    async with api.LiveKitAPI(server.url, token=written.splitlines()[-1]) as lk:
        await lk.room.create_room(api.CreateRoomRequest(name="hello"))
    assert "hello" in await shell.type("lk room list")


@needs_sipp
async def test_a_file_places_a_call_and_its_four_names_are_printed(
    shell: _Shell, tmp_path: Path
) -> None:
    async with sipp_phone(tmp_path, _STEPS) as phone:
        made = await shell.type(
            f"lk sip outbound create --name My --address {phone.address} --numbers +15550000000"
        )
        shell.write("sip-participant.json", _participant(named(made, "ST")))
        told = await shell.type("lk sip participant create sip-participant.json")
        people = await shell.type("lk room participants list open-room")
        await shell.type("lk room delete open-room")
        assert await phone.finished() == 0
    for words in ("SCL_", "PA_", "sip-test", "open-room"):
        assert words in told
    assert "sip-test" in people


@needs_sipp
async def test_a_call_to_somebody_busy_fails_with_their_status(
    shell: _Shell, tmp_path: Path
) -> None:
    async with sipp_phone(tmp_path, refusal("486 Busy Here")) as phone:
        made = await shell.type(
            f"lk sip outbound create --name My --address {phone.address} --numbers +15550000000"
        )
        shell.write("sip-participant.json", _participant(named(made, "ST")))
        told = await shell.type("lk sip participant create sip-participant.json", status=1)
    for words in ("SIPStatusCode: 486", "SIPStatus: Busy Here"):
        assert words in told


@needs_sipp
async def test_somebody_who_joins_by_it_hears_a_phones_keys_and_presses_some(
    shell: _Shell, server: Server, tmp_path: Path
) -> None:
    join = f"lk room join --identity lk --auto-subscribe --publish-dtmf 12w# {ROOM}"
    async with (
        asyncio.timeout(180),
        rtp_phone(tmp_path / "phone") as phone,
        called(server, phone),
        shell.at_work(join) as somebody,
    ):
        await phone.until(lambda it: len(it.keys) == 3)
        await somebody.says('"participant": "phone"')
        phone.press(5)
        await somebody.says('received dtmf	{"digits": "5", "participant": "phone"}')
        assert phone.keys == ["1", "2", "#"]


@needs_sipp
async def test_a_file_that_it_publishes_is_heard_at_a_phone(
    shell: _Shell, server: Server, tmp_path: Path
) -> None:
    wave, file = tmp_path / "tone.wav", tmp_path / "tone.ogg"
    write_tone(wave, 440, -20, 60, rate=48_000)
    encoder = await asyncio.create_subprocess_exec("opusenc", "--quiet", wave, file)
    assert await encoder.wait() == 0
    async with (
        asyncio.timeout(180),
        rtp_phone(tmp_path / "phone") as phone,
        called(server, phone),
        shell.at_work(f"lk room join --identity lk --publish {file} {ROOM}"),
    ):
        await phone.until(lambda it: len(it.loud) > 75)
        samples = [sample for _, frame in phone.sound for sample in frame]
        assert len(steady_stretch(windows(samples, 8_000), 440)) >= 5


@needs_agents
async def test_an_agent_that_it_runs_greets_who_is_called(server: Server, tmp_path: Path) -> None:
    # What `python main.py dev` tells people to use instead. The folder says which language it is.
    folder = tmp_path / "agent"
    folder.mkdir()
    (folder / "requirements.txt").write_text("livekit-agents\n")
    program = Path(shutil.copy(SNIPPETS / "polls_the_call_status.py", folder / "main.py"))
    async with (
        server.api() as lk,
        talking_phone(tmp_path / "person", [GREETING]) as person,
        Gateway(SNIPPETS / "assistant.yaml", keys={KEY: SECRET}) as gateway,
    ):
        settings = {
            "HOME": str(folder),
            "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
            "VIRTUAL_ENV": str(PYTHON.parents[1]),
            "LIVEKIT_INFERENCE_URL": gateway.inference_url,
            "LIVEKIT_SIP_OUTBOUND_TRUNK": await trunk_to(lk, person.address),
        }
        async with started(
            [_LK, "agent", "dev", program], server.ws_url, settings, "registered worker"
        ) as worker:
            await dispatch(lk, AGENT, "call", phone_number=NUMBER)
            await person.is_called()
            await person.hears(GREETING)
            person.phone.hang_up()
            await worker.wait_for("shutting down job task")


def _participant(trunk: str) -> str:
    return json.dumps(
        {
            "sip_trunk_id": trunk,
            "sip_call_to": "+12135550100",
            "room_name": "open-room",
            "participant_identity": "sip-test",
            "participant_name": "Test Caller",
            "wait_until_answered": True,
        }
    )
