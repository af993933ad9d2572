"""Who hears whom: wishes of the listener, permission of the publisher."""

from __future__ import annotations

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
    audience = Audience(all_participants=False, permissions=(permission,))
    assert _verdict(Wishes(automatic=True), audience) is verdict


def test_who_does_not_want_a_track_is_not_told_that_it_may_not() -> None:
    closed = Audience(all_participants=False)
    assert _verdict(Wishes(automatic=False), closed) is Verdict.NOT_WANTED
