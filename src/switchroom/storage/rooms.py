"""Rooms created by API, kept over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, select

from switchroom.rooms.stores import StoredRoom
from switchroom.storage.connection import Database
from switchroom.storage.schema import rooms

#: PostgreSQL's integers have a sign, LiveKit's numbers none; as seconds it is for ever.
_MOST = 2**31 - 1
_NUMBERS = ("empty_timeout", "departure_timeout", "max_participants")


class SqlRoomStore:
    """`rooms.stores.RoomStore` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Sequence[StoredRoom]:
        def read(connection: Connection) -> list[StoredRoom]:
            found = connection.execute(select(rooms).order_by(rooms.c.created_at_ns))
            return [StoredRoom(**row._asdict()) for row in found]

        return await self._database.run(read)

    async def save(self, room: StoredRoom) -> None:
        await self._database.put(rooms, room.name, room, _row)

    async def delete(self, name: str) -> None:
        def forget(connection: Connection) -> None:
            connection.execute(delete(rooms).where(rooms.c.name == name))

        await self._database.run(forget)


def _row(room: StoredRoom) -> dict[str, Any]:
    row = asdict(room)
    return {**row, **{name: min(row[name], _MOST) for name in _NUMBERS}}
