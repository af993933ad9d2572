"""What telephony tells the rest of the house. The listeners are named in `app.py`.

A listener is called at once and must not wait or fail; what takes time it does in its own task.
"""

from __future__ import annotations

from collections.abc import Callable

from switchroom.base.records import record
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.transfer_outcome import TransferRecord


@record
class CallStarted:
    """The phone has its seat in the room and is about to be dialled."""

    record: CallRecord


@record
class CallChanged:
    """The call reached another status: the last one of the record's path."""

    record: CallRecord


@record
class CallEnded:
    """The call is over; the record's termination says how."""

    record: CallRecord


@record
class CallHeld:
    """The phone holds the call, or takes it up again."""

    record: CallRecord
    held: bool


@record
class CallTransferChanged:
    """A transfer has begun, or its result is known."""

    record: CallRecord
    transfer: TransferRecord


CallEvent = CallStarted | CallChanged | CallHeld | CallTransferChanged | CallEnded
Listener = Callable[[CallEvent], None]
