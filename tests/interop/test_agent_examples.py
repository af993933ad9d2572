"""The agents of examples/agents call a phone that is not ours, and do what they say they do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from interop.agent_calls import AgentCall, agent_call
from interop.agents import EXAMPLES, PYTHON, ROOT, needs_agents, needs_node
from interop.dispatching import NUMBER, dispatch, trunk_to
from interop.server import Server, server_here

pytestmark = [pytest.mark.interop, needs_agents]

VOICEMAIL = "Please leave a message after the tone."


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose rooms end a second after the last person has left."""
    async with server_here(tmp_path, room__departure_timeout=1) as running:
        yield running


def calling(
    server: Server, folder: Path, program: str, phrases: Sequence[str]
) -> AbstractAsyncContextManager[AgentCall]:
    script = (EXAMPLES / program).with_suffix(".yaml")
    return agent_call(server, folder, EXAMPLES / program, script, person_listens_for=phrases)


async def test_the_outbound_caller_talks_until_it_is_hung_up_on(
    server: Server, tmp_path: Path
) -> None:
    phrases = [
        "Hello, this is the bicycle shop. Your red bicycle is ready. When will you collect it?",
        "Thank you, we expect you tomorrow morning. Goodbye.",
    ]
    async with calling(server, tmp_path, "outbound_caller.py", phrases) as call:
        await call.begin("outbound-caller", bicycle="red bicycle")
        await call.person.greet("hello")
        await call.person.hears("When will you collect it")
        await call.person.say("tomorrow morning")
        await call.person.hears("Goodbye")
        call.person.phone.hang_up()
        await call.worker.wait_for("the customer comes: tomorrow morning")
        await call.worker.wait_for("shutting down job task")
        assert call.person.heard == phrases
        assert call.tools == ["note_collection"]
