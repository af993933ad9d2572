"""What webhooks have not told yet, as rows: notices to deliver, and ends to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, select
from sqlalchemy.sql.dml import Delete

from switchroom.storage.connection import Database
from switchroom.storage.schema import webhook_announcements, webhook_deliveries
from switchroom.storage.upsert import upsert
from switchroom.webhooks.notice import Notice
from switchroom.webhooks.stores import Announcement, Delivery, Kept

_Rows = list[dict[str, Any]]


class SqlDeliveryStore:
    """`webhooks.stores.DeliveryStore` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Sequence[Delivery]:
        def read(connection: Connection) -> list[Delivery]:
            query = select(webhook_deliveries).order_by(webhook_deliveries.c.sequence)
            return [
                Delivery(
                    row.url, Notice(row.sequence, row.event_id, row.name, row.room_sid, row.body)
                )
                for row in connection.execute(query)
            ]

        return await self._database.run(read)

    async def announced(self) -> Sequence[Announcement]:
        def read(connection: Connection) -> list[Announcement]:
            found = connection.execute(select(webhook_announcements))
            return [Announcement(**row._asdict()) for row in found]

        return await self._database.run(read)

    async def write(self, added: Sequence[Kept], removed: Sequence[Kept]) -> None:
        def change(connection: Connection) -> None:
            for table, rows in _by_table(added):
                # Not a plain insert: a batch may come again whose end could not be told.
                connection.execute(upsert(table, connection.dialect.name), rows)
            for table, rows in _by_table(removed):
                connection.execute(_forget(table), [_key(table, row) for row in rows])

        await self._database.run(change)


def _by_table(kept: Iterable[Kept]) -> list[tuple[Table, _Rows]]:
    """The rows of each table, where there are any."""
    deliveries = [_delivery(one) for one in kept if isinstance(one, Delivery)]
    announcements = [_announcement(one) for one in kept if isinstance(one, Announcement)]
    both = [(webhook_deliveries, deliveries), (webhook_announcements, announcements)]
    return [(table, rows) for table, rows in both if rows]


def _delivery(delivery: Delivery) -> dict[str, Any]:
    notice = delivery.notice
    return {
        "sequence": notice.sequence,
        "url": delivery.url,
        "event_id": notice.id,
        "name": notice.name,
        "room_sid": notice.room_sid,
        "body": notice.body,
    }


def _announcement(announcement: Announcement) -> dict[str, Any]:
    return {
        "room_sid": announcement.room_sid,
        "participant_sid": announcement.participant_sid,
        "body": announcement.body,
    }


def _forget(table: Table) -> Delete:
    keys = table.primary_key.columns
    return delete(table).where(and_(*(key == bindparam(f"of_{key.name}") for key in keys)))


def _key(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {f"of_{key.name}": row[key.name] for key in table.primary_key.columns}
