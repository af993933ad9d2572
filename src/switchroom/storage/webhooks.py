"""Webhooks that are not delivered yet, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from switchroom.storage.connection import Database, upsert
from switchroom.storage.schema import webhook_deliveries as rows
from switchroom.webhooks.notice import Notice
from switchroom.webhooks.stores import Delivery

_FORGET = delete(rows).where(
    rows.c.sequence == bindparam("of_sequence"), rows.c.url == bindparam("of_url")
)


class SqlDeliveryStore:
    """`webhooks.stores.DeliveryStore` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Sequence[Delivery]:
        def read(connection: Connection) -> list[Delivery]:
            found = connection.execute(select(rows).order_by(rows.c.sequence))
            return [
                Delivery(
                    row.url, Notice(row.sequence, row.event_id, row.name, row.room_sid, row.body)
                )
                for row in found
            ]

        return await self._database.run(read)

    async def write(self, added: Sequence[Delivery], removed: Sequence[Delivery]) -> None:
        def change(connection: Connection) -> None:
            if added:
                # Not a plain insert: a batch may come again whose end could not be told.
                statement = upsert(rows, connection.dialect.name)
                connection.execute(statement, [_row(delivery) for delivery in added])
            if removed:
                connection.execute(_FORGET, [_key(delivery) for delivery in removed])

        await self._database.run(change)


def _row(delivery: Delivery) -> dict[str, Any]:
    notice = delivery.notice
    return {
        "sequence": notice.sequence,
        "url": delivery.url,
        "event_id": notice.id,
        "name": notice.name,
        "room_sid": notice.room_sid,
        "body": notice.body,
    }


def _key(delivery: Delivery) -> dict[str, Any]:
    return {"of_sequence": delivery.notice.sequence, "of_url": delivery.url}
