"""What holds for all commands: their help is whole, JSON for programs, one line for a mistake."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import typer

from switchroom.cli.main import app

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run

#: These run until they are stopped, or write for the ear.
_SPEAK_OTHERWISE = {("serve",), ("offline", "serve")} | {
    ("offline", name) for name in ("check", "say", "hear")
}


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


_ALL = typer.main.get_command(app)
_COMMANDS = dict(_commands(_ALL))


def test_every_command_prints_json_if_asked() -> None:
    without = {
        path
        for path, command in _COMMANDS.items()
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == _SPEAK_OTHERWISE


def test_every_option_and_argument_is_explained() -> None:
    unexplained = [
        (path, option.name)
        for path, command in _COMMANDS.items()
        for option in command.params
        if not getattr(option, "help", "")
    ]
    assert unexplained == []


def _groups(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands") and not command.hidden:
            yield (*path, name), command
            yield from _groups(command, (*path, name))


_EXAMPLES = {
    path: command.epilog
    for path, command in (*_groups(_ALL), *_COMMANDS.items())
    if command.epilog or hasattr(command, "commands")
}


@pytest.mark.parametrize("path", _EXAMPLES, ids=" ".join)
def test_every_noun_has_an_example_that_can_be_typed(path: tuple[str, ...]) -> None:
    """Its words are parsed, and nothing is done."""
    purpose, _, typed = _EXAMPLES[path].partition(": ")
    assert purpose in ("Example", "Begin with")
    words = shlex.split(typed.partition(" >> ")[0])
    context = typer.main.get_command(app).make_context(words[0], words[1:])
    command, rest = context.command, words[2 if "--dev" in words else 1 :]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    assert " ".join(path) in typed
    command.make_context(command.name or "", rest, parent=context)


def test_no_help_is_swallowed_as_markup() -> None:
    """`[default: all]` in a text would be read as the name of a style, and not shown."""
    texts = [
        text
        for command in _COMMANDS.values()
        for text in (inspect.getdoc(command.callback), *(one.help or "" for one in command.params))
        if text
    ]
    plain = [text.replace("[b]", "").replace("[/b]", "") for text in texts]
    assert [text for text in plain if "[" in text and '"' not in text] == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("rom",), "no such command 'rom'. Did you mean 'room'? see: switchroom --help"),
        (("room", "list", "--jsn"), "no such option: --jsn"),
        (("room", "create"), "missing argument 'ROOM'; see: switchroom room create --help"),
        (("room", "create", "r", "--empty-timeout", "-1"), "invalid value for '--empty-timeout'"),
        (("sip", "participant", "create", "--wait"), "say whom to call: "),
        (("sip", "participant", "transfer", "--room", "r"), "say whom to transfer: "),
        (("sip", "outbound", "update", "--id", "ST_1", "a", "b"), "--id names one trunk, and 2"),
        (("room", "create", "\udcff"), r"'\udcff' is not UTF-8 text"),
    ],
)
def test_what_is_mistyped_is_said_in_one_line(
    run: Run, api: FakeApi, words: tuple[str, ...], line: str
) -> None:
    outcome = run("--url", api.url, *words)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith(f"error: {line}")
    assert outcome.err.count("\n") == 1
    assert api.received == []


def test_a_noun_alone_shows_its_help(run: Run) -> None:
    outcome = run("room")
    assert outcome.status == 2
    assert "mute-track" in outcome.out
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("method", "words", "said"),
    [
        ("RoomService/DeleteRoom", ("room", "delete", "r"), "Room r deleted\n"),
        ("SIP/DeleteSIPTrunk", ("sip", "outbound", "delete", "ST_1"), "SIP Trunk ST_1 deleted\n"),
        (
            "SIP/DeleteSIPDispatchRule",
            ("sip", "dispatch", "delete", "SDR_1"),
            "SIP Dispatch Rule SDR_1 deleted\n",
        ),
        (
            "RoomService/RemoveParticipant",
            ("room", "participants", "remove", "r", "ada"),
            "ada removed from r\n",
        ),
    ],
)
def test_what_is_done_is_said_to_people_in_words_and_to_programs_in_json(
    run: Run, api: FakeApi, method: str, words: tuple[str, ...], said: str
) -> None:
    api.answer(method, {})
    assert run("--url", api.url, *words).out == said
    assert json.loads(run("--url", api.url, *words, "--json").out) == {}
