"""Reading scripts: what is read, and how complaints name their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchroom.offline.errors import ScriptError
from switchroom.offline.script import AtStart, Category, OnHearing, OnResult, OnTold, Otherwise
from switchroom.offline.script_file import load_script, read_script
from unit.offline.scripts import DENTIST

MINIMAL = "rules:\n  - when: start\n    say: hello\n"


def test_rules_keep_their_order_and_their_lines() -> None:
    kinds = [type(rule.trigger) for rule in DENTIST.rules]
    assert kinds == [
        *(AtStart, OnHearing, OnHearing, OnHearing),
        *(OnResult, OnResult, OnTold, Otherwise),
    ]
    assert [rule.line for rule in DENTIST.rules][:3] == [8, 12, 17]
    assert DENTIST.rules[2].states == {"confirm"}
    assert DENTIST.rules[2].arguments["patient"] == "{patient}"


def test_every_phrase_is_in_the_book_once() -> None:
    assert len(DENTIST.book.written) == len(set(DENTIST.book.written)) == 5
    assert "monday" in DENTIST.book.vocabulary()


def test_what_is_not_said_has_a_default() -> None:
    script = read_script(MINIMAL, "folder/greeter.yaml")
    assert (script.name, script.voice, script.listens_freely, script.pause) == (
        "greeter",
        "rms",
        False,
        0.25,
    )


def test_everything_can_be_said() -> None:
    script = read_script(
        "name: x\nvoice: slt\nlisten: anything\npause: 0.7\nphrases: [good bye]\n"
        "answering: {machine-vm: ['... gone ...']}\n" + MINIMAL
    )
    assert (script.name, script.voice, script.listens_freely, script.pause) == (
        "x",
        "slt",
        True,
        0.7,
    )
    assert script.book.written == ("good bye",)
    assert script.answering[0][0] is Category.VOICEMAIL


def test_yes_and_no_are_words() -> None:
    script = read_script("rules: [{hears: [yes, no, on], say: off, next: 1}]")
    assert script.book.written == ("yes", "no", "on")
    assert script.rules[0].say == ("off",)


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("", 0, "the file is empty"),
        ("just a text", 1, "a script must be a mapping"),
        ("name: x", 1, "this one has none"),
        ("rules: []", 1, "0 rules"),
        ("rules: nothing", 1, "rules must be a list"),
        ("rule:\n  - when: start", 1, "a script has no 'rule'; there are: answering"),
        (f"{MINIMAL}rules: []", 4, "'rules' stands here a second time"),
        ("rules:\n  - when: start", 2, "this rule does nothing"),
        ("rules:\n  - say: hi", 2, "begins with one of when, hears, after, told; here is none"),
        ("rules:\n  - hears: a\n    told: b\n    say: c", 2, "here is hears and told"),
        ("rules:\n  - when: never\n    say: hi", 2, "when is one of start, otherwise"),
        ("rules:\n  - hears: a\n    says: hi", 3, "a rule has no 'says'"),
        ("rules:\n  - hears: a\n    say: {hi}", 3, "say must be a text"),
        ("rules:\n  - hears: a\n    say: hi\n    with: {a: b}", 4, "which is missing"),
        ("rules:\n  - hears: a\n    result: b\n    say: hi", 3, "result belongs to after"),
        ("rules:\n  - hears: '(a'\n    say: hi", 2, "')' is missing"),
        ("rules:\n  - hears:\n      - a\n      - '{day}'\n    say: hi", 4, "no list for {day}"),
        ("rules:\n  - hears: [yes] I do\n    say: hi", 2, "put quotes around"),
        ("rules:\n  - hears: a\n    say: 'hi {name}'", 2, "nothing gives {name}"),
        ("rules:\n  - hears: a\n    in: late\n    say: hi", 2, "no rule leads to the state 'late'"),
        (f"facts: [no place]\n{MINIMAL}", 1, "at least one {name}"),
        (f"facts: ['/(/']\n{MINIMAL}", 1, "not a regular expression"),
        (f"facts: ['{{a}} and {{a}}']\n{MINIMAL}", 1, "stands twice"),
        (f"lists:\n  day: ['(']\n{MINIMAL}", 2, "')' is missing"),
        (f"lists:\n  heard: [a]\n{MINIMAL}", 2, "a meaning of its own"),
        (f"voice: hal\n{MINIMAL}", 1, "voice is one of rms"),
        (f"pause: long\n{MINIMAL}", 1, "pause must be a number from 0.1 to 3"),
        (f"pause: 9\n{MINIMAL}", 1, "pause must be a number from 0.1 to 3"),
        (f"answering: {{robot: [a]}}\n{MINIMAL}", 1, "answering has no 'robot'"),
        ("a: &x 1\nb: *x", 0, "aliases"),
        ("rules: [\n\t]", 2, "no valid YAML"),
        ("[" * 500 + "]" * 500, 0, "no valid YAML"),
    ],
)
def test_a_complaint_names_its_line(text: str, line: int, complaint: str) -> None:
    with pytest.raises(ScriptError) as refused:
        read_script(text, "file.yaml")
    assert complaint in str(refused.value)
    assert refused.value.line == line
    assert str(refused.value).startswith(f"file.yaml, line {line}" if line else "file.yaml: ")


def test_a_file_that_cannot_be_read_is_a_complaint_too(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="can't be read"):
        load_script(tmp_path / "none.yaml")
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScriptError, match="can't be read"):
        load_script(tmp_path / "picture")
