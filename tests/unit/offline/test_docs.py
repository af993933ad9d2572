"""What docs/offline.md says about scripts and commands is so."""

from __future__ import annotations

import re
from pathlib import Path

from switchroom.offline import script_file
from switchroom.offline.conversation import conversation_from
from switchroom.offline.model import reply_to
from switchroom.offline.script_file import load_script, read_script
from switchroom.speech.phrases import parse

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "offline.md").read_text(encoding="utf-8")
EXAMPLE = read_script(next(iter(re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))))


def test_the_example_is_a_script_that_converses() -> None:
    prompt = "Call. The patient's name is Jo.\nThe appointment is on Monday."
    messages = [{"role": "system", "content": prompt}]
    said = reply_to(EXAMPLE, conversation_from({"messages": messages})).text
    assert said == "Hello, this is Bright Smile Dental. Am I speaking with Jo?"
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "yes"}]
    answer = reply_to(EXAMPLE, conversation_from({"messages": messages}))
    assert answer.text == "You have an appointment on Monday. Can you come?"


def test_every_word_of_a_script_is_explained() -> None:
    for word in script_file._SCRIPT | script_file._RULE:
        assert f"`{word}:" in TEXT or f"\n{word}:" in TEXT, word


def test_every_form_of_a_phrase_in_the_table_is_one() -> None:
    forms = re.findall(
        r"^\| `([^`|]*(?:\\\|)?[^`|]*)` \| (?:may be|one of|any words)", TEXT, re.MULTILINE
    )
    assert len(forms) == 4
    for form in forms:
        parse([form.replace("\\|", "|")], {"weekday": ["Monday"]})


def test_every_path_is_served_or_refused_as_it_says() -> None:
    source = (ROOT / "src/switchroom/offline/server.py").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(?:POST |GET )?(/[a-z/]+)`", TEXT.split("## What it speaks")[1]))
    assert documented == set(re.findall(r'"/v1(/[a-z/]+)"', source))


def test_every_script_of_the_examples_can_be_used() -> None:
    scripts = sorted((ROOT / "examples" / "agents").glob("*.yaml"))
    assert scripts
    for path in scripts:
        assert load_script(path).rules
