"""The notation of phrases: what it matches, its grammar, and how it refuses."""

from __future__ import annotations

import pytest

from switchroom.speech.errors import PhraseError
from switchroom.speech.phrases import LONGEST_PHRASE, MOST_PHRASES, parse

DAYS = {"day": ["Monday", "March 3rd"]}


@pytest.mark.parametrize(
    ("phrase", "said", "fits"),
    [
        ("Yes, I confirm.", "yes i confirm", True),
        ("Yes, I confirm.", "Yes! I confirm", True),
        ("Yes, I confirm.", "yes", False),
        ("yes", "yesterday", False),
        ("[yes] I confirm", "I confirm", True),
        ("[yes] I confirm", "yes I confirm", True),
        ("(sure | of course)", "of course", True),
        ("(sure | of course)", "sure of course", False),
        ("[well] (yes [please] | okay)", "well yes please", True),
        ("at 2:30 pm", "at two thirty p.m.", True),
        ("... cancel ...", "I want to cancel it", True),
        ("... cancel ...", "cancel", True),
        ("… cancel", "cancellation", False),
        ("... cancel ... order ...", "cancelled then cancel my last order please", True),
        ("... cancel ... order", "cancel the order of the order", True),
        ("... cancel ... order", "order to cancel", False),
        ("(... no | yes) ... way", "there is no such way", True),
        ("on {day}", "on march third", True),
        ("on {day}", "on friday", False),
    ],
)
def test_a_phrase_fits_what_was_said(phrase: str, said: str, fits: bool) -> None:
    assert (parse([phrase], DAYS).match(said) is not None) is fits


def test_a_slot_remembers_what_was_said_as_its_list_writes_it() -> None:
    found = parse(["no", "call me on {day}"], DAYS).match("Call me on March third")
    assert found is not None
    assert (found.phrase, found.slots) == ("call me on {day}", {"day": "March 3rd"})


def test_a_plain_sentence_is_shown_as_written_and_a_choice_as_it_was_said() -> None:
    found = parse(["Yes, I confirm.", "[well] yes"]).in_a_row(
        ["well", "yes", "yes", "i", "confirm"]
    )
    assert [match.written for match in found] == ["well yes", "Yes, I confirm."]


def test_the_first_phrase_that_fits_is_taken() -> None:
    found = parse(["... no ...", "no"]).match("no")
    assert found is not None
    assert found.phrase == "... no ..."


def test_several_phrases_in_a_row_are_told_apart_and_a_broken_one_is_left_out() -> None:
    phrases = parse(["Hello.", "hello there", "this is {day}", "no"], DAYS)
    found = phrases.in_a_row(["hello", "there", "this", "is", "monday", "no", "this"])
    assert [match.phrase for match in found] == ["hello there", "this is {day}", "no"]
    assert [match.said for match in found] == ["hello there", "this is monday", "no"]


def test_a_phrase_with_dots_is_heard_without_them() -> None:
    phrases = parse(["... cancel ... order", "..."])
    assert [match.said for match in phrases.in_a_row(["cancel", "order"])] == ["cancel order"]
    assert phrases.in_a_row(["please", "cancel", "order"]) == []


def test_a_row_of_words_that_begins_no_phrase_is_none() -> None:
    assert parse(["no", "... what ..."]).in_a_row(["noone", "no"]) == []


def test_the_grammar_names_every_word_and_leaves_dots_out() -> None:
    phrases = parse(["... cancel [my] order", "(yes | [no])", "on {day}"], DAYS)
    forms = "cancel [ my ] order | ( yes | [ no ] ) | on ( monday | march third )"
    assert f"<phrase> = {forms} ;" in phrases.jsgf()
    assert "public <utterance> = <phrase> ;" in phrases.jsgf()
    assert "public <utterance> = <phrase>+ ;" in phrases.jsgf(several=True)
    assert phrases.vocabulary() == frozenset(
        {"cancel", "my", "order", "yes", "no", "on", "monday", "march", "third"}
    )


def test_phrases_of_dots_alone_leave_nothing_to_listen_for() -> None:
    with pytest.raises(PhraseError, match="nothing to listen for"):
        parse(["..."]).jsgf()


@pytest.mark.parametrize(
    ("phrase", "complaint"),
    [
        ("(a", "')' is missing"),
        ("[a", "']' is missing"),
        ("a)", "closes nothing"),
        ("a } b", "not understood"),
        ("{night}", "there is no list for {night} (there are: day)"),
        ("{1st}", "is not a name"),
        ("{day} or {day}", "may stand once"),
        ("[]", "there is no word"),
        ("", "there is no word"),
        ("?!", "there is no word"),
        ("a" * (LONGEST_PHRASE + 1), "are the most"),
        ("(" * 900 + "a" + ")" * 10, "too many brackets"),
    ],
)
def test_a_malformed_phrase_is_refused_with_what_is_wrong(phrase: str, complaint: str) -> None:
    with pytest.raises(PhraseError) as refused:
        parse([phrase], DAYS)
    assert complaint in str(refused.value)


def test_a_list_may_not_hold_slots() -> None:
    with pytest.raises(PhraseError, match="there is no list"):
        parse(["{a}"], {"a": ["{b}"], "b": ["x"]})


def test_there_is_a_largest_number_of_phrases() -> None:
    with pytest.raises(PhraseError, match="are the most"):
        parse(["a"] * (MOST_PHRASES + 1))
