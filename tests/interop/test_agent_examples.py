"""The agents of examples/agents call a phone that is not ours, and do what they say they do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from interop.agent_calls import AgentCall, agent_call
from interop.agents import EXAMPLES, needs_agents, needs_node
from interop.cable import cable_to
from interop.dispatching import NUMBER, dispatch
from interop.server import Server, server_here
from interop.turns import takes_turns

pytestmark = [pytest.mark.interop, needs_agents]

VOICEMAIL = "Please leave a message after the tone."


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose rooms end a second after the last person has left."""
    async with server_here(tmp_path, room__departure_timeout=1) as running:
        yield running


def calling(
    server: Server, folder: Path, program: str, phrases: Sequence[str], script: str = ""
) -> AbstractAsyncContextManager[AgentCall]:
    """The agent of an example, with the script of the same name if no other is given."""
    model = EXAMPLES / (script or f"{Path(program).stem}.yaml")
    return agent_call(server, folder, EXAMPLES / program, model, person_listens_for=phrases)


async def test_the_outbound_caller_talks_until_it_is_hung_up_on(
    server: Server, tmp_path: Path
) -> None:
    phrases = [
        "Hello, this is the bicycle shop. Your red bicycle is ready. When will you collect it?",
        "Thank you, we expect you tomorrow morning. Goodbye.",
    ]
    async with calling(server, tmp_path, "outbound_caller.py", phrases) as call:
        await dispatch(call.lk, "outbound-caller", "wrong", phone_number="+12025550199", bicycle="")
        await call.worker.wait_for("(SIP 404 Not Found)")
        await call.begin("outbound-caller", bicycle="red bicycle")
        await call.person.greet("hello")
        await call.person.hears("When will you collect it")
        await call.person.say("tomorrow morning")
        await call.person.hears("Goodbye")
        call.person.phone.hang_up()
        await call.worker.wait_for("the customer comes: tomorrow morning")
        await call.worker.wait_for("shutting down job task", times=2)
        assert call.person.heard == phrases
        assert call.tools == ["note_collection"]


@pytest.mark.parametrize(
    "program", ["voicemail.py", pytest.param("voicemail.mjs", marks=[needs_node, takes_turns])]
)
async def test_the_voicemail_gets_its_message_whole(
    server: Server, tmp_path: Path, program: str
) -> None:
    message = ["This is the library.", "The book that you asked for is here.", "Goodbye."]
    async with calling(server, tmp_path, program, message) as call:
        await call.begin("voicemail-js" if program.endswith("mjs") else "voicemail")
        await call.is_listened_to()
        await call.person.say(VOICEMAIL, after=1)
        await call.person.is_hung_up_on()
        await call.person.hears("Goodbye")
        assert " ".join(call.person.heard) == " ".join(message)
        assert call.tools == ["detected_answering_machine"]


QUESTION = "Hello, this is the parcel service. Did your delivery come in time?"
THANKS = "Thank you for your answer. Goodbye."


async def answer_the_survey(call: AgentCall) -> None:
    """The person's side of hang_up.py, and of what is the same in JavaScript."""
    await call.person.hears("Did your delivery come in time")
    await call.person.say("yes it did")
    await call.person.is_hung_up_on()
    await call.person.hears("Goodbye")
    await call.leaves_no_room()
    assert call.person.heard == [QUESTION, THANKS]
    assert call.tools == ["end_call"]


async def test_the_end_call_tool_hangs_up_after_the_goodbye(server: Server, tmp_path: Path) -> None:
    async with calling(server, tmp_path, "hang_up.py", [QUESTION, THANKS]) as call:
        await call.begin("survey")
        await answer_the_survey(call)


@needs_node
@takes_turns
async def test_a_caller_in_javascript_is_told_why_nobody_answers_and_hangs_up_by_itself(
    server: Server, tmp_path: Path
) -> None:
    program, script = "outbound_caller.mjs", "hang_up.yaml"
    async with calling(server, tmp_path, program, [QUESTION, THANKS], script) as call:
        await dispatch(call.lk, "outbound-caller-js", "wrong", phone_number="+12025550199")
        await call.worker.wait_for("(SIP 404 Not Found)")
        await call.begin("outbound-caller-js")
        await answer_the_survey(call)


