from __future__ import annotations

import ast
import io
import json
from dataclasses import replace

from rich.console import Console

from switchroom.cli.dev_page import EXAMPLE, Running, show_welcome
from switchroom.phonenet import events

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


def test_the_printed_command_finds_the_server_wherever_it_listens() -> None:
    for url, option in ((RUNNING.url, "--dev"), ("http://[::1]:7000", "--url http://[::1]:7000")):
        page = io.StringIO()
        show_welcome(replace(RUNNING, url=url), Console(file=page, width=200))
        assert f"switchroom {option} sip participant create" in page.getvalue()


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
