"""Looks calls up that are over, without going through more records than a moment allows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from switchroom.storage.calls import record_of_row
from switchroom.storage.connection import Database
from switchroom.storage.schema import calls
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.call_search import (
    GOOD_ENDINGS,
    CallSearch,
    Found,
    Place,
    spellings,
)

LOOKED_THROUGH = 10_000
"""Records that one question goes through: some 20 ms, in which no answer of a call is written."""

_LAST = 2**63 - 1
_NEWEST_FIRST = (calls.c.created_at.desc(), calls.c.call_id.desc())


class SqlCallArchive:
    """`telephony.calls.known_calls.CallArchive` in a database.

    Calls are looked through from the newest on, by the index of when they began: an index for each
    wish would be written three times a call, and asked a few times a day.
    """

    def __init__(self, database: Database, *, looked_through: int = LOOKED_THROUGH) -> None:
        self._database = database
        self._looked_through = looked_through

    async def search(self, search: CallSearch, before: Place | None, count: int) -> Found:
        def read(connection: Connection) -> Found:
            newest = min(_newest_before(before), search.until - 1 if search.until else _LAST)
            oldest = self._oldest(connection, search.since, newest)
            query = _with(calls.c.created_at.between(max(search.since, oldest or 0), newest))
            if before is not None:
                query = query.where(_stands_before(before))
            query = query.where(*_conditions(search)).limit(count)
            found = [record_of_row(row._asdict()) for row in connection.execute(query)]
            if len(found) == count:
                return Found(found, Place(found[-1].created_at, found[-1].call_id))
            return Found(found, None if oldest is None else Place(oldest))

        return await self._database.run(read)

    async def get(self, call_id: str) -> CallRecord | None:
        return next(iter(await self._read(_with(calls.c.call_id == call_id))), None)

    async def with_sip_call_id(self, sip_call_id: str) -> Sequence[CallRecord]:
        return await self._read(_with(calls.c.sip_call_id == sip_call_id).limit(2))

    async def beginning_with(self, prefix: str) -> Sequence[CallRecord]:
        def read(connection: Connection) -> list[CallRecord]:
            oldest = self._oldest(connection, 0, _LAST) or 0
            begins = func.substr(calls.c.call_id, 1, len(prefix)) == prefix
            query = _with(calls.c.created_at >= oldest, begins).limit(2)
            return [record_of_row(row._asdict()) for row in connection.execute(query)]

        return await self._database.run(read)

    async def _read(self, query: Select[tuple[object, ...]]) -> list[CallRecord]:
        def read(connection: Connection) -> list[CallRecord]:
            return [record_of_row(row._asdict()) for row in connection.execute(query)]

        return await self._database.run(read)

    def _oldest(self, connection: Connection, since: int, newest: int) -> int | None:
        """When the last call began that may be looked at; None if that is all there are."""
        within = calls.c.created_at.between(since, newest)
        times = select(calls.c.created_at).where(within).order_by(calls.c.created_at.desc())
        return connection.scalar(times.limit(1).offset(self._looked_through - 1))


def _with(*conditions: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return select(calls).where(*conditions).order_by(*_NEWEST_FIRST)


def _newest_before(place: Place | None) -> int:
    """When a call may have begun, at the latest, that stands before this."""
    if place is None:
        return _LAST
    return place.created_at if place.call_id else place.created_at - 1


def _stands_before(place: Place) -> ColumnElement[bool]:
    created_at, call_id = calls.c.created_at, calls.c.call_id
    return or_(
        created_at < place.created_at,
        and_(created_at == place.created_at, call_id < place.call_id),
    )


def _conditions(search: CallSearch) -> list[ColumnElement[bool]]:
    """What `CallSearch.takes` says, of calls that are over."""
    wanted: list[ColumnElement[bool]] = [calls.c.cause.is_not(None)]
    if search.room:
        wanted.append(calls.c.room_name == search.room)
    if search.number:
        written = spellings(search.number)
        wanted.append(~calls.c.hides_numbers)
        wanted.append(or_(calls.c.from_number.in_(written), calls.c.to_number.in_(written)))
    if search.direction is not None:
        wanted.append(calls.c.direction == search.direction.value)
    if search.trunk:
        trunk = search.trunk
        wanted.append(or_(calls.c.trunk_id == trunk, calls.c.trunk_address == trunk))
    if search.failed is not None:
        ended_well = calls.c.cause.in_(GOOD_ENDINGS)
        wanted.append(~ended_well if search.failed else ended_well)
    if search.cause:
        with_status = calls.c.cause.startswith(f"{search.cause}-", autoescape=True)
        wanted.append(or_(calls.c.cause == search.cause, with_status))
    return wanted
