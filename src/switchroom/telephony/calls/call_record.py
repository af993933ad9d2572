"""What is kept of a call: who, where, when, how it went and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

from switchroom.sip.dialog import DialogSnapshot
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.termination import Termination


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A status and when it was reached (Unix ns)."""

    status: CallStatus
    at: int


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One outbound call. Times are Unix nanoseconds, 0 where it never came to that.

    ``from_number`` and ``to_number`` are as dialled. ``dialog`` is there while the far end may
    believe that the call is up: after a crash it is ended with it. ``request_key`` is the caller's
    idempotency key with the API key it belongs to, empty if none was given.
    """

    call_id: str
    room_name: str
    participant_identity: str
    from_number: str
    to_number: str
    trunk_id: str
    trunk_address: str
    created_at: int
    participant_sid: str = ""
    room_sid: str = ""
    answered_at: int = 0
    ended_at: int = 0
    path: tuple[StatusChange, ...] = ()
    termination: Termination | None = None
    dialog: DialogSnapshot | None = None
    request_key: str = ""
    request_digest: str = ""


class CallNotes:
    """A record in the making: what happens is noted, and a CallRecord made when asked for."""

    __slots__ = (
        "_opened",
        "_path",
        "answered_at",
        "dialog",
        "ended_at",
        "participant_identity",
        "participant_sid",
        "room_name",
        "room_sid",
        "termination",
    )

    def __init__(self, opened: CallRecord) -> None:
        """`opened` is what is known before the first step."""
        self._opened = opened
        self._path: list[StatusChange] = []
        self.room_name = opened.room_name
        self.participant_identity = opened.participant_identity
        self.participant_sid = ""
        self.room_sid = ""
        self.answered_at = 0
        self.ended_at = 0
        self.termination: Termination | None = None
        self.dialog: DialogSnapshot | None = None

    @property
    def call_id(self) -> str:
        return self._opened.call_id

    def reach(self, status: CallStatus, at: int) -> None:
        """The call reached a status at that time (Unix ns)."""
        self._path.append(StatusChange(status, at))

    def record(self) -> CallRecord:
        """The record as things stand."""
        return replace(
            self._opened,
            room_name=self.room_name,
            participant_identity=self.participant_identity,
            participant_sid=self.participant_sid,
            room_sid=self.room_sid,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            path=tuple(self._path),
            termination=self.termination,
            dialog=self.dialog,
        )
