"""What is kept of a call: who, where, when, how it went and how it ended."""

from __future__ import annotations

from enum import StrEnum

from switchroom.base.records import record
from switchroom.sip.dialog import DialogSnapshot
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.termination import Termination
from switchroom.telephony.calls.transfer_outcome import TransferRecord


class CallDirection(StrEnum):
    """Who dialled: seen from here."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


@record
class StatusChange:
    """A status and when it was reached (Unix ns)."""

    status: CallStatus
    at: int


@record
class MediaFigures:
    """How the sound of a call went. ``in`` is from the phone, ``out`` to it.

    Loss is in packets; ``out`` figures are what the phone reports by RTCP, None if it never did.
    ``round_trip_ms`` likewise. ``concealed_ms`` of its sound were made up where it was decoded.
    """

    packets_in: int = 0
    lost_in: int = 0
    jitter_in_ms: float = 0.0
    concealed_ms: int = 0
    packets_out: int = 0
    lost_out: int | None = None
    jitter_out_ms: float | None = None
    round_trip_ms: float | None = None


@record
class CallRecord:
    """One call. Times are Unix nanoseconds, 0 where it never came to that.

    ``from_number`` and ``to_number`` are as dialled; ``hides_numbers`` is whether nobody outside
    is to be told them. ``sip_call_id`` is the Call-ID header,
    ``remote_address`` where the far end's signalling comes from or goes to. ``codec`` is what the
    phone was sent last (``PCMU/8000``), ``encryption`` the SRTP suite, empty for none. ``dialog``
    is there while the far end may believe that the call is up: after a crash it is ended with it.
    ``request_key`` is the caller's idempotency key with the API key it belongs to, empty if none
    was given.
    """

    call_id: str
    room_name: str
    participant_identity: str
    from_number: str
    to_number: str
    trunk_id: str
    trunk_address: str
    created_at: int
    direction: CallDirection = CallDirection.OUTBOUND
    rule_id: str = ""
    hides_numbers: bool = False
    sip_call_id: str = ""
    remote_address: str = ""
    participant_sid: str = ""
    room_sid: str = ""
    answered_at: int = 0
    ended_at: int = 0
    path: tuple[StatusChange, ...] = ()
    codec: str = ""
    encryption: str = ""
    media: MediaFigures | None = None
    transfers: tuple[TransferRecord, ...] = ()
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
        "call_id",
        "codec",
        "encryption",
        "ended_at",
        "hides_numbers",
        "media",
        "participant_identity",
        "participant_sid",
        "remote_address",
        "room_name",
        "room_sid",
        "rule_id",
        "sip_call_id",
        "termination",
        "transfers",
    )

    def __init__(self, opened: CallRecord) -> None:
        """`opened` is what is known before the first step."""
        self._opened = opened
        self._path: list[StatusChange] = []
        self.call_id = opened.call_id
        self.room_name = opened.room_name
        self.rule_id = opened.rule_id
        self.hides_numbers = opened.hides_numbers
        self.sip_call_id = opened.sip_call_id
        self.remote_address = opened.remote_address
        self.participant_identity = opened.participant_identity
        self.participant_sid = ""
        self.room_sid = ""
        self.answered_at = 0
        self.ended_at = 0
        self.codec = ""
        self.encryption = ""
        self.media: MediaFigures | None = None
        self.transfers: list[TransferRecord] = []
        self.termination: Termination | None = None

    @property
    def direction(self) -> CallDirection:
        return self._opened.direction

    @property
    def trunk(self) -> str:
        """The trunk's id; the address of one that came with the call."""
        return self._opened.trunk_id or self._opened.trunk_address

    def reach(self, status: CallStatus, at: int) -> None:
        """The call reached a status at that time (Unix ns)."""
        self._path.append(StatusChange(status, at))

    def record(self, dialog: DialogSnapshot | None = None) -> CallRecord:
        """The record as things stand; `dialog` is for one that is to be stored."""
        opened = self._opened
        return CallRecord(
            call_id=self.call_id,
            room_name=self.room_name,
            participant_identity=self.participant_identity,
            from_number=opened.from_number,
            to_number=opened.to_number,
            trunk_id=opened.trunk_id,
            trunk_address=opened.trunk_address,
            created_at=opened.created_at,
            direction=opened.direction,
            rule_id=self.rule_id,
            hides_numbers=self.hides_numbers,
            sip_call_id=self.sip_call_id,
            remote_address=self.remote_address,
            participant_sid=self.participant_sid,
            room_sid=self.room_sid,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            path=tuple(self._path),
            codec=self.codec,
            encryption=self.encryption,
            media=self.media,
            transfers=tuple(self.transfers),
            termination=self.termination,
            dialog=dialog,
            request_key=opened.request_key,
            request_digest=opened.request_digest,
        )
