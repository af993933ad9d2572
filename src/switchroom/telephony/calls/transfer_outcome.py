"""What became of a transfer: LiveKit's statuses and reasons, and what is kept of it. Pure."""

from __future__ import annotations

from enum import Enum

from switchroom.base.records import record


class TransferStatus(Enum):
    """LiveKit's SIPTransferStatus, with its numbers."""

    ONGOING = 0
    FAILED = 1
    SUCCESSFUL = 2


class TransferReason(Enum):
    """LiveKit's SIPTransferReason, with its numbers; on the wire each has ``STR_`` before it."""

    UNSPECIFIED = 0
    COMPLETED = 1
    CALL_ENDED = 2
    REJECTED = 3
    RINGING_TIMEOUT = 4
    SUBSCRIPTION_TERMINATED = 5
    CANCELED = 6


@record
class TransferRecord:
    """One transfer of a call. Times are Unix nanoseconds, ``completed_at`` 0 while it goes on.

    ``sip_status`` and ``sip_reason`` are the last that the far end told of it: the final answer to
    our REFER, or what a NOTIFY reported of the new call.
    """

    transfer_id: str
    transfer_to: str
    initiated_at: int
    completed_at: int = 0
    status: TransferStatus = TransferStatus.ONGOING
    reason: TransferReason = TransferReason.UNSPECIFIED
    sip_status: int | None = None
    sip_reason: str = ""
