"""Orders to place a call, as they come on the network's standard input: a JSON object a line.

::

    {"call": "+15550000000", "to": "127.0.0.1:5060", "as": "maria", "press": "1234#",
     "headers": {"X-Ticket": "7"}, "username": "…", "password": "…"}

``call`` is the number dialled and ``to`` the server; ``as`` is a phone of the network, by name or
number (the first one if not given). ``press`` are keys to press a second after the answer. The
login answers a server that asks for one (digest).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from switchroom.base.records import record

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?", re.ASCII)
_NUMBER = re.compile(r"[A-Za-z0-9+*#._-]{1,64}", re.ASCII)
_KEYS = re.compile(r"[0-9*#A-Dw]{0,64}", re.ASCII)


class OrderError(ValueError):
    """An order that cannot be followed; the message says why."""


@record
class CallOrder:
    """One call to place."""

    call: str
    to: str
    as_: str = ""
    press: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    username: str = ""
    password: str = field(default="", repr=False)

    def as_line(self) -> str:
        """The order as it is written to the network, without the end of the line."""
        values = {f.name.rstrip("_"): getattr(self, f.name) for f in fields(self)}
        return json.dumps({name: value for name, value in values.items() if value})


def read_order(line: str | bytes) -> CallOrder:
    """The order in a line. Raises OrderError."""
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise OrderError("that is no JSON") from None
    if not isinstance(values, dict):
        raise OrderError("an order is a JSON object")
    known = {f.name.rstrip("_"): f.name for f in fields(CallOrder)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise OrderError(f"nobody knows {unknown[0][:40]!r}; known are {', '.join(known)}")
    headers = values.pop("headers", {})
    texts = {known[name]: value for name, value in values.items()}
    if not all(isinstance(value, str) for value in texts.values()) or not _is_flat(headers):
        raise OrderError("numbers, names and headers are written as text")
    order = CallOrder(**{"call": "", "to": "", **texts}, headers=headers)
    _check(order)
    return order


def _is_flat(headers: Any) -> bool:
    return isinstance(headers, dict) and all(isinstance(v, str) for v in headers.values())


def _check(order: CallOrder) -> None:
    if not _NUMBER.fullmatch(order.call):
        raise OrderError("`call` is the number to dial")
    if not _SERVER.fullmatch(order.to):
        raise OrderError("`to` is the server's address, such as 127.0.0.1:5060")
    if not _KEYS.fullmatch(order.press):
        raise OrderError("`press` is made of 0-9 * # A-D, and w for a pause")
