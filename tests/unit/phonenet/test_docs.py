"""What docs/phonenet.md says about phones is what they do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from switchroom.phonenet import phones
from switchroom.phonenet.__main__ import _parser
from switchroom.phonenet.directory import Directory, Phone, read_numbers
from switchroom.phonenet.events import MessageKept, Noted, Plays, Said
from switchroom.phonenet.script import PhoneCall, tone
from unit.phonenet.virtual_call import Caller, after, play_out, until_answered

TEXT = (Path(__file__).parents[3] / "docs" / "phonenet.md").read_text(encoding="utf-8")
EXAMPLE, PERSON, MAILBOX = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[:3]


def test_the_table_of_numbers_is_the_directory() -> None:
    rows = re.findall(r"^\| `(\+\d+)` \| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)
    told = [(phone.number, phone.name, phone.does) for phone in Directory(phones.PHONES)]
    assert rows == told


def test_the_table_of_options_is_the_programs() -> None:
    documented = re.findall(r"^\| `(--[\w-]+)", TEXT, re.MULTILINE)
    known = [action.option_strings[-1] for action in _parser()._actions]
    assert documented == [option for option in known if option != "--help"]


def test_every_word_of_the_table_is_one_of_a_calls() -> None:
    words = set(re.findall(r"call\.(\w+)\(", TEXT))
    assert words <= set(dir(PhoneCall))
    assert len(words) >= 15


@pytest.mark.parametrize(("hz", "note"), [(440, "heard the beep"), (700, "no beep came")])
def test_the_phone_of_the_example_does_what_it_says(tmp_path: Path, hz: int, note: str) -> None:
    file = tmp_path / "my_phones.py"
    file.write_text(EXAMPLE)
    (phone,) = read_numbers(file)

    async def beep(caller: Caller) -> None:
        caller.say(tone(hz), 10)

    caller = play_out(phone.script, until_answered, beep)
    assert caller.only(Noted).note == note
    assert caller.signals == ["180", "200", "BYE"]


def phone_of(example: str, folder: Path) -> Phone:
    file = folder / "my_phones.py"
    file.write_text(example)
    (phone,) = read_numbers(file)
    return phone


def test_the_person_of_the_example_answers_and_hangs_up(tmp_path: Path) -> None:
    async def ask(caller: Caller) -> None:
        await caller.until_told(Said)
        await after(2)(caller)
        await caller.says("Am I speaking with Maria?")
        await caller.until_told(Said, 2)
        await after(2)(caller)
        await caller.says("Goodbye")

    caller = play_out(phone_of(PERSON, tmp_path).script, until_answered, ask)
    said = [each.text for each in caller.all_of(Said)]
    assert said == ["Hello?", "Yes, this is Maria.", "Thank you, bye."]
    assert caller.signals == ["180", "200", "BYE"]


def test_the_mailbox_of_the_example_keeps_a_message(tmp_path: Path) -> None:
    async def leave_message(caller: Caller) -> None:
        await caller.until_told(Plays)
        await after(1)(caller)
        await caller.says("Your book is here")

    phone = phone_of(MAILBOX, tmp_path)
    assert phone.does == "Takes messages for Ada."
    caller = play_out(phone.script, until_answered, leave_message)
    assert caller.only(MessageKept).transcript == "your book is here"
