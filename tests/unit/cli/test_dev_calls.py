from __future__ import annotations

from dataclasses import replace

import pytest

from switchroom.cli.dev_calls import CallLines, words
from switchroom.telephony.calls.call_events import CallStatus
from switchroom.telephony.calls.call_record import CallDirection, CallRecord, StatusChange
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer_outcome import TransferRecord, TransferStatus
from switchroom.telephony.events import (
    CallChanged,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallTransferChanged,
)

OUT = CallRecord(
    call_id="SCL_1",
    room_name="hello",
    participant_identity="phone",
    from_number="+15550000000",
    to_number="+12025550101",
    trunk_id="ST_1",
    trunk_address="127.0.0.1",
    created_at=1,
    path=(StatusChange(CallStatus.RINGING, 2),),
)
IN = replace(OUT, direction=CallDirection.INBOUND, rule_id="SDR_1")
REFUSED = replace(IN, room_name="", termination=Termination(Cause.NO_RULE))
MOVED = TransferRecord("STR_1", "tel:+1", 3)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (CallStarted(OUT), "dials +12025550101 for room hello"),
        (
            CallStarted(IN),
            "comes in from +15550000000 for +12025550101: rule SDR_1 leads to room hello; it rings",
        ),
        (CallChanged(OUT), "it rings"),
        (CallChanged(replace(OUT, path=(StatusChange(CallStatus.ACTIVE, 3),))), "they talk"),
        (CallChanged(replace(OUT, path=(StatusChange(CallStatus.HANGUP, 3),))), ""),
        (CallHeld(OUT, held=True), "the phone holds the call"),
        (CallTransferChanged(OUT, MOVED), "is transferred to tel:+1"),
        (
            CallTransferChanged(OUT, replace(MOVED, status=TransferStatus.FAILED)),
            "transfer failed: unspecified",
        ),
        (
            CallEnded(replace(OUT, termination=Termination(Cause.BUSY, 486, "Busy Here"))),
            "over (busy). ",
        ),
        (CallEnded(REFUSED), "comes in from +15550000000 for +12025550101: refused. "),
    ],
)
def test_each_step_is_a_line_for_people(event: CallEvent, told: str) -> None:
    assert words(event).startswith(told)
    assert bool(words(event)) is bool(told)


def test_an_ending_is_explained() -> None:
    ended = CallEnded(replace(OUT, termination=Termination(Cause.BUSY, 486, "Busy Here")))
    assert "(SIP 486 Busy Here)" in words(ended)


async def test_lines_wait_for_whoever_reads_them_but_not_without_end() -> None:
    calls = CallLines()
    for _ in range(2000):
        calls.hear(CallStarted(OUT))
    calls.hear(CallHeld(OUT, held=True))
    lines = calls.lines()
    told = [await anext(lines) for _ in range(1000)]
    assert told[-1].endswith("SCL_1 the phone holds the call")
