"""From rooms to receivers: what is told, what is kept, what a restart and a dead receiver do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import cast

import pytest

from switchroom.base.config import Config, WebhookFilter, WebhookSettings
from switchroom.media import Engine
from switchroom.rooms.info import RoomSpec
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.rooms.registry import Rooms
from switchroom.webhooks.keeping import PAUSE
from switchroom.webhooks.posting import Answer
from switchroom.webhooks.receiver import MAX_REFUSALS, Outcome
from switchroom.webhooks.webhooks import Webhooks
from unit.rooms.house import House, MemoryStore, Time, settle
from unit.webhooks.far_end import BROKEN, FINE, MemoryDeliveries, ScriptedPoster

A, B = "https://a.example/hook", "https://b.example/hook"


class Post:
    """A house whose rooms are told of."""

    def __init__(self, **settings: object) -> None:
        self.settings = WebhookSettings(**{"urls": (A,), **settings})  # type: ignore[arg-type]  # a test names what it sets
        self.time = Time()
        self.store = MemoryDeliveries()
        self.rooms_kept = MemoryStore()
        self.poster = ScriptedPoster()
        self.begin()

    def begin(self) -> None:
        self.poster = ScriptedPoster()
        self.webhooks = Webhooks(
            self.settings,
            {"devkey": "secret"},
            self.time,
            self.store,
            timers=self.time,
            poster=self.poster,
        )
        rooms = Rooms(
            cast("Engine", None),
            Config(),
            self.time,
            self.rooms_kept,
            listeners=(self.webhooks.hear,),
            timers=self.time,
        )
        self.house = House(rooms, self.time, self.rooms_kept)

    async def restart(self) -> None:
        """As after a crash: only the stores remember."""
        self.begin()
        await self.webhooks.start()
        await self.house.rooms.start()
        self.webhooks.close_the_past()
        await settle()

    def told(self, url: str = A) -> list[str]:
        """The names of the events that a receiver was sent, in their order."""
        return [json.loads(body)["event"] for to, body in self.poster.posted if to == url]


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    post = Post()
    await post.webhooks.start()
    yield post
    await post.house.rooms.stop()
    await post.webhooks.stop()


async def test_a_visit_is_told_in_order(post: Post) -> None:
    seat, _ = await post.house.phone("tel")
    seat.publish_audio("mic", None, "audio/PCMU")
    seat.leave(Reason.CLIENT_INITIATED)
    await post.house.rooms.delete("r")
    await settle()
    assert post.told() == [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
        "room_finished",
    ]
    await post.time.pass_(PAUSE)
    assert post.store.kept == {}


async def test_nothing_is_posted_inside_the_room(post: Post) -> None:
    post.house.client("ann")
    assert post.poster.posted == []


async def test_every_receiver_is_told_and_a_deaf_one_disturbs_no_other() -> None:
    post = Post(urls=(A, B))
    await post.webhooks.start()
    post.poster.answers[A] = BROKEN
    for name in ("r", "s", "t"):
        await post.house.rooms.create(RoomSpec(name))
    await post.house.rooms.delete("r")
    await post.time.pass_(PAUSE)
    assert post.told(B) == ["room_started"] * 3 + ["room_finished"]
    assert len(post.store.kept) == 4
    assert {delivery.url for delivery in post.store.kept.values()} == {A}


async def test_a_receiver_that_does_not_answer_holds_up_no_room(post: Post) -> None:
    post.poster.held[A] = asyncio.Event()
    await post.house.phone("tel")
    await settle()
    await post.house.phone("tel", "other")
    await settle()
    assert post.told() == ["room_started", "room_started"]
    post.poster.held[A].set()
    await settle()
    assert post.told() == ["room_started", "room_started"] + ["participant_joined"] * 2


async def test_what_failed_is_tried_again_with_the_same_id(post: Post) -> None:
    post.poster.answers[A] = BROKEN
    await post.house.rooms.create(RoomSpec("r"))
    await settle()
    await post.time.pass_(1.0)
    post.poster.answers[A] = FINE
    await post.time.pass_(2.0)
    assert len(post.poster.posted) == 3
    assert len({body for _, body in post.poster.posted}) == 1
    assert post.store.kept == {}


async def test_what_a_crash_left_is_delivered_after_it_and_in_order(post: Post) -> None:
    post.poster.answers[A] = BROKEN
    for name in ("r", "s"):
        await post.house.rooms.create(RoomSpec(name))
        await post.house.rooms.delete(name)
    await settle()
    await post.time.pass_(1.0)
    await post.restart()
    rooms = [
        (json.loads(body)["room"]["name"], name)
        for (_, body), name in zip(post.poster.posted, post.told(), strict=True)
    ]
    for name in ("r", "s"):
        assert [told for room, told in rooms if room == name] == ["room_started", "room_finished"]
    await post.time.pass_(1.0)
    assert post.store.kept == {}


async def test_who_went_down_with_a_crash_is_told_as_gone_and_its_room_after_it(
    post: Post,
) -> None:
    await post.house.phone("tel", "passing")
    gone, _ = await post.house.phone("gone", "passing")
    gone.leave(Reason.CLIENT_INITIATED)
    await settle()
    await post.time.pass_(PAUSE)
    await post.restart()
    assert post.told() == ["participant_left", "room_finished"]
    left, finished = [json.loads(body) for _, body in post.poster.posted]
    assert left["participant"]["identity"] == "tel"
    assert left["participant"]["disconnectReason"] == "SERVER_SHUTDOWN"
    assert left["participant"]["state"] == "DISCONNECTED"
    assert finished["room"]["name"] == "passing"
    assert finished["roomEndReason"] == "ROOM_END_SERVER_SHUTDOWN"
    await post.time.pass_(PAUSE)
    assert post.store.present == {}


async def test_a_kept_room_does_not_end_by_a_crash_but_who_was_in_it_has_left(post: Post) -> None:
    await post.house.rooms.create(RoomSpec("r"))
    await post.house.phone("tel")
    await settle()
    await post.time.pass_(PAUSE)
    await post.restart()
    assert post.told() == ["participant_left"]
    await post.house.rooms.delete("r")
    await settle()
    assert post.told() == ["participant_left", "room_finished"]
    await post.time.pass_(PAUSE)
    assert post.store.present == {}


async def test_a_kept_room_that_a_planned_stop_left_open_is_not_told_as_ended(post: Post) -> None:
    await post.house.rooms.create(RoomSpec("r"))
    await post.house.rooms.stop()
    await post.webhooks.stop()
    await post.restart()
    assert post.told() == []
    assert [announced.participant_sid for announced in post.store.present.values()] == [""]


async def test_an_end_that_nobody_wants_to_hear_is_not_kept_for_it() -> None:
    post = Post(filter_params=WebhookFilter(include_events=("participant_left",)))
    await post.webhooks.start()
    await post.house.phone("tel")
    await settle()
    await post.time.pass_(PAUSE)
    await post.restart()
    assert post.told() == ["participant_left"]
    await post.house.rooms.stop()
    await post.webhooks.stop()


async def test_what_was_kept_for_a_url_that_is_no_more_is_forgotten(post: Post) -> None:
    post.poster.answers[A] = BROKEN
    await post.house.rooms.create(RoomSpec("r"))
    await settle()
    post.settings = WebhookSettings(urls=(B,))
    await post.restart()
    await settle()
    assert post.poster.posted == []
    assert post.store.kept == {}


async def test_a_day_of_silence_costs_the_oldest_and_the_receiver_hears_how_many(
    post: Post,
) -> None:
    post.poster.answers[A] = BROKEN
    for name in ("r", "s"):
        await post.house.rooms.create(RoomSpec(name))
    await post.time.pass_(3600)
    await post.house.rooms.create(RoomSpec("late", empty_timeout=10**6))
    await post.time.pass_(24 * 3600 - 1800)
    before = len(post.poster.posted)
    post.poster.answers[A] = FINE
    await post.time.pass_(120)
    arrived = [json.loads(body) for _, body in post.poster.posted[before:]]
    assert [(event["event"], event.get("numDropped")) for event in arrived] == [
        ("room_started", 4)
    ], "two rooms started and two finished unheard"
    await post.time.pass_(1)
    assert post.store.kept == {}


async def test_more_than_is_kept_for_a_receiver_goes_from_the_store_too_also_at_a_start(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.poster.answers[A] = BROKEN
    for number in range(4):
        await post.house.rooms.create(RoomSpec(str(number)))
    await post.time.pass_(PAUSE)
    monkeypatch.setattr("switchroom.webhooks.receiver.MAX_NOTICES", 3)
    post.begin()
    post.poster.answers[A] = BROKEN
    await post.webhooks.start()
    await post.time.pass_(PAUSE)
    assert len(post.store.kept) == 3
    monkeypatch.setattr("switchroom.webhooks.receiver.MAX_NOTICES", 2)
    await post.house.rooms.create(RoomSpec("late"))
    await post.time.pass_(PAUSE)
    assert len(post.store.kept) == 2


async def test_a_notice_that_is_refused_for_good_is_given_up(post: Post) -> None:
    post.poster.answers[A] = Answer(Outcome.REFUSED, "400")
    await post.house.rooms.create(RoomSpec("r", empty_timeout=10**6))
    await post.time.pass_(300)
    assert len(post.poster.posted) == MAX_REFUSALS
    assert post.store.kept == {}


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (WebhookFilter(include_events=("room_finished",)), ["room_finished"]),
        (
            WebhookFilter(exclude_events=("participant_joined", "room_started")),
            ["participant_left", "room_finished"],
        ),
    ],
)
async def test_only_the_chosen_events_are_told(chosen: WebhookFilter, told: list[str]) -> None:
    post = Post(filter_params=chosen)
    await post.webhooks.start()
    await post.house.phone("tel")
    await post.house.rooms.delete("r")
    await settle()
    assert post.told() == told


async def test_what_happens_at_the_same_time_is_written_in_one_batch(post: Post) -> None:
    post.poster.held[A] = asyncio.Event()
    for name in ("r", "s", "t"):
        await post.house.phone("tel", name)
    await settle()
    assert post.store.batches == [(6, 0)]
    post.poster.held[A].set()


async def test_what_arrives_before_it_is_written_never_is(post: Post) -> None:
    for name in ("r", "s"):
        await post.house.rooms.create(RoomSpec(name))
        await settle()
    await post.time.pass_(PAUSE)
    assert post.told() == ["room_started"] * 2
    assert post.store.batches == []


async def test_a_full_disk_stops_no_delivery_and_is_tried_again(post: Post) -> None:
    post.store.disk_full = True
    post.poster.answers[A] = BROKEN
    await post.house.rooms.create(RoomSpec("r"))
    await settle()
    assert post.told() == ["room_started"]
    post.store.disk_full = False
    await post.time.pass_(5.0)
    assert len(post.store.kept) == 1
    post.poster.answers[A] = FINE
    await post.time.pass_(60.0)
    assert post.store.kept == {}


async def test_a_planned_stop_delivers_what_it_can_and_keeps_the_rest() -> None:
    post = Post(urls=(A, B))
    await post.webhooks.start()
    await post.house.phone("tel")
    post.poster.answers[B] = BROKEN
    await post.house.rooms.stop()
    await post.webhooks.stop()
    assert post.told(A) == [
        "room_started",
        "participant_joined",
        "participant_left",
        "room_finished",
    ]
    assert {delivery.url for delivery in post.store.kept.values()} == {B}
    assert post.poster.closed


async def test_without_receivers_nothing_is_heard_or_kept() -> None:
    post = Post(urls=())
    await post.webhooks.start()
    await post.house.phone("tel")
    await settle()
    assert not post.webhooks.wanted
    assert post.webhooks.pending == 0
    assert post.store.batches == []
    await post.webhooks.stop()


async def test_a_clock_that_goes_back_does_not_turn_the_order_round(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.poster.answers[A] = BROKEN
    await post.house.rooms.create(RoomSpec("r"))
    await settle()
    earlier = post.time.unix_ns() - 50_000_000_000
    monkeypatch.setattr(post.time, "unix_ns", lambda: earlier)
    await post.house.rooms.delete("r")
    await post.time.pass_(PAUSE)
    kept = [delivery.notice.name for delivery in await post.store.load()]
    assert kept == ["room_started", "room_finished"]


async def test_nobody_is_remembered_for_an_end_that_is_not_to_be_told() -> None:
    post = Post(filter_params=WebhookFilter(exclude_events=("participant_left",)))
    await post.webhooks.start()
    seat, _ = await post.house.phone("tel")
    await settle()
    seat.leave(Reason.CLIENT_INITIATED)
    await settle()
    await post.time.pass_(PAUSE)
    assert [one.participant_sid for one in post.store.present.values()] == [""]
    await post.house.rooms.stop()
    await post.webhooks.stop()
