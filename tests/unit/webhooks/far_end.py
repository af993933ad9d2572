"""The far end of webhooks: a receiver with a script, and a store that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.webhooks.posting import Answer
from switchroom.webhooks.receiver import Outcome
from switchroom.webhooks.stores import Announcement, Delivery, Kept

FINE = Answer(Outcome.DELIVERED, "200")
BROKEN = Answer(Outcome.FAILED, "503")


class ScriptedPoster:
    """Answers FINE, or what `answers` says for a URL; holds what is posted to a URL in `held`."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.answers: dict[str, Answer] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.closed = False

    async def post(self, url: str, body: bytes) -> Answer:
        self.posted.append((url, body))
        if url in self.held:
            await self.held[url].wait()
        return self.answers.get(url, FINE)

    async def aclose(self) -> None:
        self.closed = True


class MemoryDeliveries:
    """A DeliveryStore in dictionaries, and what each batch that was written held."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], Delivery] = {}
        self.present: dict[tuple[str, str], Announcement] = {}
        self.batches: list[tuple[int, int]] = []
        """How many notices were added and removed."""
        self.disk_full = False

    async def load(self) -> Sequence[Delivery]:
        return [self.kept[key] for key in sorted(self.kept)]

    async def announced(self) -> Sequence[Announcement]:
        return tuple(self.present.values())

    async def write(self, added: Sequence[Kept], removed: Sequence[Kept]) -> None:
        if self.disk_full:
            raise ServiceError(ErrorCode.INTERNAL, "disk full")
        counts = [sum(isinstance(one, Delivery) for one in some) for some in (added, removed)]
        if any(counts):
            self.batches.append((counts[0], counts[1]))
        for one in added:
            if isinstance(one, Delivery):
                self.kept[one.notice.sequence, one.url] = one
            else:
                self.present[one.room_sid, one.participant_sid] = one
        for one in removed:
            if isinstance(one, Delivery):
                self.kept.pop((one.notice.sequence, one.url), None)
            else:
                self.present.pop((one.room_sid, one.participant_sid), None)
