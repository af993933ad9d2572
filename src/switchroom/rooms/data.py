"""Messages between participants: to whom they go, and what is kept for those who come late.

A message holds its wire form (a serialised DataPacket) once somebody needed it, so that a broadcast
is encoded once and a message among phones never.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from switchroom.base.records import record
from switchroom.rooms.rpc import Rpc

RETAIN_SECONDS = 2.0
_RETAIN_BYTES = 1024 * 1024
_EARLY_BYTES = 1024 * 1024

DISPATCH_TOPIC = "switchroom.dispatch"
"""Topic of the messages that tell a room of a dispatch which ended without an agent."""


@record
class UserData:
    """Bytes with a topic, as `publish_data` sends them."""

    payload: bytes
    topic: str = ""


@record
class Dtmf:
    """A digit pressed: RFC 4733 event `code` and the `digit` as text."""

    code: int
    digit: str


@record
class DispatchEnded:
    """An agent that was asked for does not come.

    Clients get it as a message of the server on the topic DISPATCH_TOPIC, as JSON of these fields.
    """

    dispatch_id: str
    agent_name: str
    outcome: str
    reason: str

    def as_user_data(self) -> UserData:
        """What clients are sent."""
        return UserData(json.dumps(asdict(self)).encode(), DISPATCH_TOPIC)


Content = UserData | Dtmf | DispatchEnded


@dataclass(slots=True)
class DataMessage:
    """One message on its way.

    `sender_sid` is empty for messages of the server API. `destinations` are identities; none means
    everybody but the sender. `sequence` numbers a sender's reliable messages, 0 where it does not
    count. `content` is what an in-process participant understands, None for kinds that only clients
    speak; `rpc` is set for calls of methods and what answers them. `wire` is the serialised
    DataPacket, None until `signal.data_packets.wire_of` was asked for it.
    """

    reliable: bool
    sender_sid: str
    sender_identity: str
    destinations: frozenset[str] = frozenset()
    sequence: int = 0
    content: Content | None = None
    rpc: Rpc | None = None
    for_metrics: bool = False
    nonce: bytes = b""
    wire: bytes | None = field(default=None, repr=False)

    def is_for(self, identity: str) -> bool:
        """Whether a participant gets it."""
        if identity == self.sender_identity and self.sender_sid:
            return False
        return not self.destinations or identity in self.destinations


class ReliableHistory:
    """The reliable messages of the last two seconds, for those who were just not connected.

    Bounded in bytes as well: the oldest go first.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[float, DataMessage]] = deque()
        self._bytes = 0

    def add(self, now: float, message: DataMessage) -> None:
        """Remember a message sent at `now` (monotonic seconds)."""
        self._kept.append((now, message))
        self._bytes += _weight(message)
        while self._bytes > _RETAIN_BYTES or now - self._kept[0][0] > RETAIN_SECONDS:
            _, dropped = self._kept.popleft()
            self._bytes -= _weight(dropped)

    def since(self, moment: float, now: float) -> Iterator[DataMessage]:
        """What was sent from `moment` on, as far as it is kept."""
        earliest = max(moment, now - RETAIN_SECONDS)
        return (message for sent_at, message in self._kept if sent_at >= earliest)

    def after(self, last_seen: Mapping[str, int], now: float) -> Iterator[DataMessage]:
        """What a receiver has not seen yet, by its last sequence number of each sender's sid."""
        for message in self.since(0.0, now):
            seen = last_seen.get(message.sender_sid)
            if seen is not None and message.sequence > seen:
                yield message


class EarlyMessages:
    """Reliable messages for a client whose data channel is not open yet; not without end."""

    def __init__(self) -> None:
        self._waiting: deque[DataMessage] = deque()
        self._bytes = 0

    def add(self, message: DataMessage) -> None:
        """Keep a message, or drop it when there are too many."""
        if self._bytes < _EARLY_BYTES:
            self._waiting.append(message)
            self._bytes += _weight(message)

    def take(self) -> Sequence[DataMessage]:
        """All that wait, in order; none do afterwards."""
        taken, self._waiting, self._bytes = self._waiting, deque(), 0
        return taken


def _weight(message: DataMessage) -> int:
    size = len(message.wire or b"")
    if isinstance(message.content, UserData):
        size += len(message.content.payload)
    return size + 100
