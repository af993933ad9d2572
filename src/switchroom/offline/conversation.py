"""A conversation with a model, from the messages of an OpenAI chat request. Pure.

The model keeps nothing between requests: all it knows of a conversation is in its messages.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeAlias

from switchroom.base.records import record
from switchroom.offline.errors import BadRequest, shown

MOST_MESSAGES = 2000
MOST_TEXT = 200_000
"""Characters in all messages together."""

_MOST_FIELDS = 10_000
"""Characters of a result whose fields are read: Python's own notation takes its time."""


@record
class Told:
    """Instructions: the system prompt, or what ``generate_reply(instructions=…)`` adds."""

    text: str


@record
class Heard:
    """The user said something."""

    text: str


@record
class Spoke:
    """The model said something, called tools, or both."""

    text: str
    tools: tuple[str, ...] = ()


@record
class Returned:
    """A tool that the model had called returned."""

    tool: str
    text: str


Turn: TypeAlias = Told | Heard | Spoke | Returned


@record
class Tool:
    """A tool that the agent offers: its name and the JSON schema of its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@record
class Conversation:
    """What was said so far, and what may be called now."""

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()

    @property
    def instructions(self) -> str:
        """All that the model was told, in order."""
        return "\n".join(turn.text for turn in self.turns if isinstance(turn, Told))


def conversation_from(request: Mapping[str, Any]) -> Conversation:
    """Read a chat completion request. Raises BadRequest."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a list with at least one message")
    if len(messages) > MOST_MESSAGES:
        raise BadRequest(f"{len(messages)} messages; {MOST_MESSAGES} are the most")
    called: dict[str, str] = {}
    turns: list[Turn] = []
    size = 0
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest(f"messages[{number}] is not an object")
        text = _text(message.get("content"), f"messages[{number}].content")
        size += len(text)
        if size > MOST_TEXT:
            raise BadRequest(f"more than {MOST_TEXT} characters of messages")
        turns.append(_turn(message, text, called, f"messages[{number}]"))
    return Conversation(tuple(turns), _tools(request))


def _turn(message: Mapping[str, Any], text: str, called: dict[str, str], where: str) -> Turn:
    match message.get("role"):
        case "system" | "developer":
            return Told(text)
        case "user":
            return Heard(text)
        case "assistant":
            calls = _calls(message.get("tool_calls"), where)
            called.update(calls)
            return Spoke(text, tuple(calls.values()))
        case "tool":
            identifier = message.get("tool_call_id")
            if not isinstance(identifier, str):
                raise BadRequest(f"{where}.tool_call_id is not a text")
            return Returned(called.get(identifier, identifier), text)
        case role:
            known = "known are system, user, assistant, tool"
            raise BadRequest(f"{where}.role is {shown(role)}; {known}")


def _calls(calls: Any, where: str) -> dict[str, str]:
    """The name of each called tool, by the id of its call."""
    if calls is None:
        return {}
    if not isinstance(calls, list):
        raise BadRequest(f"{where}.tool_calls is not a list")
    named: dict[str, str] = {}
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if name is None or not isinstance(name, str) or not isinstance(call.get("id"), str):
            raise BadRequest(f"{where}.tool_calls has a call without id or function name")
        named[call["id"]] = name
    return named


def _text(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise BadRequest(f"{where} is neither a text nor a list of parts")
    texts = [part.get("text") for part in content if part.get("type") == "text"]
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest(f"{where} has a part of type text without one")
    return "".join(texts)


def _tools(request: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools that may be called now: none if the request says so, one if it names one."""
    tools, choice = request.get("tools"), request.get("tool_choice")
    if tools is not None and not isinstance(tools, list):
        raise BadRequest("tools is not a list")
    offered = tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools or ()))
    match choice:
        case None | "auto" | "required":
            return offered
        case "none":
            return ()
        case {"function": {"name": str(wanted)}}:
            return tuple(tool for tool in offered if tool.name == wanted)
    raise BadRequest("tool_choice is neither auto, required, none nor a function with a name")


def _tool(tool: Any, where: str) -> Tool:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRequest(f"{where} is no function with a name")
    parameters = function.get("parameters")
    if parameters is None:
        return Tool(function["name"])
    if not isinstance(parameters, dict):
        raise BadRequest(f"{where}.function.parameters is not an object")
    required = parameters.get("required")
    if required is not None and not (
        isinstance(required, list) and all(isinstance(name, str) for name in required)
    ):
        raise BadRequest(f"{where}.function.parameters.required is not a list of names")
    return Tool(function["name"], parameters)


def fields_of(result: str) -> dict[str, Any]:
    """The fields of a tool's result: JSON, or a dictionary as Python prints it; else none.

    A value is whatever Python can write, which is more than JSON has. Of what is longer than
    10,000 characters, no field is read.
    """
    if len(result) > _MOST_FIELDS:
        return {}
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(result)
            if isinstance(value, dict):
                # A key may be a number that Python reads and does not write again.
                return {str(key): value[key] for key in value}
        # A TypeError is a key or an element that can't be one, such as a list.
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return {}
