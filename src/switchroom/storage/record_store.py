"""Records of one kind as rows of one table, all of them read at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table, delete, select

from switchroom.storage.connection import Database

Record = TypeVar("Record")


class SqlRecordStore(Generic[Record]):
    """`telephony.stores.RecordStore` in a database. The table's key is one column."""

    def __init__(
        self,
        database: Database,
        table: Table,
        to_row: Callable[[Record], dict[str, Any]],
        from_row: Callable[[Mapping[str, Any]], Record],
    ) -> None:
        self._database = database
        self._table = table
        (self._key,) = table.primary_key.columns
        self._to_row = to_row
        self._from_row = from_row

    async def load(self) -> Sequence[Record]:
        def read(connection: Connection) -> list[Record]:
            return [
                self._from_row(row._asdict()) for row in connection.execute(select(self._table))
            ]

        return await self._database.run(read)

    async def save(self, record: Record) -> None:
        record_id = self._to_row(record)[self._key.name]
        await self._database.put(self._table, record_id, record, self._to_row)

    async def delete(self, record_id: str) -> None:
        def forget(connection: Connection) -> None:
            connection.execute(delete(self._table).where(self._key == record_id))

        await self._database.run(forget)
