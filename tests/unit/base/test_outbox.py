"""Messages to one socket: in order, bounded, with a named end."""

from __future__ import annotations

import asyncio

from switchroom.base.outbox import MAX_BYTES, MAX_MESSAGES, TOO_SLOW, Outbox
from unit.rooms.house import settle


async def test_messages_come_in_order_and_the_last_ones_after_the_end() -> None:
    outbox = Outbox()
    outbox.put(b"1")
    outbox.put(b"2")
    outbox.close("done")
    outbox.put(b"3")
    assert [await outbox.get() for _ in range(3)] == [b"1", b"2", None]
    assert await outbox.closed() == "done"


async def test_who_waits_is_woken_by_a_message_and_by_the_end() -> None:
    outbox = Outbox()
    waiting = asyncio.ensure_future(outbox.get())
    await settle()
    outbox.put(b"1")
    assert await waiting == b"1"
    waiting = asyncio.ensure_future(outbox.get())
    await settle()
    outbox.close("done")
    assert await waiting is None


async def test_a_client_that_does_not_read_is_cut_off_by_count() -> None:
    outbox = Outbox()
    for _ in range(MAX_MESSAGES + 1):
        outbox.put(b"x")
    assert outbox.closed_for == TOO_SLOW
    assert await outbox.get() is None


async def test_a_client_that_does_not_read_is_cut_off_by_size() -> None:
    outbox = Outbox()
    outbox.put(b"x" * (MAX_BYTES + 1))
    assert outbox.closed_for == TOO_SLOW


async def test_the_first_reason_counts() -> None:
    outbox = Outbox()
    outbox.close("first")
    outbox.close("second")
    assert outbox.closed_for == "first"


async def test_what_was_read_makes_room() -> None:
    outbox = Outbox()
    for _ in range(10 * MAX_MESSAGES):
        outbox.put(b"x" * 5000)
        assert await outbox.get() is not None
    assert outbox.closed_for is None
