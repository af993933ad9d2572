"""Every SIP message in and out, kept per call for a while: what a ladder diagram is drawn from."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from switchroom.sip.flows import Address

_LOGIN: Final = re.compile(rb"(?im)^((?:proxy-)?authorization[ \t]*:)[^\r\n]*")


class TapRecord(NamedTuple):
    """One message as it was on the wire."""

    at_unix_ns: int
    direction: Literal["in", "out"]
    transport: str
    local: Address
    remote: Address
    call_id: str
    """Empty if the bytes held none."""
    data: bytes


Tap = Callable[[TapRecord], None]


def without_credentials(data: bytes) -> bytes:
    """The message with the content of its Authorization fields taken out."""
    if b"uthorization" not in data and b"UTHORIZATION" not in data:
        return data
    return _LOGIN.sub(rb"\1 (hidden)", data)


class CallTraces:
    """The messages of the calls last heard of, credentials taken out.

    Bounded in calls, in messages per call and in bytes per message; the oldest go first.
    """

    def __init__(
        self, *, calls: int = 1_000, messages: int = 200, message_bytes: int = 16_384
    ) -> None:
        self._calls = calls
        self._messages = messages
        self._message_bytes = message_bytes
        self._traces: OrderedDict[str, deque[TapRecord]] = OrderedDict()

    def __call__(self, record: TapRecord) -> None:
        """Keep one message. What names no call is not kept."""
        if not record.call_id or len(record.call_id) > 512:
            return
        trace = self._traces.get(record.call_id)
        if trace is None:
            trace = self._traces[record.call_id] = deque(maxlen=self._messages)
            if len(self._traces) > self._calls:
                self._traces.popitem(last=False)
        trace.append(record)

    def of(self, call_id: str) -> tuple[TapRecord, ...]:
        """The messages of one call in the order they passed; empty if unknown or forgotten."""
        return tuple(
            record._replace(data=without_credentials(record.data)[: self._message_bytes])
            for record in self._traces.get(call_id, ())
        )
