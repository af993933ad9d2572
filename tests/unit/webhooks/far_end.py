"""The far end of webhooks: a receiver with a script, and a store that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.webhooks.posting import Answer
from switchroom.webhooks.receiver import Outcome
from switchroom.webhooks.stores import Delivery

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
    """A DeliveryStore in a dictionary, and each batch that was written."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], Delivery] = {}
        self.batches: list[tuple[int, int]] = []
        self.disk_full = False

    async def load(self) -> Sequence[Delivery]:
        return [self.kept[key] for key in sorted(self.kept)]

    async def write(self, added: Sequence[Delivery], removed: Sequence[Delivery]) -> None:
        if self.disk_full:
            raise ServiceError(ErrorCode.INTERNAL, "disk full")
        self.batches.append((len(added), len(removed)))
        for delivery in added:
            self.kept[delivery.notice.sequence, delivery.url] = delivery
        for delivery in removed:
            self.kept.pop((delivery.notice.sequence, delivery.url), None)
