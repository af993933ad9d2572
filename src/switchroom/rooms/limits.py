"""How long names, metadata and attributes may be: LiveKit's limits, in bytes of UTF-8."""

from __future__ import annotations

from collections.abc import Mapping

from switchroom.rooms.errors import Invalid, LimitExceeded

MAX_NAME = 256
MAX_TRACK_TEXT = 1024
"""Of each text that a client gives its track. Ours: they are told to everybody at each change."""
MAX_METADATA = 512 * 1024
MAX_ATTRIBUTES = 64 * 1024
MAX_DATA = 63 * 1024
"""What a data packet carries: clients and data channels stop at 64,000 bytes and a little."""


_WIDEST = 4
"""Bytes of the longest character. Most texts are so short that nobody has to look at them."""


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def check_room_name(name: str) -> None:
    """Raise Invalid or LimitExceeded unless `name` can be a room's."""
    if not name:
        raise Invalid("room name is required")
    check_name(name, "room name")


def check_name(text: str, what: str) -> None:
    """Raise LimitExceeded for an identity or a name beyond 256 bytes."""
    if len(text) * _WIDEST > MAX_NAME and _size(text) > MAX_NAME:
        raise LimitExceeded(what, MAX_NAME)


def is_too_long_of_track(text: str) -> bool:
    """Whether a track's name, stream or client id is beyond 1 KiB."""
    return len(text) * _WIDEST > MAX_TRACK_TEXT and _size(text) > MAX_TRACK_TEXT


def check_metadata(text: str) -> None:
    """Raise LimitExceeded for metadata beyond 512 KiB."""
    if len(text) * _WIDEST > MAX_METADATA and _size(text) > MAX_METADATA:
        raise LimitExceeded("metadata", MAX_METADATA)


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Raise LimitExceeded when all keys and values together pass 64 KiB."""
    length = sum(map(len, attributes)) + sum(map(len, attributes.values()))
    if length * _WIDEST <= MAX_ATTRIBUTES:
        return
    if sum(_size(key) + _size(value) for key, value in attributes.items()) > MAX_ATTRIBUTES:
        raise LimitExceeded("attributes", MAX_ATTRIBUTES)


def check_data(payload: bytes) -> None:
    """Raise LimitExceeded for what no data channel would carry."""
    if len(payload) > MAX_DATA:
        raise LimitExceeded("data", MAX_DATA)
