"""Conversations with the rule-based model, as the messages that an agent would send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchroom.offline.conversation import Conversation, conversation_from
from switchroom.offline.errors import CannotAnswer
from switchroom.offline.model import DID_NOT_CATCH, Reply, foreseen, reply_to
from switchroom.offline.script import Script
from switchroom.offline.script_file import read_script
from unit.offline.scripts import DENTIST

PROMPT = "You call patients.\nThe patient's name is Maria Lopez. The appointment is on Tuesday."
HELLO = "Hello, this is Bright Smile Dental. Am I speaking with Maria Lopez?"
CAN_YOU = "You have an appointment on Tuesday. Can you come?"


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


CONFIRM = tool(
    "confirm",
    patient={"type": "string"},
    visits={"type": "integer"},
    first={"type": ["boolean", "null"]},
    note={"type": ["string", "null"]},
)
TOOLS = [CONFIRM, tool("end_call")]


class Talk:
    """The agent's side of a conversation: it keeps the messages."""

    def __init__(self, script: Script = DENTIST, prompt: str = PROMPT) -> None:
        self.script = script
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": prompt}]
        self.tools = TOOLS

    def answer(self, *, once: str = "") -> Reply:
        """Ask for a reply; ``once`` are instructions for this reply alone."""
        told = [{"role": "system", "content": once}] if once else []
        reply = reply_to(self.script, self.conversation([*self.messages, *told]))
        if reply.text:
            self.messages.append({"role": "assistant", "content": reply.text})
        if reply.call:
            self.called(reply.call.tool, reply.call.arguments)
        return reply

    def hears(self, text: str) -> Reply:
        self.messages.append({"role": "user", "content": text})
        return self.answer()

    def returns(self, text: str) -> Reply:
        call = self.messages[-1]["tool_calls"][0]["id"]
        self.messages.append({"role": "tool", "tool_call_id": call, "content": text})
        return self.answer()

    def called(self, name: str, arguments: str = "{}") -> None:
        call = {"id": f"c{len(self.messages)}", "function": {"name": name, "arguments": arguments}}
        self.messages.append({"role": "assistant", "tool_calls": [call]})

    def conversation(self, messages: list[dict[str, Any]]) -> Conversation:
        return conversation_from({"messages": messages, "tools": self.tools})


def test_a_whole_conversation_goes_by_the_script() -> None:
    talk = Talk()
    assert talk.answer().text == HELLO
    assert talk.hears("Yes, speaking.").text == CAN_YOU
    confirmed = talk.hears("Yes, I confirm!")
    assert confirmed.text == "One moment."
    assert confirmed.call is not None
    assert confirmed.call.tool == "confirm"
    assert json.loads(confirmed.call.arguments) == {
        "patient": "Maria Lopez",
        "visits": 2,
        "first": True,
        "note": None,
    }
    goodbye = talk.returns("ok")
    assert goodbye.text == "Thank you, Maria Lopez. Goodbye."
    assert goodbye.call is not None
    assert goodbye.call.tool == "end_call"
    assert talk.returns("say goodbye to the user") == Reply(
        remark="no rule is for the result of end_call in the state 'done'"
    )


def test_the_same_words_mean_different_things_in_different_states() -> None:
    talk = Talk()
    talk.answer()
    assert talk.hears("yes").text == CAN_YOU
    assert talk.hears("yes").text == "One moment."


def test_a_rule_for_another_state_is_not_taken() -> None:
    talk = Talk()
    assert talk.hears("[yes] I confirm").text == "Sorry, could you say that again?"


def test_an_interrupted_sentence_still_tells_where_the_conversation_is() -> None:
    talk = Talk()
    talk.messages.append({"role": "assistant", "content": "Hello, this is Bright"})
    assert talk.hears("yes").text == CAN_YOU


def test_what_the_agents_own_code_said_changes_nothing() -> None:
    talk = Talk()
    talk.answer()
    talk.messages.append({"role": "assistant", "content": "This call is recorded."})
    assert talk.hears("yes").text == CAN_YOU


