"""The outbound trunks of this server: in memory for every call, on disk before anyone is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from switchroom.base.clock import Clock
from switchroom.base.ids import new_id
from switchroom.telephony.errors import InvalidRequestError, TrunkNotFoundError
from switchroom.telephony.routing.numbers import normalise
from switchroom.telephony.routing.trunks import (
    OutboundTrunk,
    OutboundTrunkUpdate,
    checked,
    listed,
    replacement,
)
from switchroom.telephony.stores import TrunkStore


class Trunks:
    """What the API does with trunks. Methods that change one return when it is on disk."""

    def __init__(self, store: TrunkStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._trunks: dict[str, OutboundTrunk] = {}
        # Two changes of one trunk must not both start from the same old one.
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Read them all."""
        self._trunks = {trunk.trunk_id: trunk for trunk in await self._store.load()}

    def get(self, trunk_id: str) -> OutboundTrunk:
        """Raises TrunkNotFoundError."""
        trunk = self._trunks.get(trunk_id)
        if trunk is None:
            raise TrunkNotFoundError
        return trunk

    def with_number(self, number: str) -> OutboundTrunk | None:
        """The first trunk, by id, that has this normalised number."""
        for trunk in listed(self._trunks.values()):
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
        return listed(
            self._trunks.values(),
            ids=frozenset(ids),
            numbers=frozenset(numbers),
            after_id=after_id,
            limit=limit,
        )

    async def create(self, trunk: OutboundTrunk) -> OutboundTrunk:
        """Raises InvalidRequestError."""
        if trunk.trunk_id:
            raise InvalidRequestError("trunk id must not be set")
        now = self._clock.unix_ns()
        named = replace(checked(trunk), trunk_id=new_id("ST_"), created_at=now, updated_at=now)
        async with self._changing:
            return await self._keep(named)

    async def replace(self, trunk_id: str, trunk: OutboundTrunk) -> OutboundTrunk:
        """Put another in its place. Raises InvalidRequestError, TrunkNotFoundError."""
        async with self._changing:
            new = replacement(self._existing(trunk_id), trunk)
            return await self._keep(replace(new, updated_at=self._clock.unix_ns()))

    async def update(self, trunk_id: str, update: OutboundTrunkUpdate) -> OutboundTrunk:
        """Change some fields. Raises InvalidRequestError, TrunkNotFoundError."""
        async with self._changing:
            new = update.applied_to(self._existing(trunk_id))
            return await self._keep(replace(new, updated_at=self._clock.unix_ns()))

    async def delete(self, trunk_id: str) -> None:
        """Forget it; an unknown one is no fault, as in LiveKit. Calls that use it go on."""
        if not trunk_id:
            raise InvalidRequestError("trunk ID is required")
        async with self._changing:
            await self._store.delete(trunk_id)
            self._trunks.pop(trunk_id, None)

    def _existing(self, trunk_id: str) -> OutboundTrunk:
        if not trunk_id:
            raise InvalidRequestError("trunk id must be set")
        return self.get(trunk_id)

    async def _keep(self, trunk: OutboundTrunk) -> OutboundTrunk:
        await self._store.save(trunk)
        self._trunks[trunk.trunk_id] = trunk
        return trunk
