"""What the network tells about its calls: one value an event, one JSON object a line.

Every event has ``event`` (its kind) and ``time`` (Unix seconds). Those of a call have ``call``, an
id that is unique in the process. The order within a call is: `Called` or `Dials`, then `Ringing`,
then `Answered` or `Rejected`, and last `Ended`, which comes exactly once whatever happens. Only
what has to be understood first may follow it: the last `Understood`, and `MessageKept`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields
from typing import Any, ClassVar

from switchroom.base.records import record
from switchroom.phonenet.hearing import Heard


@record(kw_only=True)
class Event:
    """Any event. `time` is set when it is reported."""

    kind: ClassVar[str]
    time: float = 0.0

    def as_json(self) -> dict[str, object]:
        return {"event": self.kind} | asdict(self)


@record(kw_only=True)
class Ready(Event):
    """The first event: the carrier listens at `address` (``ip:port``, UDP and TCP).

    `username` is what callers must log in as; empty if they need not. `numbers` is the directory:
    for each one ``number``, ``name`` and what it ``does``.
    """

    kind: ClassVar[str] = "ready"
    address: str
    username: str = ""
    numbers: Sequence[Mapping[str, str]] = ()


@record(kw_only=True)
class CallEvent(Event):
    """Anything that happens in a call."""

    call: str


@record(kw_only=True)
class Called(CallEvent):
    """An INVITE for `number` has come in. `headers` are those beginning with ``X-``."""

    kind: ClassVar[str] = "called"
    number: str
    caller: str
    caller_name: str
    sip_call_id: str
    headers: Mapping[str, str] = field(default_factory=dict)


@record(kw_only=True)
class Dials(CallEvent):
    """A phone of the network calls `number` at a server (`to`, ``ip:port``); `name` is whose."""

    kind: ClassVar[str] = "dials"
    number: str
    caller: str
    name: str
    to: str
    sip_call_id: str = ""


@record(kw_only=True)
class Misunderstood(Event):
    """A command that could not be followed, and why."""

    kind: ClassVar[str] = "misunderstood"
    error: str


@record(kw_only=True)
class Ringing(CallEvent):
    """The phone rings (180), or speaks before it is answered (183)."""

    kind: ClassVar[str] = "ringing"
    status: int


@record(kw_only=True)
class Answered(CallEvent):
    """The phone was picked up. `media` is where the caller wants its sound."""

    kind: ClassVar[str] = "answered"
    codec: str
    media: str


@record(kw_only=True)
class Rejected(CallEvent):
    """The call was refused with a SIP status."""

    kind: ClassVar[str] = "rejected"
    status: int
    reason: str


@record(kw_only=True)
class Plays(CallEvent):
    """The phone begins to play a sound."""

    kind: ClassVar[str] = "plays"
    sound: str


@record(kw_only=True)
class Hears(CallEvent):
    """What the phone hears has changed and stayed so for half a second.

    `what` is ``silence``, ``sound`` or ``tone``; `tone_hz` belongs to the last.
    """

    kind: ClassVar[str] = "hears"
    what: str
    level_dbov: float
    tone_hz: float | None = None


@record(kw_only=True)
class Listened(CallEvent):
    """A `listen` of the phone's script is over; the fields of `heard` are those of `Heard`."""

    kind: ClassVar[str] = "listened"
    heard: Heard


@record(kw_only=True)
class Said(CallEvent):
    """The phone begins to say a text, which takes so many seconds."""

    kind: ClassVar[str] = "said"
    text: str
    seconds: float


@record(kw_only=True)
class Understood(CallEvent):
    """What the caller said between two moments (Unix seconds); `text` is "" if it made no sense.

    `replied_after` is the silence before it, in seconds: since the phone's own last word, if the
    caller waited for that.
    """

    kind: ClassVar[str] = "understood"
    text: str
    began: float
    ended: float
    replied_after: float | None = None


@record(kw_only=True)
class MessageKept(CallEvent):
    """A message was recorded: a WAV file at `path`, and what was understood of it.

    `seconds` is its length from the beep to the last word; `because` says what ended it:
    ``hung up``, ``silence`` or ``limit``.
    """

    kind: ClassVar[str] = "message_kept"
    path: str
    seconds: float
    transcript: str
    because: str


@record(kw_only=True)
class Digit(CallEvent):
    """The caller pressed a key (RFC 4733)."""

    kind: ClassVar[str] = "digit"
    digit: str
    duration_ms: int


@record(kw_only=True)
class Held(CallEvent):
    """The caller changed the call's media: who sends now, as the phone sees it."""

    kind: ClassVar[str] = "held"
    direction: str


@record(kw_only=True)
class Noted(CallEvent):
    """A remark of the phone's script."""

    kind: ClassVar[str] = "noted"
    note: str


@record(kw_only=True)
class Failed(CallEvent):
    """The phone's script broke; the caller got 500 or BYE."""

    kind: ClassVar[str] = "failed"
    error: str


@record(kw_only=True)
class Ended(CallEvent):
    """The call is over.

    `by` is ``caller`` (``callee`` where the phone has dialled), ``phone`` or ``network``; `reason`
    says how in words. `heard` is everything
    that the phone heard, `digits` all keys the caller pressed. `lost` counts packets that never
    came, `jitter_ms` is RFC 3550's.
    """

    kind: ClassVar[str] = "ended"
    by: str
    reason: str
    number: str
    ring_seconds: float
    talk_seconds: float
    heard: Heard
    digits: str = ""
    packets_sent: int = 0
    packets_received: int = 0
    lost: int = 0
    jitter_ms: float = 0.0


@record(kw_only=True)
class Stopped(Event):
    """The last event: the network is down and every call over."""

    kind: ClassVar[str] = "stopped"
    calls: int


KINDS: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (Ready, Misunderstood, Called, Dials, Ringing, Answered, Rejected, Plays, Hears,
                 Listened, Said, Understood, MessageKept, Digit, Held, Noted, Failed, Ended,
                 Stopped)
}  # fmt: skip


def to_line(event: Event) -> str:
    """One line of JSON, without its end."""
    return json.dumps(event.as_json(), ensure_ascii=False, separators=(",", ":"))


def from_line(line: str | bytes) -> Event:
    """The event in a line. Raises ValueError for what is none; unknown fields are ignored."""
    values: Any = json.loads(line)
    if not isinstance(values, dict) or values.get("event") not in KINDS:
        raise ValueError("not an event of the phone network")
    kind = KINDS[values["event"]]
    known = {f.name: values[f.name] for f in fields(kind) if f.name in values}
    if "heard" in known:
        known["heard"] = Heard(**known["heard"])
    try:
        return kind(**known)
    except TypeError as error:
        raise ValueError(f"an incomplete {kind.kind!r} event") from error
