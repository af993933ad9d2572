"""Every SIP message in and out, kept per call for a while: what a ladder diagram is drawn from."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from switchroom.sip.flows import Address, Flow

_LONGEST_CALL_ID: Final = 512
_LOGIN: Final = re.compile(rb"(?im)^((?:proxy-)?authorization[ \t]*:)[^\r\n]*")

Direction = Literal["in", "out"]


class TapRecord(NamedTuple):
    """One message as it was on the wire."""

    at_unix_ns: int
    direction: Direction
    transport: str
    local: Address
    remote: Address
    call_id: str
    """Empty if the bytes held none."""
    data: bytes

    @classmethod
    def of(
        cls, at_unix_ns: int, direction: Direction, flow: Flow, call_id: str, data: bytes
    ) -> TapRecord:
        """A message on a flow."""
        return cls(at_unix_ns, direction, flow.transport, flow.local, flow.remote, call_id, data)


Tap = Callable[[TapRecord], None]


def without_credentials(data: bytes) -> bytes:
    """The message with the content of its Authorization fields taken out."""
    if b"uthorization" not in data and b"UTHORIZATION" not in data:
        return data
    return _LOGIN.sub(rb"\1 (hidden)", data)


class _Trace:
    """The messages of one call, the oldest dropped when they are too big together."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages: list[tuple[int, Direction, Flow, bytes]] = []
        """When, which way, on what, and the bytes: records are made of them for who asks."""
        self.size = 0
        """Bytes of all messages."""

    def shorten(self, limit: int) -> None:
        while self.size > limit and len(self.messages) > 1:
            self.size -= len(self.messages.pop(0)[3])

    def records(self, call_id: str) -> tuple[TapRecord, ...]:
        return tuple(
            TapRecord.of(at_unix_ns, direction, flow, call_id, without_credentials(data))
            for at_unix_ns, direction, flow, data in self.messages
        )


class CallTraces:
    """The messages of the calls last heard of, credentials taken out.

    Calls that were let in or placed here are followed; what strangers send is kept apart and
    briefly, so that a scanner can't wash away the traces of real calls. Bounded in calls and in
    bytes per call; the oldest go first.
    """

    def __init__(
        self, *, calls: int = 1_000, strangers: int = 100, call_bytes: int = 128 * 1024
    ) -> None:
        self._limit = calls
        self._strangers_limit = strangers
        self._call_bytes = call_bytes
        self._followed: OrderedDict[str, _Trace] = OrderedDict()
        self._strangers: OrderedDict[str, _Trace] = OrderedDict()

    def follow(self, call_id: str) -> None:
        """This is a call of ours from now on."""
        if call_id not in self._followed:
            self._followed[call_id] = self._strangers.pop(call_id, _Trace())
            if len(self._followed) > self._limit:
                self._followed.popitem(last=False)

    def keep(
        self, at_unix_ns: int, direction: Direction, flow: Flow, call_id: str, data: bytes
    ) -> None:
        """Keep one message. What names no call is not kept."""
        trace = self._followed.get(call_id) or self._strangers.get(call_id)
        if trace is None:
            if not call_id or len(call_id) > _LONGEST_CALL_ID:
                return
            trace = self._strangers[call_id] = _Trace()
            if len(self._strangers) > self._strangers_limit:
                self._strangers.popitem(last=False)
        trace.messages.append((at_unix_ns, direction, flow, data))
        trace.size += len(data)
        if trace.size > self._call_bytes:
            trace.shorten(self._call_bytes)

    def of(self, call_id: str) -> tuple[TapRecord, ...]:
        """The messages of one call in the order they passed; empty if unknown or forgotten."""
        trace = self._followed.get(call_id) or self._strangers.get(call_id)
        return trace.records(call_id) if trace is not None else ()
