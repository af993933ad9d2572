"""Hears what happens in the rooms and sees to it that the receivers are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from switchroom.base.clock import Clock
from switchroom.base.config import WebhookSettings
from switchroom.base.ids import new_id
from switchroom.base.log import get_logger
from switchroom.base.tasks import Tasks
from switchroom.base.timers import LoopTimers, Timer, Timers
from switchroom.webhooks.keeping import DeliveryKeeper
from switchroom.webhooks.notice import Notice
from switchroom.webhooks.posting import Answer, HttpPoster, Poster
from switchroom.webhooks.receiver import Outcome, Receiver
from switchroom.webhooks.stores import Announcement, Delivery, DeliveryStore
from switchroom.webhooks.wire import (
    Event,
    announcement_of,
    end_name_of,
    end_of,
    ended_by,
    name_of,
    notice_of,
)

_log = get_logger("webhooks")

STOP_LIMIT = 3.0
"""Seconds that a planned stop waits for deliveries; what is left is delivered after the start."""

_NS = 1_000_000_000
_TOO_MANY = "too many are waiting"


class Webhooks:
    """The driver of one Receiver per URL. `hear` listens to rooms and agents."""

    def __init__(
        self,
        settings: WebhookSettings,
        keys: Mapping[str, str],
        clock: Clock,
        store: DeliveryStore,
        *,
        timers: Timers | None = None,
        poster: Poster | None = None,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._store = store
        self._timers = timers or LoopTimers()
        self._poster = poster
        self._tasks = Tasks("webhooks")
        self._keeper = DeliveryKeeper(store, self._tasks, self._timers)
        self._receivers = {url: Receiver() for url in settings.urls}
        self._posts: set[asyncio.Task[None]] = set()
        self._heard: list[tuple[int, Event]] = []
        self._past: dict[tuple[str, str], Announcement] = {}
        self._last_sequence = 0
        self._timer: Timer | None = None
        self._told_of_loss: set[str] = set()
        self._told_of_trouble: set[str] = set()

    @property
    def wanted(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._receivers)

    @property
    def pending(self) -> int:
        """How many notices have not arrived yet, a notice to two URLs counting twice."""
        return len(self._heard) * len(self._receivers) + sum(map(len, self._receivers.values()))

    async def start(self) -> None:
        """Go on with what was not delivered before a restart."""
        kept, announced = await self._store.load(), await self._store.announced()
        if not self.wanted and not kept and not announced:
            return
        if self.wanted and self._poster is None:
            api_key = self._settings.api_key or next(iter(self._keys))
            self._poster = HttpPoster(api_key, self._keys[api_key], self._clock)
        now = self._clock.monotonic()
        for delivery in kept:
            self._last_sequence = max(self._last_sequence, delivery.notice.sequence)
            receiver = self._receivers.get(delivery.url)
            if receiver is None:
                self._keeper.remove(delivery)
            else:
                self._forget(delivery.url, receiver.add(delivery.notice, now), _TOO_MANY)
        if kept:
            _log.info("undelivered webhooks from before", notices=len(kept))
        self._past = {(one.room_sid, one.participant_sid): one for one in announced}
        self._turn()

    def close_the_past(self) -> None:
        """Tell the end of everybody and every room that went down with a crash.

        To be called when the rooms that are kept are there again: they have not ended.
        """
        self._turn()
        now = self._clock.monotonic()
        # Whoever was in a room has left before the room is at its end.
        for announced in sorted(self._past.values(), key=lambda one: one.participant_sid == ""):
            if self.wanted:
                notice = end_of(announced, self._next_sequence(), new_id("EV_"))
                self._queue(notice, now)
            self._keeper.remove(announced)
        self._past.clear()
        self._send_due(now)

    def hear(self, event: Event) -> None:
        """Take note of an event; the work is done after the room is done with it."""
        if not self.wanted:
            return
        if not (self._passes(name_of(event)) or self._passes(end_name_of(event))):
            return
        self._heard.append((self._next_sequence(), event))
        if len(self._heard) == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    async def stop(self) -> None:
        """Deliver what can be in STOP_LIMIT seconds, keep the rest."""
        self._turn()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT):
                # A notice that arrives brings the next of its room on its way.
                while self._posts:
                    await asyncio.wait(self._posts, return_when=asyncio.FIRST_COMPLETED)
        if self.pending:
            _log.info("webhooks left for the next start", notices=self.pending)
        if self._timer is not None:
            self._timer.cancel()
        await self._keeper.flush()
        await self._tasks.aclose()
        if self._poster is not None:
            await self._poster.aclose()

    # ── the inside ───────────────────────────────────────────────────────────

    def _passes(self, name: str) -> bool:
        chosen = self._settings.filter_params
        if not name or name in chosen.exclude_events:
            return False
        return not chosen.include_events or name in chosen.include_events

    def _turn(self) -> None:
        """Note what was heard, send what is due, and set the deadline for the rest."""
        heard, self._heard = self._heard, []
        now = self._clock.monotonic()
        for sequence, event in heard:
            notice = notice_of(event, sequence, new_id("EV_"))
            self._follow(event, notice)
            self._queue(notice, now)
        self._send_due(now)

    def _follow(self, event: Event, notice: Notice) -> None:
        """Remember whose end must be told, should this process not live to see it."""
        announced, ended = announcement_of(event, notice), ended_by(event)
        if announced is not None and self._passes(end_name_of(event)):
            self._keeper.add(announced)
            self._past.pop((announced.room_sid, announced.participant_sid), None)
        if ended is not None:
            self._keeper.remove(ended)

    def _queue(self, notice: Notice, now: float) -> None:
        if not self._passes(notice.name):
            return
        for url, receiver in self._receivers.items():
            self._keeper.add(Delivery(url, notice))
            self._forget(url, receiver.add(notice, now), _TOO_MANY)

    def _next_sequence(self) -> int:
        self._last_sequence = max(self._clock.unix_ns(), self._last_sequence + 1)
        return self._last_sequence

    def _send_due(self, now: float) -> None:
        oldest = self._clock.unix_ns() - int(self._settings.keep * _NS)
        for url, receiver in self._receivers.items():
            self._forget(url, receiver.expire(oldest), "too old")
            for notice in receiver.due(now):
                body = notice.body_after(receiver.dropped)
                post = self._tasks.spawn(
                    self._send(url, receiver, notice, body), name=f"post {notice.id}"
                )
                self._posts.add(post)
                post.add_done_callback(self._posts.discard)
        self._set_timer(now)

    async def _send(self, url: str, receiver: Receiver, notice: Notice, body: bytes) -> None:
        assert self._poster is not None  # noqa: S101 - made by start(), before anything is due
        answer = await self._poster.post(url, body)
        now = self._clock.monotonic()
        dropped = receiver.dropped
        done = receiver.settle(notice, answer.outcome, now, retry_after=answer.retry_after)
        if done:
            self._keeper.remove(Delivery(url, notice))
        self._report(url, notice, answer, dropped - receiver.dropped, done=done)
        self._send_due(now)

    def _forget(self, url: str, notices: tuple[Notice, ...], why: str) -> None:
        for notice in notices:
            self._keeper.remove(Delivery(url, notice))
        if notices and url not in self._told_of_loss:
            self._told_of_loss.add(url)
            _log.warning("webhooks are dropped", receiver=_host(url), why=why)

    def _report(self, url: str, notice: Notice, answer: Answer, lost: int, *, done: bool) -> None:
        """One line when trouble begins and one when it is over, however long it lasts."""
        if answer.outcome is Outcome.DELIVERED:
            if url in self._told_of_trouble or lost:
                _log.info("webhooks arrive again", receiver=_host(url), lost=lost)
            self._told_of_trouble.discard(url)
            self._told_of_loss.discard(url)
        elif done:
            _log.warning(
                "webhook is given up", receiver=_host(url), why=answer.why, name=notice.name
            )
        elif url not in self._told_of_trouble:
            self._told_of_trouble.add(url)
            _log.warning(
                "webhook did not arrive", receiver=_host(url), why=answer.why, name=notice.name
            )

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [at for receiver in self._receivers.values() if (at := receiver.next_at())]
        if times:
            self._timer = self._timers.after(max(0.0, min(times) - now), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._send_due(self._clock.monotonic())


def _host(url: str) -> str:
    """What may be logged of a URL: its path may hold a secret."""
    return urlsplit(url).hostname or ""
