"""What is written of a call, and when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from switchroom.base.clock import SystemClock
from switchroom.base.records import replace
from switchroom.base.tasks import Tasks
from switchroom.sip.dialog import DialogSnapshot
from switchroom.telephony.calls.call_books import CallBooks
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallDirection, CallNotes, CallRecord
from switchroom.telephony.calls.termination import Cause, Termination

_OPENED = CallRecord(
    call_id="SCL_1",
    room_name="room",
    participant_identity="phone",
    from_number="+15550001",
    to_number="+15550002",
    trunk_id="ST_1",
    trunk_address="carrier.example.com",
    created_at=7,
    direction=CallDirection.INBOUND,
    rule_id="SDR_1",
    hides_numbers=True,
    sip_call_id="a@b",
    remote_address="192.0.2.1:5060",
    request_key="key",
    request_digest="digest",
)
_DIALOG = DialogSnapshot(
    call_id="a@b",
    local="<sip:us>;tag=1",
    remote="<sip:them>;tag=2",
    remote_target="sip:them@192.0.2.1",
    route_set=(),
    local_cseq=1,
    remote_cseq=None,
    transport=None,
)


class _Shelf:
    """A store that writes what waits for company when it is told to."""

    def __init__(self) -> None:
        self.waiting: Callable[[], CallRecord] | None = None
        self.wishes = 0

    def save(self, record: CallRecord) -> None:
        self.waiting = lambda: record

    def save_later(self, call_id: str, record_of: Callable[[], CallRecord]) -> None:
        assert call_id == "SCL_1"
        self.wishes += 1
        self.waiting = record_of

    def written(self) -> CallRecord:
        assert self.waiting is not None
        return self.waiting()

    def save_now(self, record: CallRecord) -> asyncio.Future[None]:
        raise NotImplementedError

    def save_durably(self, record: CallRecord) -> Awaitable[None]:
        raise NotImplementedError

    async def unfinished(self) -> Sequence[CallRecord]:
        return ()

    async def keyed_since(self, created_at: int) -> Sequence[CallRecord]:
        return ()


def _books(shelf: _Shelf) -> CallBooks:
    nothing = cast("Any", None)
    ports = CallPorts(nothing, nothing, nothing, shelf, SystemClock(), Tasks("test"))
    return CallBooks(ports, _OPENED)


def test_what_a_call_was_opened_with_stays_in_its_record() -> None:
    assert CallNotes(_OPENED).record() == _OPENED


def test_a_record_has_the_dialog_as_it_stands_when_it_is_written() -> None:
    shelf = _Shelf()
    books = _books(shelf)
    dialog = _DIALOG
    books.answered(lambda: dialog)
    books.save()
    dialog = replace(_DIALOG, local_cseq=2)
    assert shelf.written().dialog == dialog


def test_a_call_that_is_over_keeps_its_dialog_until_the_far_end_knows() -> None:
    shelf = _Shelf()
    books = _books(shelf)
    books.ended(Termination(Cause.BYE), lambda: _DIALOG)
    books.closed(None)
    assert shelf.written().dialog == _DIALOG
    books.forget_dialog()
    assert shelf.written().dialog is None


def test_what_is_yet_to_be_written_need_not_be_wished_for_again() -> None:
    shelf = _Shelf()
    books = _books(shelf)
    books.save()
    books.answered(None)
    books.save()
    assert shelf.wishes == 1
    assert shelf.written().answered_at
    books.save()
    assert shelf.wishes == 2
