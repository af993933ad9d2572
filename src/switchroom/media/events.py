"""What the engine tells: one record an event, in order, in the event loop's thread."""

from __future__ import annotations

from switchroom.base.records import record

from .graph import Source


@record
class LevelChanged:
    """A source began or ceased to speak, or became louder or softer (LiveKit's speaker rule)."""

    source: Source
    level: float
    """0.0 to 1.0, in eighths."""
    active: bool
    """Whether somebody speaks."""


# ── legs ─────────────────────────────────────────────────────────────────────


@record
class MediaStarted:
    """The phone's first packets came, or they now come from another address."""

    remote: tuple[str, int]
    """Where they come from, and where ours go."""


@record
class MediaTimedOut:
    """Nothing came from the phone for ``LegMedia.media_timeout``. Told once for each silence."""


@record
class DigitReceived:
    """A key was pressed and let go (RFC 4733)."""

    digit: str
    """One of ``0-9 * # a b c d``."""
    duration_ms: int


@record
class DigitsSent:
    """All digits that were to be sent have been."""


LegEvent = MediaStarted | MediaTimedOut | DigitReceived | DigitsSent | LevelChanged


# ── peers ────────────────────────────────────────────────────────────────────


@record
class Connected:
    """Media and data flow: for the first time, or again after :class:`Disconnected`."""


@record
class Disconnected:
    """Nothing was heard of the client for a while. It may come back."""


@record
class Closed:
    """The client closed the connection. Only ``close`` is of use now."""


@record
class Failed:
    """The connection broke for good. Only ``close`` is of use now."""

    reason: str


@record
class ChannelOpened:
    """A data channel can be written to."""

    label: str
    """``_reliable``, ``_lossy`` or ``_data_track``."""


@record
class DataReceived:
    """A message of the client."""

    label: str
    payload: bytes


@record
class TrackStarted:
    """The first packet of a section came, or the first one in another codec."""

    mid: str
    codec: str
    """``opus``, ``PCMU``, ``PCMA`` or ``G722``."""


PeerEvent = (
    Connected
    | Disconnected
    | Closed
    | Failed
    | ChannelOpened
    | DataReceived
    | TrackStarted
    | LevelChanged
)


# ── players ──────────────────────────────────────────────────────────────────


@record
class Finished:
    """A player came to its end by itself."""


PlayerEvent = Finished
