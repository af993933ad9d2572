"""All calls that this server knows of: those that are up, and those whose records are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.call_search import CallSearch, Found, Place, page_of, place_of
from switchroom.telephony.calls.running_calls import RunningCalls

_PREFIX = "SCL_"


class CallArchive(Protocol):
    """The records of calls that are over, as the call store keeps them. Raises StorageError."""

    async def search(self, search: CallSearch, before: Place | None, count: int) -> Found:
        """Up to `count` ended calls that stand before a place; looks through a bounded number.

        So there may be a rest although fewer were found.
        """
        ...

    async def get(self, call_id: str) -> CallRecord | None:
        """One record, None if there is none."""
        ...

    async def with_sip_call_id(self, sip_call_id: str) -> Sequence[CallRecord]:
        """The last two calls whose SIP dialog had this Call-ID."""
        ...

    async def beginning_with(self, prefix: str) -> Sequence[CallRecord]:
        """Up to two calls whose id begins like this, of a bounded number of the last ones."""
        ...


class KnownCalls:
    """Belongs to the event loop."""

    def __init__(self, running: RunningCalls, archive: CallArchive) -> None:
        self._running = running
        self._archive = archive

    async def page(self, search: CallSearch, before: Place | None, limit: int) -> Found:
        """Up to `limit` calls that stand before a place (None: from the newest on)."""
        running = {runner.call_id: runner.record for runner in self._running.all}
        kept = Found(())
        if search.running is not True:
            # What is being hung up is told from here, and may be kept already.
            ending = sum(call.termination is not None for call in running.values())
            kept = await self._archive.search(search, before, limit + 1 + ending)
            kept = Found([c for c in kept.calls if c.call_id not in running], kept.rest)
        wanted = [
            call
            for call in running.values()
            if search.takes(call) and (before is None or place_of(call).is_before(before))
        ]
        return page_of(wanted, kept, limit)

    async def find(self, name: str) -> CallRecord:
        """The call of this id, this SIP Call-ID, or whose id alone begins like this.

        Raises ServiceError: not_found, or invalid_argument where it may be several.
        """
        runner = self._running.find(name)
        known = runner.record if runner is not None else await self._archive.get(name)
        if known is not None:
            return known
        running = [runner.record for runner in self._running.all]
        found = {call.call_id: call for call in await self._archive.with_sip_call_id(name)}
        found.update({call.call_id: call for call in running if call.sip_call_id == name})
        if not found and name.startswith(_PREFIX):
            found = {call.call_id: call for call in await self._archive.beginning_with(name)}
            found.update({c.call_id: c for c in running if c.call_id.startswith(name)})
        return _only(name, found)


def _only(name: str, found: dict[str, CallRecord]) -> CallRecord:
    shown = name[:80]
    if not found:
        raise ServiceError(ErrorCode.NOT_FOUND, f"no call is known as {shown}")
    if len(found) > 1:
        several = " and ".join(sorted(found)[:2])
        message = f"{shown} may be {several}: give the whole call id"
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, message)
    return next(iter(found.values()))
