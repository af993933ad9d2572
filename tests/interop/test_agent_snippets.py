"""Agents in every shape that LiveKit's telephony documentation teaches complete a phone call."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from interop.agent_calls import AgentCall, agent_call
from interop.agents import DEV, ROOT, START, needs_agents, needs_node
from interop.dispatching import NUMBER, dispatch, trunk_to
from interop.server import KEY, SECRET, Server, server_here
from interop.talking_phone import talking_phone
from interop.turns import takes_turns

SNIPPETS = ROOT / "tests" / "interop" / "snippets"
AGENT = "my-telephony-agent"
NAMELESS = ""
VOICEMAIL = "Please leave a message after the tone."
GREETING = "Hello, how can I help you today?"

pytestmark = [pytest.mark.interop, needs_agents]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose rooms end a second after the last person has left."""
    async with server_here(tmp_path, room__departure_timeout=1) as running:
        yield running


def calling(
    server: Server, folder: Path, snippet: str, phrases: Sequence[str], mode: Sequence[str] = START
) -> AbstractAsyncContextManager[AgentCall]:
    program, model = SNIPPETS / snippet, SNIPPETS / "assistant.yaml"
    return agent_call(server, folder, program, model, person_listens_for=phrases, mode=mode)


async def test_a_dial_that_fails_ends_the_job_and_who_is_called_speaks_first(
    server: Server, tmp_path: Path
) -> None:
    snippet, answer = "shuts_down_when_not_answered.py", "Good day. How can I help you?"
    async with calling(server, tmp_path, snippet, [answer]) as call:
        await dispatch(call.lk, AGENT, "wrong", phone_number="+12025550199")
        await call.worker.wait_for("SIP status: 404 Not Found")
        await call.worker.wait_for("shutting down job task")
        await call.begin(AGENT)
        await call.worker.wait_for("call picked up")
        await call.person.greet("hello")
        await call.person.hears(answer)
        call.person.phone.hang_up()
        await call.worker.wait_for("shutting down job task", times=2)


@dataclass(frozen=True)
class Greeting:
    """An agent that greets: its program, what that writes, its name, and how it is started."""

    snippet: str
    told: Sequence[str]
    agent: str = AGENT
    mode: Sequence[str] = START


GREETINGS = (
    Greeting(
        "worker_options_and_callbacks.py",
        [
            "dev mode is deprecated",
            *("participant joined: phone_user", "call status: active"),
            "disconnected: phone_user 1",
        ],
        mode=DEV,
    ),
    Greeting("polls_the_call_status.py", ["user has picked up"]),
    Greeting(
        "chooses_by_attributes.py",
        ["caller from +1", "trunk: ST_", "rule: None"],
        agent=NAMELESS,
    ),
)


@pytest.mark.parametrize("taught", GREETINGS, ids=lambda taught: taught.snippet)
async def test_a_greeting_is_heard_from_its_first_word(
    server: Server, tmp_path: Path, taught: Greeting
) -> None:
    async with calling(server, tmp_path, taught.snippet, [GREETING], taught.mode) as call:
        await call.begin(taught.agent)
        await call.person.hears(GREETING)
        call.person.phone.hang_up()
        await call.worker.wait_for("shutting down job task")
        for words in taught.told:
            await call.worker.wait_for(words)
        assert call.person.heard == [GREETING]


@pytest.mark.parametrize(
    ("snippet", "room", "message"),
    [
        ("removes_the_phone.py", "call", ["I will call back later.", "Goodbye."]),
        (
            "generates_then_hangs_up.py",
            "call",
            ["Hello.", "I will call you back later.", "Goodbye."],
        ),
        pytest.param(
            "dials_into_new_room.mjs",
            "new-room",
            ["Hello.", "I will call you back later.", "Goodbye."],
            marks=[needs_node, takes_turns],
        ),
    ],
)
async def test_a_voicemail_gets_its_message_whole(
    server: Server, tmp_path: Path, snippet: str, room: str, message: Sequence[str]
) -> None:
    async with calling(server, tmp_path, snippet, message) as call:
        await call.begin(AGENT, room)
        await call.is_listened_to(room)
        await call.person.say(VOICEMAIL, after=1)
        await call.person.hears("Goodbye")
        await call.person.is_hung_up_on()
        assert " ".join(call.person.heard) == " ".join(message)


async def test_a_tool_that_waits_for_its_words_hangs_up_after_them(
    server: Server, tmp_path: Path
) -> None:
    farewell = "Goodbye and thank you."
    async with calling(server, tmp_path, "generates_then_hangs_up.py", [farewell]) as call:
        await call.begin(AGENT)
        await call.person.greet("goodbye")
        await call.person.hears(farewell)
        await call.person.is_hung_up_on()
        assert call.tools == ["end_call"]


@needs_node
async def test_the_server_sdk_in_javascript_asks_for_an_agent_and_dials_with_every_option(
    server: Server, tmp_path: Path
) -> None:
    async with server.api() as lk, talking_phone(tmp_path / "person", ["nothing"]) as person:
        trunk = await trunk_to(lk, person.address)
        program = await asyncio.create_subprocess_exec(
            *("node", SNIPPETS / "asks_and_dials.mjs", "new-room", trunk, NUMBER),
            env={**os.environ, **credentials(server)},
            stdout=asyncio.subprocess.PIPE,
        )
        written, _ = await program.communicate()
        told = json.loads(written)
        await person.is_sent("*123#456")
        await person.is_hung_up_on()
    metadata = json.dumps({"phone_number": NUMBER}, separators=(",", ":"))
    # The room has its automatic dispatch as well, to workers without a name.
    assert [told["dispatch"], AGENT, "new-room", metadata] in told["listed"]
    assert told["call"].startswith("SCL_")
    assert (told["status"], told["name"]) == ("active", "Test Caller")


def credentials(server: Server) -> dict[str, str]:
    return {"LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
