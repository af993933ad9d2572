from __future__ import annotations

from pathlib import Path

import pytest

from switchroom.phonenet.directory import Directory, DirectoryError, Phone, read_numbers
from switchroom.phonenet.phones import PHONES, busy
from switchroom.phonenet.script import PhoneCall


def test_a_number_is_found_however_it_is_written() -> None:
    directory = Directory(PHONES)
    for dialled in ("+12025550111", "12025550111", "+1 (202) 555-0111", "1.202.555.0111"):
        phone = directory.find(dialled)
        assert phone is not None
        assert phone.script is busy
    assert directory.find("+12025550199") is None
    assert directory.find("") is None


def test_every_phone_says_what_it_does_and_has_a_fictional_number() -> None:
    for phone in PHONES:
        assert phone.does.endswith(".")
        assert "+12025550100" <= phone.number <= "+12025550199"
    assert len({phone.number for phone in PHONES}) == len(PHONES)


def test_a_file_of_numbers_adds_phones_and_may_replace_ours(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "async def my_phone(call):\n"
        '    "Answers."\n'
        "    await call.answer()\n"
        'NUMBERS = {"+12025550111": my_phone, "7": my_phone}\n'
    )
    directory = Directory(PHONES).with_phones(read_numbers(file))
    for number in ("12025550111", "7"):
        phone = directory.find(number)
        assert phone is not None
        assert (phone.name, phone.does) == ("My phone", "Answers.")
    assert len(list(directory)) == len(PHONES) + 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "NUMBERS"),
        ("NUMBERS = {}", "NUMBERS"),
        ("NUMBERS = {'1': 2}", "phone function"),
        ("NUMBERS = {1: print}", "phone function"),
        ("NUMBERS = {' ': print}", "phone function"),
        ("1/0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_reason(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(DirectoryError, match=complaint):
        read_numbers(file)


def test_a_missing_file_and_one_that_is_no_python_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.py", tmp_path / "numbers.txt"):
        with pytest.raises(DirectoryError):
            read_numbers(path)


def test_a_locked_phone_says_so() -> None:
    async def script(call: PhoneCall) -> None:
        """Answers."""

    assert "407" in Phone("1", "x", script, locked=True).does
