"""Webhooks that are not delivered yet come back in their order, also in another process."""

from __future__ import annotations

from switchroom.storage.connection import Database
from switchroom.storage.webhooks import SqlDeliveryStore
from switchroom.webhooks.notice import Notice
from switchroom.webhooks.stores import Announcement, Delivery


def delivery(sequence: int, url: str = "https://a") -> Delivery:
    notice = Notice(sequence, f"EV_{sequence}", "room_started", "RM_1", '{"event": "\\u0000ü"}')
    return Delivery(url, notice)


async def test_what_is_kept_outlives_the_process_and_what_is_removed_does_not(url: str) -> None:
    first = Database(url)
    await first.open()
    store = SqlDeliveryStore(first)
    await store.write((), ())
    await store.write([delivery(9), delivery(7), delivery(7, "https://b"), delivery(8)], ())
    await store.write([delivery(9)], [delivery(8)])
    await first.close()
    second = Database(url)
    await second.open()
    kept = await SqlDeliveryStore(second).load()
    assert sorted(kept, key=lambda one: (one.notice.sequence, one.url)) == [
        delivery(7),
        delivery(7, "https://b"),
        delivery(9),
    ]
    assert [one.notice.sequence for one in kept] == [7, 7, 9]
    await second.close()


async def test_whose_end_is_to_be_told_is_kept_beside_it(database: Database) -> None:
    store = SqlDeliveryStore(database)
    room, person = Announcement("RM_1", "", "{}"), Announcement("RM_1", "PA_1", "{}")
    await store.write([room, delivery(1), person], ())
    await store.write([delivery(2)], [delivery(1), Announcement("RM_1", "PA_1", "")])
    assert list(await store.announced()) == [room]
    assert list(await store.load()) == [delivery(2)]
