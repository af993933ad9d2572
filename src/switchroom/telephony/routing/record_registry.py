"""Records that an administrator keeps: in memory for every call, on disk before anyone is told."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from switchroom.base.clock import Clock
from switchroom.base.errors import ServiceError
from switchroom.base.ids import new_id
from switchroom.telephony.errors import InvalidRequestError

Record = TypeVar("Record")


class RecordStore(Protocol[Record]):
    """Records of one kind on disk. A method that returns has its change there."""

    async def load(self) -> Sequence[Record]:
        """Every record."""
        ...

    async def save(self, record: Record) -> None:
        """Insert the record, or replace the one with its id."""
        ...

    async def delete(self, record_id: str) -> None:
        """Forget a record; an unknown one is no fault."""
        ...


class RecordRegistry(ABC, Generic[Record]):
    """What trunks and rules have in common. Methods that change one return when it is on disk."""

    def __init__(self, store: RecordStore[Record], clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._records: dict[str, Record] = {}
        # Two changes of one record must not both start from the same old one, and two new ones
        # must not both find that the other is not there yet.
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Read them all."""
        for record in await self._store.load():
            self._records[self._id_of(record)] = record
            self._index(None, record)

    def get(self, record_id: str) -> Record:
        """Raises ServiceError: not found."""
        record = self._records.get(record_id)
        if record is None:
            raise self._unknown()
        return record

    @abstractmethod
    def _id_of(self, record: Record) -> str: ...

    @abstractmethod
    def _stamped(self, record: Record, record_id: str, created_at: int) -> Record:
        """The record under a new identifier, made at that time (Unix ns)."""

    @abstractmethod
    def _touched(self, record: Record, updated_at: int) -> Record:
        """The record with the time (Unix ns) of its last change."""

    @abstractmethod
    def _unknown(self) -> ServiceError: ...

    def _check_beside(self, record: Record) -> None:
        """Raises InvalidRequestError if the record cannot live with those that are kept."""

    def _index(self, old: Record | None, new: Record | None) -> None:
        """`new` is there in the place of `old`; None for one that came or went."""

    async def _create(self, record: Record, prefix: str) -> Record:
        """Keep a checked record under a new identifier. Raises InvalidRequestError."""
        async with self._changing:
            self._check_beside(record)
            return await self._keep(self._stamped(record, new_id(prefix), self._clock.unix_ns()))

    async def _change(
        self, record_id: str, change: Callable[[Record], Record], missing: str
    ) -> Record:
        """Put what `change` makes of a record in its place. `missing` is said for no identifier."""
        if not record_id:
            raise InvalidRequestError(missing)
        async with self._changing:
            new = change(self.get(record_id))
            self._check_beside(new)
            return await self._keep(self._touched(new, self._clock.unix_ns()))

    async def _forget(self, record_id: str) -> None:
        """An unknown one is no fault."""
        async with self._changing:
            await self._store.delete(record_id)
            gone = self._records.pop(record_id, None)
            if gone is not None:
                self._index(gone, None)

    async def _keep(self, record: Record) -> Record:
        await self._store.save(record)
        record_id = self._id_of(record)
        old = self._records.get(record_id)
        self._records[record_id] = record
        self._index(old, record)
        return record
