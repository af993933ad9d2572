"""Text from outside, made such that it can be told to others. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def legible(text: str) -> str:
    """`text` with U+FFFD for what is no Unicode character.

    JSON and badly encoded SIP headers can bring half of a surrogate pair, which no UTF-8 can carry.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def legible_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The same for every name and text of a mapping."""
    if all(map(str.isascii, texts)) and all(map(str.isascii, texts.values())):
        return dict(texts)
    return {legible(name): legible(text) for name, text in texts.items()}


def legible_json(value: Any) -> Any:
    """The same for every text in a parsed JSON value, names included."""
    match value:
        case str():
            return legible(value)
        case list():
            return [legible_json(one) for one in value]
        case dict():
            return {legible(name): legible_json(one) for name, one in value.items()}
        case _:
            return value
