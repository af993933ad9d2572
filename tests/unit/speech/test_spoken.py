"""Numbers, times and dates as words."""

from __future__ import annotations

import pytest

from switchroom.speech.spoken import digits, number, ordinal, spoken, words, year


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Yes, I confirm.", "Yes, I confirm."),
        ("March 3rd at 2:30 pm", "March third at two thirty p.m."),
        ("on 2026-03-03 at 14:00", "on March third, twenty twenty six at fourteen o'clock"),
        ("May 21, 2026 at 9:05", "May twenty first, twenty twenty six at nine oh five"),
        ("2pm or 10 a.m.", "two p.m. or ten a.m."),
        ("+1 (202) 555-0100.", "one two zero two five five five zero one zero zero."),
        ("12025550100", "one two zero two five five five zero one zero zero"),
        ("(202) 555-0100", "two zero two five five five zero one zero zero"),
        ("$12.50 and $1", "twelve dollars and fifty cents and one dollar"),
        ("1,200 people, 3.5%", "one thousand two hundred people, three point five percent"),
        ("room 101, code 007", "room one hundred one, code zero zero seven"),
        ("the 2nd, the 12th, the 100th", "the second, the twelfth, the one hundredth"),
        (
            "2005 or 1900 or 2100",
            "two thousand five or nineteen hundred or two thousand one hundred",
        ),
        ("press 1 for sales & 2 for help", "press one for sales and two for help"),
        ("a1b2", "a one b two"),
        ("I’m here", "I'm here"),
        ("13:99", "thirteen:ninety nine"),
        ("2026-13-40", "twenty twenty six-thirteen-forty"),
    ],
)
def test_text_is_written_as_it_is_said(written: str, read: str) -> None:
    assert spoken(written) == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes, I confirm.", "yes i confirm"),
        ("It's 2:30 p.m.!", "it's two thirty p.m."),
        ("twenty-one o'clock", "twenty one o'clock"),
        ("the U.S.A. & 'quoted'", "the u s a and quoted"),
        ("... —", ""),
        ("", ""),
    ],
)
def test_words_are_what_the_recogniser_would_write(text: str, said: str) -> None:
    assert " ".join(words(text)) == said


def test_what_is_said_has_no_digit_left() -> None:
    text = "9 19 90 909 9,009 1999 99999 9.9 9th 9pm 9:09 $9.09 9% 2009-09-09 +999999 x9x 000"
    assert not any(letter.isdigit() for letter in spoken(text))


def test_reading_aloud_twice_changes_nothing() -> None:
    once = spoken("March 3rd, 2:30 pm, $4.20, room 12")
    assert spoken(once) == once


def test_numbers_have_a_largest_that_is_read_as_one() -> None:
    assert number(999_999_999).startswith("nine hundred ninety nine million nine hundred")
    assert spoken("9,999,999,999") == digits("9999999999")
    with pytest.raises(ValueError, match="not read as one number"):
        number(1_000_000_000)
    with pytest.raises(ValueError, match="not read as one number"):
        number(-1)


def test_ordinals_and_years_follow_the_language() -> None:
    said = [ordinal(n) for n in (1, 2, 3, 5, 8, 9, 12, 20, 21, 40, 101)]
    assert said[:7] == ["first", "second", "third", "fifth", "eighth", "ninth", "twelfth"]
    assert said[7:] == ["twentieth", "twenty first", "fortieth", "one hundred first"]
    assert [year(n) for n in (1985, 2000, 2009, 2026, 1905)] == [
        "nineteen eighty five",
        "two thousand",
        "two thousand nine",
        "twenty twenty six",
        "nineteen oh five",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1e400", "one e four hundred"),
        ("-inf, nan", "inf nan"),
        ("1" + ",111" * 2000, digits("1" + "111" * 2000)),
        ("$1" + ",111" * 2000, digits("1" + "111" * 2000) + " dollars"),
        ("7" * 5000, digits("7" * 5000)),
        ("0.5" + "5" * 5000, "zero point " + digits("5" * 5001)),
    ],
)
def test_a_number_of_any_length_is_read(text: str, said: str) -> None:
    assert " ".join(words(text)) == said


@pytest.mark.parametrize("run", ["7", "7,", "777,", "7.", ".", " ", "$", "+", "+7", "(777) ", "a7"])
def test_a_long_run_is_read_in_time_that_grows_as_its_length(run: str) -> None:
    """A search that starts again at every sign of the run would take minutes here."""
    assert spoken(run * 100_000)
