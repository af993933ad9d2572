"""Requests in JSON, as LiveKit's documentation writes them: a file, ``-``, or the text itself."""

from __future__ import annotations

import json
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from .errors import Mistyped

Request = TypeVar("Request", bound=Message)

_UNKNOWN_FIELD = re.compile(r'Message type "livekit\.(\w+)" has no field named "([^"]+)"')


def read_request(
    source: str, request: type[Request], *, wrapper: str = "", wrapped: bool = True
) -> Request:
    """The request in ``source``; camelCase and snake_case both work, an unknown field is refused.

    Where ``wrapper`` names the one field that may stand around the rest (``trunk``), it is added or
    taken away as ``wrapped`` says, since people write both. Raises :class:`Mistyped` with a
    sentence about what is wrong.
    """
    name = "the JSON given" if source.lstrip().startswith("{") else source
    document = _parse_json(_text_of(source), name)
    if wrapper:
        document = _wrap(document, wrapper) if wrapped else _unwrap(document, wrapper)
    try:
        return json_format.ParseDict(document, request())
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise Mistyped(f"{name}: {_explain(str(error), request)}") from None


def _wrap(document: dict[str, Any], wrapper: str) -> dict[str, Any]:
    return document if not document or _inside(document, wrapper) else {wrapper: document}


def _unwrap(document: dict[str, Any], wrapper: str) -> dict[str, Any]:
    inside = _inside(document, wrapper)
    return inside if inside is not None and len(document) == 1 else document


def _inside(document: dict[str, Any], wrapper: str) -> dict[str, Any] | None:
    head, *tail = wrapper.split("_")
    camel = head + "".join(part.title() for part in tail)
    found = document.get(wrapper, document.get(camel))
    return found if isinstance(found, dict) else None


def _text_of(source: str) -> str:
    if source.lstrip().startswith("{"):
        return source
    if source == "-":
        return sys.stdin.read()
    try:
        return Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise Mistyped(f"can't read {source}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Mistyped(f"{source} is not UTF-8 text") from None


def _parse_json(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise Mistyped(f"{name}, line {error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise Mistyped(f"{name}: nested too deeply") from None
    if not isinstance(document, dict):
        raise Mistyped(f"{name} must hold one JSON object: {{ … }}")
    return document


def _explain(problem: str, request: type[Message]) -> str:
    unknown = _UNKNOWN_FIELD.search(problem)
    if unknown is None:
        return problem.splitlines()[0]
    message, field = unknown.groups()
    near = get_close_matches(field, _field_names(request, message), n=1)
    advice = f"; did you mean {near[0]}?" if near else ""
    return f"{message} has no field {field}{advice}"


def _field_names(request: type[Message], message: str) -> list[str]:
    """The fields of ``message``, which is ``request`` or something inside it."""
    pending, seen = [request.DESCRIPTOR], set()
    while pending:
        descriptor = pending.pop()
        if descriptor.name == message:
            return [field.name for field in descriptor.fields]
        if descriptor.full_name not in seen:
            seen.add(descriptor.full_name)
            pending += [field.message_type for field in descriptor.fields if field.message_type]
    return []
