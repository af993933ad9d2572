"""The demo judges itself: what it must not let pass."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from demonstration import verdict
from demonstration.journal import Journal, Said, ToolCall
from switchroom.speech.spoken import words


def good_call() -> Journal:
    """The call as it should be: the patient speaks every ten seconds, the agent a second later."""
    journal = Journal("appointment-1", statuses=["dialing", "ringing", "active", "hangup"])
    for number, (patient, agent) in enumerate(
        zip(verdict.PATIENT_LINES, verdict.AGENT_LINES, strict=True)
    ):
        at = 10.0 * number + 1
        journal.phone.append({"event": "said", "text": patient, "time": at, "seconds": 1.0})
        journal.phone.append(
            {
                "event": "understood",
                "text": " ".join(words(agent)),
                "began": at + 2,
                "ended": at + 5,
                "replied_after": 1.0,
            }
        )
        journal.models += [
            {"event": "understood", "at": at + 1.4},
            {"event": "replied", "at": at + 1.5},
            {"event": "spoken", "at": at + 1.7},
        ]
        journal.agent_heard.append(Said(patient, at))
        journal.agent_said.append(Said(agent, at + 2))
    journal.phone.append({"event": "ended", "time": 26.2, "by": "caller", "lost": 0})
    journal.tools += verdict.TOOLS
    return journal


def failures(journal: Journal) -> list[str]:
    return [check.what for check in verdict.check_patient(journal) if not check.good]


def test_a_call_as_it_should_be_passes() -> None:
    assert failures(good_call()) == []


def test_the_words_may_come_in_pieces() -> None:
    journal = good_call()
    first = journal.agent_said.pop(0)
    half = len(first.text) // 2 + 1
    cut = first.text.index(" ", half)
    journal.agent_said[:0] = [Said(first.text[:cut], 0), Said(first.text[cut:], 0)]
    assert failures(journal) == []


def without_last_word(journal: Journal) -> None:
    heard = journal.told("understood")[-1]
    heard["text"] = heard["text"].removesuffix(" goodbye")


def with_another_word(journal: Journal) -> None:
    journal.agent_heard[1] = Said("Yes, this is Mary.", 11)


def without_a_line(journal: Journal) -> None:
    journal.agent_said.pop()


def with_the_wrong_day(journal: Journal) -> None:
    journal.tools[0] = ToolCall(
        "confirm_appointment", {"patient_name": "Maria Lopez", "when": "Monday at nine"}
    )


def with_tools_in_another_order(journal: Journal) -> None:
    journal.tools.reverse()


def without_ringing(journal: Journal) -> None:
    journal.statuses.remove("ringing")


def ended_in_the_middle_of_a_word(journal: Journal) -> None:
    journal.told("ended")[0]["time"] = journal.told("understood")[-1]["ended"]


def with_a_lost_packet(journal: Journal) -> None:
    journal.told("ended")[0]["lost"] = 1


def hung_up_by_the_patient(journal: Journal) -> None:
    journal.told("ended")[0]["by"] = "phone"


@pytest.mark.parametrize(
    ("spoil", "failure"),
    [
        (without_last_word, "the phone understood"),
        (with_another_word, "the agent understood"),
        (without_a_line, "the room's transcript"),
        (with_the_wrong_day, "the agent confirmed the right appointment"),
        (with_tools_in_another_order, "the agent confirmed the right appointment"),
        (without_ringing, "the call went dialing, ringing"),
        (ended_in_the_middle_of_a_word, "the last word was heard"),
        (with_a_lost_packet, "the last word was heard"),
        (hung_up_by_the_patient, "the last word was heard"),
    ],
)
def test_a_fault_is_found(spoil: Callable[[Journal], None], failure: str) -> None:
    journal = copy.deepcopy(good_call())
    spoil(journal)
    (found,) = failures(journal)
    assert found.startswith(failure)


def test_a_busy_line_must_be_told_as_busy_and_nobody_be_talked_to() -> None:
    journal = Journal("busy-line", remarks=["not reached, SIP 486 Busy Here"])
    assert all(check.good for check in verdict.check_busy(journal))
    journal.remarks, journal.agent_said = ["not reached, SIP 503"], [Said("Hello", 0)]
    assert not any(check.good for check in verdict.check_busy(journal))


def test_a_message_must_be_whole_and_left_by_the_tool() -> None:
    journal = Journal("voicemail", tools=[ToolCall("detected_answering_machine", {})])
    kept = {"event": "message_kept", "transcript": verdict.MESSAGE.lower(), "because": "hung up"}
    journal.phone.append(kept)
    assert all(check.good for check in verdict.check_voicemail(journal))
    kept["transcript"] = verdict.MESSAGE.removeprefix("Hello, ")
    kept["because"] = "silence"
    assert not any(check.good for check in verdict.check_voicemail(journal))


def test_a_turns_time_is_told_in_parts_that_make_it_up() -> None:
    for turn in verdict.turns(good_call()):
        assert turn.seconds == 1.0
        assert [name for name, _ in turn.parts] == [
            "hearing",
            "model",
            "voice",
            "end of turn and way",
        ]
        assert sum(seconds for _, seconds in turn.parts) == pytest.approx(1.0)


def test_a_turn_whose_parts_are_not_known_is_told_without_them() -> None:
    journal = good_call()
    journal.models.clear()
    assert [turn.parts for turn in verdict.turns(journal)] == [(), (), ()]