def test_a_sentence_that_arrives_after_its_tool_was_called_counts_once() -> None:
    talk = Talk()
    talk.answer()
    talk.hears("yes")
    talk.messages.append({"role": "user", "content": "yes"})
    talk.called("confirm")
    call = talk.messages[-1]["tool_calls"][0]["id"]
    talk.messages += [
        {"role": "tool", "tool_call_id": call, "content": "{'reason': 'too late', 'full': 1}"},
        {"role": "assistant", "content": "Sorry, we are full: too late."},
        {"role": "assistant", "content": "One moment."},
    ]
    assert talk.hears("yes").text == "One moment."


def test_fields_of_a_result_are_known_by_name() -> None:
    for result in ('{"reason": "holiday", "is": "full"}', "{'reason': 'holiday', 'is': 'full'}"):
        talk = Talk()
        talk.answer()
        talk.hears("yes")
        talk.hears("yes")
        assert talk.returns(result).text == "Sorry, we are full: holiday."


@pytest.mark.parametrize(
    ("odd", "read"),
    [("{1}", "{1}"), ("b'x'", "b'x'"), ("{(1, 2): 3}", ""), ("0x" + "f" * 9900, "")],
)
def test_a_field_that_json_does_not_have_stops_nobody(odd: str, read: str) -> None:
    talk = Talk()
    talk.answer()
    talk.hears("yes")
    talk.hears("yes")
    told = talk.returns(f"{{'full': 'full', 'reason': {odd}}}").text
    assert told == f"Sorry, we are full: {json.dumps(read) if read else ''}."


def test_a_slot_is_put_in_as_its_list_writes_it() -> None:
    assert Talk().hears("Can I move it to monday?").text == "I have moved it to Monday."


def test_what_is_not_understood_is_asked_for_again_in_turns() -> None:
    talk = Talk()
    talk.answer()
    assert talk.hears("banana").text == "Sorry, could you say that again?"
    assert talk.hears("banana").text == f"I still did not understand. {HELLO}"
    assert talk.hears("banana").text == f"I still did not understand. {HELLO}"
    assert talk.hears("yes").text == CAN_YOU


def test_one_of_several_sentences_is_enough() -> None:
    talk = Talk()
    talk.answer()
    assert talk.hears("yes this is she").text == CAN_YOU
    assert talk.hears("Can I move it to Tuesday? Yes.").text == "I have moved it to Tuesday."


def test_a_sentence_that_came_in_pieces_is_put_together() -> None:
    talk = Talk()
    talk.messages.append({"role": "user", "content": "Can I move it"})
    assert talk.hears("to Wednesday?").text == "I have moved it to Wednesday."


def test_instructions_for_one_reply_have_their_own_rules() -> None:
    talk = Talk()
    talk.answer()
    assert talk.answer(once="Leave a message and say goodbye").text == "A message for Maria Lopez."
    # The rule's next is followed, though the instructions are gone from the messages.
    talk.called("unknown")
    assert "in the state 'done'" in talk.returns("x").remark


def test_other_instructions_leave_the_answer_to_what_was_heard() -> None:
    talk = Talk()
    assert talk.answer(once="Greet the user warmly").text == HELLO
    talk.messages.append({"role": "user", "content": "yes"})
    assert talk.answer(once="Be brief").text == CAN_YOU


def test_a_tool_that_is_not_offered_is_told_and_not_called() -> None:
    talk = Talk()
    talk.answer()
    talk.hears("yes")
    talk.tools = [tool("other")]
    reply = talk.hears("[yes] I confirm")
    assert reply.call is None
    assert reply.text == "Sorry, could you say that again?"