@needs_node
@takes_turns
async def test_a_worker_in_javascript_that_loses_its_line_keeps_its_call(
    server: Server, tmp_path: Path
) -> None:
    program, script = EXAMPLES / "outbound_caller.mjs", EXAMPLES / "hang_up.yaml"
    phrases = [QUESTION, THANKS]
    async with (
        cable_to(server.url) as cable,
        agent_call(
            server, tmp_path, program, script, person_listens_for=phrases, url=cable.ws_url
        ) as call,
    ):
        await call.begin("outbound-caller-js")
        await call.person.hears("Did your delivery come in time")
        cable.cut()
        await call.worker.wait_for("registered worker", times=2)
        await answer_the_survey(call)


async def test_a_tool_that_deletes_the_room_hangs_up_after_the_goodbye(
    server: Server, tmp_path: Path
) -> None:
    phrases = [
        "Hello, a parcel is waiting for you at the post office. Will you fetch it?",
        "Thank you. Goodbye.",
    ]
    async with calling(server, tmp_path, "hang_up_by_hand.py", phrases) as call:
        await call.begin("reminder")
        await call.person.hears("Will you fetch it")
        await call.person.say("yes I will")
        await call.person.is_hung_up_on()
        await call.person.hears("Goodbye")
        assert call.person.heard == phrases
        assert call.tools == ["end_call"]


async def test_a_phone_menu_is_answered_with_keys(server: Server, tmp_path: Path) -> None:
    async with calling(server, tmp_path, "phone_menu.py", ["One moment."]) as call:
        await call.begin("phone-menu")
        await call.is_listened_to()
        await call.person.say("For opening hours press two.", after=1)
        await call.person.is_sent("2")
        await call.person.say("We are open from nine to five.", after=2)
        await call.person.is_hung_up_on()
        await call.worker.wait_for("opening hours: nine to five")
        assert call.tools == ["send_dtmf_events", "note_opening_hours"]


async def test_a_number_is_taken_from_the_keys_of_the_phone(server: Server, tmp_path: Path) -> None:
    phrases = [
        "Please key in the four digits of your meter, and then the hash key.",
        "Thank you. Your reading is noted. Goodbye.",
    ]
    async with calling(server, tmp_path, "key_in_number.py", phrases) as call:
        await call.begin("key-in-number")
        await call.person.hears("then the hash key")
        call.person.phone.press("1234#")
        await call.person.is_hung_up_on()
        await call.person.hears("Goodbye")
        await call.worker.wait_for("the meter reads 1 2 3 4")
        assert call.person.heard == phrases


async def test_the_status_of_a_call_can_be_followed(server: Server, tmp_path: Path) -> None:
    async with calling(server, tmp_path, "call_status.py", ["nothing"], "hang_up.yaml") as call:
        await dispatch(call.lk, "call-status", "wrong", phone_number="+12025550199")
        await call.worker.wait_for("+12025550199: left, USER_UNAVAILABLE")
        await call.begin("call-status")
        await call.worker.wait_for(f"{NUMBER}: status active")
        call.person.phone.hang_up()
        await call.worker.wait_for(f"{NUMBER}: left, CLIENT_INITIATED")
        told = [words for words in call.worker.messages if words.startswith(NUMBER)]
        assert told[0] == f"{NUMBER}: joined with status dialing"
        assert [words.split()[-1] for words in told[1:]] == [
            *("ringing", "active", "hangup", "CLIENT_INITIATED"),
        ]


async def test_a_person_is_told_from_a_machine_and_talked_to(
    server: Server, tmp_path: Path
) -> None:
    words = ["Hello.", "The road in front of your house is closed tomorrow.", "Goodbye."]
    async with calling(server, tmp_path, "answering_machine.py", words) as call:
        await call.begin("answering-machine")
        await call.person.say("hello")
        await call.worker.wait_for("answered by: human ")
        await call.person.hears("Goodbye")
        call.person.phone.hang_up()
        await call.worker.wait_for("shutting down job task")
        assert " ".join(call.person.heard) == " ".join(words)


async def test_a_machine_is_told_from_a_person_and_gets_a_message(
    server: Server, tmp_path: Path
) -> None:
    words = ["This is a message from the town.", "Your road is closed tomorrow.", "Goodbye."]
    async with calling(server, tmp_path, "answering_machine.py", words) as call:
        await call.begin("answering-machine")
        await call.person.say(f"You have reached the voice mail of the mill. {VOICEMAIL}")
        await call.worker.wait_for("answered by: machine-vm ")
        await call.person.is_hung_up_on()
        await call.person.hears("Goodbye")
        assert " ".join(call.person.heard) == " ".join(words)
