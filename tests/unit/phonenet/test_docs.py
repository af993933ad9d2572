"""What docs/phonenet.md says about phones is what they do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from switchroom.phonenet import phones
from switchroom.phonenet.__main__ import _parser
from switchroom.phonenet.directory import Directory, read_numbers
from switchroom.phonenet.events import Noted
from switchroom.phonenet.script import PhoneCall, tone
from unit.phonenet.virtual_call import Caller, play_out, until_answered

TEXT = (Path(__file__).parents[3] / "docs" / "phonenet.md").read_text(encoding="utf-8")
EXAMPLE = next(block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))


def test_the_table_of_numbers_is_the_directory() -> None:
    rows = re.findall(r"^\| `(\+\d+)` \| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)
    told = [(phone.number, phone.name, phone.does) for phone in Directory(phones.PHONES)]
    assert rows == told


def test_the_table_of_options_is_the_programs() -> None:
    documented = re.findall(r"^\| `(--\w+)", TEXT, re.MULTILINE)
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