def test_instructions_of_one_reply_may_stand_at_the_end_of_the_prompt() -> None:
    """@livekit/agents 1.9 appends them there, where the Python package adds a message."""
    rules = 'rules: [{told: "say goodbye", say: "Bye."}, {hears: hello, say: "Good day."}]'
    told = Talk(read_script(rules), prompt="You are polite.\nsay goodbye")
    assert told.answer().text == "Bye."
    assert told.hears("hello").text == "Bye."
    not_told = Talk(read_script(rules), prompt="You are polite.\nYou never say goodbye first.")
    assert not_told.hears("hello").text == "Good day."
    all_in_a_line = Talk(read_script(rules), prompt="say goodbye")
    assert all_in_a_line.hears("hello").text == "Good day."


def test_without_any_rule_the_remark_says_what_happened() -> None:
    script = read_script("rules: [{hears: hello, call: greet}]")
    talk = Talk(script)
    nothing = talk.answer()
    assert (nothing.text, nothing.line) == ("", 0)
    reply = talk.hears("hello")
    assert reply.text == DID_NOT_CATCH
    assert reply.remark == "line 1 calls greet; offered are: confirm, end_call"
    assert talk.hears("what").remark == "no rule is for the words 'what' in the state 'start'"


def test_a_name_that_nothing_gave_is_an_error_that_names_it() -> None:
    talk = Talk(prompt="You call patients.")
    with pytest.raises(CannotAnswer, match=r"nothing is known for \{patient\}"):
        talk.answer()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ('{colour: "red"}', "takes no 'colour'; it takes first, note, patient, visits"),
        ('{patient: "x", visits: "two"}', "'visits' of confirm is integer, not 'two'"),
        ("{patient: x}", "needs 'visits'"),
    ],
)
def test_arguments_are_held_against_what_the_tool_takes(arguments: str, complaint: str) -> None:
    talk = Talk(read_script(f"rules: [{{when: start, call: confirm, with: {arguments}}}]"))
    with pytest.raises(CannotAnswer) as stuck:
        talk.answer()
    assert complaint in str(stuck.value)
    assert "line 1" in str(stuck.value)


def amd(transcript: str, *, may_wait: bool = True, script: Script = DENTIST) -> tuple[str, str]:
    tools = [tool("save_prediction", label={"type": "string"})]
    if may_wait:
        tools.append(tool("postpone_termination", seconds={"type": "number"}))
    messages = [{"role": "system", "content": "Task"}, {"role": "user", "content": transcript}]
    call = reply_to(script, conversation_from({"messages": messages, "tools": tools})).call
    assert call is not None
    return call.tool, json.loads(call.arguments).get("label", "")


def test_answering_machine_detection_gets_its_verdict() -> None:
    assert amd("hello this is maria") == ("save_prediction", "human")
    assert amd("please leave a message after the tone") == ("save_prediction", "machine-vm")


def test_an_uncertain_greeting_is_waited_on_as_long_as_that_is_offered() -> None:
    assert amd("") == ("postpone_termination", "")
    assert amd("", may_wait=False) == ("save_prediction", "uncertain")


def test_a_script_may_judge_greetings_itself() -> None:
    script = read_script(
        "answering: {machine-vm: '... gone fishing ...'}\nrules: [{when: start, say: hi}]"
    )
    assert amd("we have gone fishing today", script=script) == ("save_prediction", "machine-vm")


def test_what_may_be_said_is_foreseen_as_far_as_it_is_known() -> None:
    texts = foreseen(DENTIST, Talk().conversation(Talk().messages))
    assert texts[:2] == [HELLO, CAN_YOU]
    assert "Thank you, Maria Lopez. Goodbye." in texts
    assert not any("{" in text or "moved it to" in text for text in texts)


def test_a_text_without_end_costs_no_time_without_end() -> None:
    script = read_script("rules: [{hears: '... a ... b ... c', say: x}]")
    talk = Talk(script)
    assert talk.hears("a b " * 40_000).text == DID_NOT_CATCH


def test_a_long_conversation_is_answered_within_reason() -> None:
    talk = Talk()
    talk.answer()
    for _ in range(300):
        talk.messages += [
            {"role": "user", "content": "banana"},
            {"role": "assistant", "content": "Sorry, could you say that again?"},
        ]
    assert talk.hears("yes").text == CAN_YOU
