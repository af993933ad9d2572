"""Reading the messages of a chat request."""

from __future__ import annotations

from typing import Any

import pytest

from switchroom.offline.conversation import (
    MOST_MESSAGES,
    Heard,
    Returned,
    Spoke,
    Told,
    conversation_from,
    fields_of,
)
from switchroom.offline.errors import BadRequest

USER = {"role": "user", "content": "hi"}


def test_messages_become_turns() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    read = conversation_from(
        {
            "messages": [
                {"role": "system", "content": "be"},
                {"role": "developer", "content": [{"type": "text", "text": "nice"}]},
                {"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "a"}]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "found"},
                {"role": "tool", "tool_call_id": "c9", "content": "lost"},
                {"role": "assistant", "content": "b"},
            ]
        }
    )
    assert read.turns == (
        *(Told("be"), Told("nice"), Heard("a"), Spoke("", ("look",))),
        *(Returned("look", "found"), Returned("c9", "lost"), Spoke("b")),
    )
    assert read.instructions == "be\nnice"


@pytest.mark.parametrize(
    ("choice", "names"),
    [(None, ["a", "b"]), ("auto", ["a", "b"]), ("required", ["a", "b"]), ("none", [])],
)
def test_the_choice_of_tools_is_kept(choice: str | None, names: list[str]) -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    request = {"messages": [USER], "tools": tools, "tool_choice": choice}
    assert [tool.name for tool in conversation_from(request).tools] == names
    request["tool_choice"] = {"type": "function", "function": {"name": "b"}}
    assert [tool.name for tool in conversation_from(request).tools] == ["b"]
    request["tool_choice"] = {"type": "function", "function": []}
    assert conversation_from(request).tools == ()


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({}, "messages must be a list"),
        ({"messages": []}, "at least one"),
        ({"messages": "x"}, "messages must be a list"),
        ({"messages": ["x"]}, "is not an object"),
        ({"messages": [{"role": "god", "content": ""}]}, "role is 'god'"),
        ({"messages": [{"role": "user", "content": 3}]}, "neither a text nor a list"),
        ({"messages": [{"role": "assistant", "tool_calls": {}}]}, "is not a list"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "without id"),
        ({"messages": [USER], "tools": {"a": 1}}, "tools is not a list"),
        ({"messages": [USER], "tools": [{"type": "web"}]}, "no function with a name"),
        ({"messages": [USER] * (MOST_MESSAGES + 1)}, "are the most"),
        ({"messages": [{"role": "user", "content": "x" * 300_000}]}, "characters of messages"),
    ],
)
def test_what_is_no_request_is_refused(request_: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint):
        conversation_from(request_)


def test_results_are_read_as_json_or_as_python_prints_them() -> None:
    assert fields_of('{"a": 1}') == fields_of("{'a': 1}") == {"a": 1}
    for other in (
        "ok",
        "[1]",
        "",
        "{" * 10_000,
        "__import__('os')",
        "\0",
        f"{{'a': '{'x' * 20_000}'}}",
    ):
        assert fields_of(other) == {}
