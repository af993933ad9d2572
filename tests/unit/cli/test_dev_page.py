from __future__ import annotations

import ast
import io
import json
from dataclasses import fields
from typing import Any

from rich.console import Console

from switchroom.cli.dev_page import EXAMPLE, PhoneDiary, Running, show_welcome
from switchroom.phonenet import events
from switchroom.phonenet.hearing import Heard

CARRIER = events.Ready(
    address="127.0.0.1:5070",
    numbers=({"number": "+12025550100", "name": "Greeter", "does": "Answers and talks."},),
)
RUNNING = Running("http://127.0.0.1:7880", "devkey", "secret", "ST_1", CARRIER)


def test_the_welcome_holds_everything_needed_to_place_a_call() -> None:
    page = io.StringIO()
    show_welcome(RUNNING, Console(file=page, width=200))
    needed = (
        "ws://127.0.0.1:7880",
        "devkey",
        "secret",
        "ST_1",
        "+12025550100",
        "Answers and talks.",
    )
    assert [word for word in needed if word not in page.getvalue()] == []


def test_the_example_is_a_program() -> None:
    page = io.StringIO()
    show_welcome(RUNNING, Console(file=page, width=60))
    lines = [line[2:] for line in page.getvalue().splitlines() if line.startswith("  ")]
    program = "\n".join(lines[lines.index("import asyncio") :])
    assert ast.dump(ast.parse(program)) == ast.dump(
        ast.parse(
            EXAMPLE.format(
                url=RUNNING.url,
                api_key="devkey",
                api_secret="secret",
                trunk_id="ST_1",
                number="+12025550100",
            )
        )
    )


def test_programs_get_the_same_in_one_line() -> None:
    assert json.loads(RUNNING.as_json()) == {
        "event": "ready",
        "url": "http://127.0.0.1:7880",
        "ws_url": "ws://127.0.0.1:7880",
        "api_key": "devkey",
        "api_secret": "secret",
        "trunk_id": "ST_1",
        "carrier": "127.0.0.1:5070",
        "numbers": list(CARRIER.numbers),
    }


def test_the_diary_of_a_call_names_its_number_until_the_end() -> None:
    diary = PhoneDiary()
    facts: dict[str, Any] = dict.fromkeys(Heard.__dataclass_fields__, 0)
    heard = Heard(**facts)
    story: list[events.Event] = [
        events.Called(
            call="1", number="+12025550100", caller="+1555", caller_name="", sip_call_id="x"
        ),
        events.Ringing(call="1", status=180),
        events.Answered(call="1", codec="PCMU", media="127.0.0.1:10000"),
        events.Hears(call="1", what="tone", level_dbov=-20.0, tone_hz=440.2),
        events.Ended(
            call="1",
            by="caller",
            reason="BYE",
            number="+12025550100",
            ring_seconds=2.0,
            talk_seconds=3.26,
            heard=heard,
        ),
    ]
    told = [diary.line(event) or "" for event in story]
    assert [line[10:] for line in told] == [
        "+12025550100   is called by +1555",
        "+12025550100   rings",
        "+12025550100   is answered (PCMU)",
        "+12025550100   hears a tone of 440 Hz at -20 dBov",
        "+12025550100   call ended by the caller: BYE; rang 2.0 s, talked 3.3 s",
    ]


def test_the_diary_says_nothing_of_events_that_tell_people_nothing() -> None:
    assert PhoneDiary().line(CARRIER) is None


def test_the_diary_has_words_for_every_event_of_a_call() -> None:
    diary = PhoneDiary()
    silent = {"listened"}
    for name, kind in events.KINDS.items():
        if issubclass(kind, events.CallEvent):
            facts: dict[str, Any] = {
                field.name: 1 for field in fields(kind) if field.name not in {"time", "call"}
            }
            line = diary.line(kind(call="1", time=0.0, **facts))
            assert (line is None) == (name in silent), name
