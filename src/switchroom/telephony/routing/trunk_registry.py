"""The trunks of this server, those that calls go out through and those that they come in by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from switchroom.base.clock import Clock
from switchroom.base.records import replace
from switchroom.telephony.errors import InvalidRequestError, TrunkNotFoundError
from switchroom.telephony.routing import inbound_trunks, trunks
from switchroom.telephony.routing.inbound_trunks import InboundTrunk, InboundTrunkUpdate
from switchroom.telephony.routing.incoming_call import IncomingCall
from switchroom.telephony.routing.number_index import NumberIndex
from switchroom.telephony.routing.numbers import normalise
from switchroom.telephony.routing.record_registry import RecordRegistry, RecordStore
from switchroom.telephony.routing.trunks import OutboundTrunk, OutboundTrunkUpdate

_PREFIX = "ST_"
_NO_ID = "trunk id must be set"


Trunk = TypeVar("Trunk", OutboundTrunk, InboundTrunk)


class TrunkRegistry(RecordRegistry[Trunk]):
    """What trunks of both directions have in common."""

    async def delete(self, trunk_id: str) -> None:
        """Forget it; an unknown one is no fault, as in LiveKit. Calls that use it go on."""
        if not trunk_id:
            raise InvalidRequestError("trunk ID is required")
        await self._forget(trunk_id)

    def _id_of(self, record: Trunk) -> str:
        return record.trunk_id

    def _stamped(self, record: Trunk, record_id: str, created_at: int) -> Trunk:
        return replace(record, trunk_id=record_id, created_at=created_at, updated_at=created_at)

    def _touched(self, record: Trunk, updated_at: int) -> Trunk:
        return replace(record, updated_at=updated_at)

    def _unknown(self) -> TrunkNotFoundError:
        return TrunkNotFoundError()


class Trunks(TrunkRegistry[OutboundTrunk]):
    """What the API does with outbound trunks."""

    def with_number(self, number: str) -> OutboundTrunk | None:
        """The first trunk, by id, that has this normalised number."""
        for trunk in trunks.listed(self._records.values()):
            if any(normalise(own) == number for own in trunk.numbers):
                return trunk
        return None

    def list(
        self,
        *,
        ids: Iterable[str] = (),
        numbers: Iterable[str] = (),
        after_id: str = "",
        limit: int = 0,
    ) -> list[OutboundTrunk]:
        """Those that match; see `trunks.listed`."""
        return trunks.listed(
            self._records.values(),
            ids=frozenset(ids),
            numbers=frozenset(numbers),
            after_id=after_id,
            limit=limit,
        )

    async def create(self, trunk: OutboundTrunk) -> OutboundTrunk:
        """Raises InvalidRequestError."""
        _check_unnamed(trunk.trunk_id)
        return await self._create(trunks.checked(trunk), _PREFIX)

    async def replace(self, trunk_id: str, trunk: OutboundTrunk) -> OutboundTrunk:
        """Put another in its place. Raises InvalidRequestError, TrunkNotFoundError."""
        return await self._change(trunk_id, lambda old: trunks.replacement(old, trunk), _NO_ID)

    async def update(self, trunk_id: str, update: OutboundTrunkUpdate) -> OutboundTrunk:
        """Change some fields. Raises InvalidRequestError, TrunkNotFoundError."""
        return await self._change(trunk_id, update.applied_to, _NO_ID)


class InboundTrunks(TrunkRegistry[InboundTrunk]):
    """What the API does with inbound trunks, and those that a call may belong to."""

    def __init__(self, store: RecordStore[InboundTrunk], clock: Clock) -> None:
        super().__init__(store, clock)
        self._by_number: NumberIndex[InboundTrunk] = NumberIndex()

    def candidates(self, call: IncomingCall) -> Sequence[InboundTrunk]:
        """Every trunk that `match_trunk` could choose for the call; cheap with many trunks."""
        return tuple(self._by_number.find((call.called, call.request_user)).values())

    def list(
        self,
        *,
        ids: Iterable[str] = (),
        numbers: Iterable[str] = (),
        after_id: str = "",
        limit: int = 0,
    ) -> list[InboundTrunk]:
        """Those that match; see `inbound_trunks.listed`."""
        return inbound_trunks.listed(
            self._records.values(),
            ids=frozenset(ids),
            numbers=frozenset(numbers),
            after_id=after_id,
            limit=limit,
        )

    async def create(self, trunk: InboundTrunk) -> InboundTrunk:
        """Raises InvalidRequestError."""
        _check_unnamed(trunk.trunk_id)
        return await self._create(inbound_trunks.checked(trunk), _PREFIX)

    async def replace(self, trunk_id: str, trunk: InboundTrunk) -> InboundTrunk:
        """Put another in its place. Raises InvalidRequestError, TrunkNotFoundError."""
        return await self._change(
            trunk_id, lambda old: inbound_trunks.replacement(old, trunk), _NO_ID
        )

    async def update(self, trunk_id: str, update: InboundTrunkUpdate) -> InboundTrunk:
        """Change some fields. Raises InvalidRequestError, TrunkNotFoundError."""
        return await self._change(trunk_id, update.applied_to, _NO_ID)

    def _index(self, old: InboundTrunk | None, new: InboundTrunk | None) -> None:
        if old is not None:
            self._by_number.drop(old.trunk_id, old.numbers)
        if new is not None:
            self._by_number.put(new.trunk_id, new.numbers, new)

    def _check_beside(self, record: InboundTrunk) -> None:
        rivals = self._by_number.find(record.numbers)
        inbound_trunks.check_conflicts(record, rivals.values())


def _check_unnamed(trunk_id: str) -> None:
    if trunk_id:
        raise InvalidRequestError("trunk id must not be set")
