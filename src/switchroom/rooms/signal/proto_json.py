"""Proto-JSON in, with every way of being wrong turned into one error."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

# All that json and json_format raise; OverflowError is what 1e400 does where a choice belongs.
_UNREADABLE = (
    json_format.Error,
    AttributeError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class NotProtoJson(ValueError):
    """The text is no JSON object of that message."""


def read_json(text: str | bytes, message: Message) -> None:
    """Fill `message`; both spellings of a name count, unknown ones are ignored.

    Raises NotProtoJson.
    """
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise NotProtoJson("a message is a JSON object")
    except _UNREADABLE as wrong:
        raise NotProtoJson(str(wrong)) from wrong
    read_fields(fields, message)


def read_fields(fields: Any, message: Message) -> None:
    """The same from JSON that has been read. Raises NotProtoJson."""
    try:
        json_format.ParseDict(fields, message, ignore_unknown_fields=True)
    except _UNREADABLE as wrong:
        raise NotProtoJson(str(wrong)) from wrong
