"""Who hears whom: wishes of the listener, permission of the publisher."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from switchroom.rooms.subscriptions import Audience, TrackPermission, Verdict, Wishes, judge


def _verdict(wishes: Wishes, audience: Audience) -> Verdict:
    return judge(wishes, audience, sid="PA_1", identity="ann", track_sid="TR_1")


def test_everything_is_heard_automatically() -> None:
    assert _verdict(Wishes(automatic=True), Audience()) is Verdict.HEARS


def test_nothing_is_heard_unless_asked_for_otherwise() -> None:
    wishes = Wishes(automatic=False)
    assert _verdict(wishes, Audience()) is Verdict.NOT_WANTED
    wishes.ask(["TR_1"], wanted=True)
    assert _verdict(wishes, Audience()) is Verdict.HEARS


def test_what_is_declined_is_not_heard_and_forgetting_restores_the_default() -> None:
    wishes = Wishes(automatic=True)
    wishes.ask(["TR_1"], wanted=False)
    assert _verdict(wishes, Audience()) is Verdict.NOT_WANTED
    wishes.forget("TR_1")
    assert _verdict(wishes, Audience()) is Verdict.HEARS


@pytest.mark.parametrize(
    ("permission", "verdict"),
    [
        (TrackPermission(participant_sid="PA_1", all_tracks=True), Verdict.HEARS),
        (TrackPermission(participant_identity="ann", all_tracks=True), Verdict.HEARS),
        (TrackPermission(participant_sid="PA_1", track_sids=frozenset({"TR_1"})), Verdict.HEARS),
        (
            TrackPermission(participant_sid="PA_1", track_sids=frozenset({"TR_2"})),
            Verdict.NOT_ALLOWED,
        ),
        (TrackPermission(participant_sid="PA_2", all_tracks=True), Verdict.NOT_ALLOWED),
        (
            TrackPermission(participant_sid="PA_1", participant_identity="bob", all_tracks=True),
            Verdict.NOT_ALLOWED,
        ),
    ],
)
def test_a_publisher_lets_in_whom_it_names(permission: TrackPermission, verdict: Verdict) -> None:
    audience = Audience.of([permission])
    assert _verdict(Wishes(automatic=True), audience) is verdict


def test_what_is_listed_of_one_subscriber_in_several_entries_counts_together() -> None:
    entries = [
        TrackPermission(participant_identity="ann", track_sids=frozenset({"TR_2"})),
        TrackPermission(participant_sid="PA_1", track_sids=frozenset({"TR_1", ""})),
        TrackPermission(participant_identity="ann", track_sids=frozenset({"TR_3", ""})),
    ]
    audience = Audience.of(entries)
    heard = [n for n in range(5) if audience.admits("PA_1", "ann", f"TR_{n}")]
    assert heard == [1, 2, 3]


def test_a_long_list_is_looked_through_once_and_not_for_every_listener_and_track() -> None:
    class Entries(list[TrackPermission]):
        looks = 0

        def __iter__(self) -> Iterator[TrackPermission]:
            self.looks += 1
            return super().__iter__()

    entries = Entries([TrackPermission(participant_identity=f"i{n}") for n in range(100)])
    audience = Audience.of(entries)
    for n in range(200):
        assert not audience.admits("PA_1", f"i{n}", "TR_1")
    assert entries.looks == 1


def test_who_does_not_want_a_track_is_not_told_that_it_may_not() -> None:
    closed = Audience.of([])
    assert _verdict(Wishes(automatic=False), closed) is Verdict.NOT_WANTED
