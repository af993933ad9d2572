"""Reading the messages of a chat request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from switchroom.offline.conversation import (
    MOST_MESSAGES,
    Heard,
    Returned,
    Spoke,
    Told,
    conversation_from,
    fields_of,
)
from switchroom.offline.errors import BadRequest, CannotAnswer
from switchroom.offline.model import reply_to
from switchroom.offline.web import name_of, rate_of
from switchroom.speech.pcm import RATES
from unit.offline.scripts import DENTIST

USER = {"role": "user", "content": "hi"}


def tool(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", **more}}


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
        ({"messages": [USER], "tools": 0}, "tools is not a list"),
        ({"messages": [USER], "tools": [tool(parameters=[])]}, "parameters is not an object"),
        ({"messages": [USER], "tools": [tool(parameters={"required": 3})]}, "list of names"),
        ({"messages": [USER], "tools": [tool(parameters={"required": [[]]})]}, "list of names"),
        ({"messages": [USER], "tool_choice": {"function": []}}, "tool_choice is neither"),
        ({"messages": [USER], "tool_choice": {"function": {"name": 1}}}, "tool_choice is neither"),
        ({"messages": [USER], "tool_choice": ["none"]}, "tool_choice is neither"),
        ({"messages": [{"role": "tool", "content": "ok"}]}, "tool_call_id is not a text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "of type text without"),
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
        f"{{'a': '{'x' * 10_000}'}}",
        "{[]: 1}",
        "{'a': {[]}}",
        f"{{0x{'f' * 9000}: 1}}",
    ):
        assert fields_of(other) == {}


def test_a_request_is_never_answered_with_much_of_itself() -> None:
    with pytest.raises(BadRequest) as refused:
        conversation_from({"messages": [{"role": "god" * 10_000}]})
    assert len(str(refused.value)) < 200


KEYS = st.sampled_from(
    (
        *("messages", "role", "content", "type", "text", "tools", "tool_calls", "tool_call_id"),
        *("id", "tool_choice", "function", "name", "parameters", "properties", "required", "anyOf"),
    )
)
WORDS = st.sampled_from(
    (
        *("user", "system", "assistant", "tool", "text", "function", "none", "auto", "confirm"),
        *("yes", "{'full': {1, 2}, 'reason': b'x'}", "{[]: 1}", '{"full": 1e400}', "\ud800"),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=30,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"])},
        optional={
            "content": WORDS | JSON,
            "tool_call_id": WORDS,
            "tool_calls": st.none()
            | st.lists(
                st.fixed_dictionaries(
                    {"id": WORDS, "function": st.fixed_dictionaries({"name": WORDS | JSON})}
                )
            ),
        },
    ),
    max_size=5,
)
# Where the script goes on with a call, so that the parameters of the tools are read.
CONFIRMED = [
    {"role": "system", "content": "The patient's name is Ada. The appointment is on Monday."},
    {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "confirm"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "ok"},
]
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "properties": st.dictionaries(KEYS, st.fixed_dictionaries({"type": JSON, "anyOf": JSON})),
        "required": st.lists(KEYS | JSON, min_size=1) | JSON,
    },
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {
            "function": st.fixed_dictionaries(
                {"name": st.sampled_from(["end_call", "confirm", "save_prediction"])},
                optional={"parameters": PARAMETERS | JSON},
            )
        }
    ),
    max_size=4,
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"messages": MESSAGES | st.just(CONFIRMED) | JSON},
        optional={"tools": TOOLS | JSON, "tool_choice": WORDS | JSON, "model": WORDS | JSON},
    )
)
def test_any_json_is_answered_or_refused_in_a_sentence(request_: dict[str, Any]) -> None:
    try:
        name_of(request_, "model")
        reply_to(DENTIST, conversation_from(request_))
    except (BadRequest, CannotAnswer) as refused:
        assert 0 < len(str(refused)) < 1000  # noqa: PT017 - either end is right


@settings(deadline=None)
@given(PARAMETERS | JSON)
def test_any_schema_of_a_tool_is_kept_or_refused_in_a_sentence(schema: Any) -> None:
    try:
        reply = reply_to(
            DENTIST,
            conversation_from(
                {
                    "messages": CONFIRMED,
                    "tools": [{"function": {"name": "end_call", "parameters": schema}}],
                }
            ),
        )
        assert reply.call is not None
    except (BadRequest, CannotAnswer) as refused:
        assert 0 < len(str(refused)) < 1000  # noqa: PT017 - either end is right


@given(
    st.text()
    | WORDS
    | st.recursive(st.integers() | st.binary() | st.text(), st.frozensets).map(repr)
)
def test_any_result_of_a_tool_has_fields_or_none(result: str) -> None:
    assert all(isinstance(name, str) for name in fields_of(result))


@given(st.dictionaries(st.sampled_from(["sample_rate", "encoding"]), JSON))
def test_any_settings_of_a_session_are_taken_or_refused(asked: dict[str, Any]) -> None:
    try:
        assert rate_of(asked, 16_000) in RATES
    except BadRequest as refused:
        assert 0 < len(str(refused)) < 200  # noqa: PT017 - either end is right
