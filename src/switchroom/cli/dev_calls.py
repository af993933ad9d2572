"""What `switchroom dev` says of calls: a line for each step, for people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import assert_never

from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import CallDirection, CallRecord
from switchroom.telephony.calls.transfer_outcome import TransferStatus
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)

_MOST_WAITING = 1000

_STEPS = {
    CallStatus.RINGING: "it rings",
    CallStatus.ACTIVE: "they talk",
    CallStatus.AUTOMATION: "digits are sent",
}


class CallLines:
    """Hears calls and hands out lines; if nobody takes them, the oldest are forgotten."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)

    def hear(self, event: CallEvent) -> None:
        """A step of a call."""
        text = words(event)
        if not text:
            return
        if self._waiting.full():
            self._waiting.get_nowait()
        clock = time.strftime("%H:%M:%S")
        self._waiting.put_nowait(f"{clock}      {event.record.call_id} {text}")

    async def lines(self) -> AsyncIterator[str]:
        """Each line when it comes, for ever."""
        while True:
            yield await self._waiting.get()


def words(event: CallEvent) -> str:
    """What happened; empty for what needs no line."""
    match event:
        case CallStarted(record):
            return _began(record)
        case CallChanged(record):
            return _STEPS.get(record.path[-1].status, "") if record.path else ""
        case CallHeld():
            return "the phone holds the call" if event.held else "the phone is back"
        case CallTransferChanged(_, transfer):
            if transfer.status is TransferStatus.ONGOING:
                return f"is transferred to {transfer.transfer_to}"
            return f"transfer {transfer.status.name.lower()}: {transfer.reason.name.lower()}"
        case CallEnded(record):
            return _ended(record)
    assert_never(event)


def _began(record: CallRecord) -> str:
    if record.direction is CallDirection.OUTBOUND:
        return f"dials {record.to_number} for room {record.room_name}"
    told = f"{_caller(record)}: rule {record.rule_id} leads to room {record.room_name}"
    if record.answered_at:
        return told
    return f"{told}; it rings until somebody there can be heard (an agent, or who joins)"


def _ended(record: CallRecord) -> str:
    ending = record.termination
    why = ending.sentence if ending is not None else ""
    if record.direction is CallDirection.INBOUND and not record.room_name:
        return f"{_caller(record)}: refused. {why}"
    return f"over ({ending.word if ending is not None else '?'}). {why}"


def _caller(record: CallRecord) -> str:
    return f"comes in from {record.from_number or 'somebody'} for {record.to_number}"
