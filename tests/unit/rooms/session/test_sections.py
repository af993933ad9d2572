"""Which section carries which track, whoever writes the offers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from switchroom.media import Source
from switchroom.rooms.session.sections import Sections
from unit.rooms.fake_engine import FakePeer


@pytest.fixture
def peer() -> FakePeer:
    return FakePeer(0, cast("Any", None), lambda _: None)


@pytest.fixture
def sections(peer: FakePeer) -> Sections:
    """Two sections that the client lets us send in."""
    made = Sections()
    made.open(cast("Any", peer))
    made.section("0")
    made.section("1")
    return made


def track(number: int) -> Any:
    publisher = SimpleNamespace(sid=f"PA_{number}")
    return SimpleNamespace(sid=f"TR_{number}", publisher=publisher, source=Source(number))


def settle(sections: Sections) -> list[Any]:
    """One negotiation from end to end; the tracks that began to sound."""
    sections.assign()
    sections.tell()
    return [begun for begun in map(sections.sound, sections) if begun is not None]


def carried(sections: Sections) -> list[str | None]:
    return [section.track.sid if section.track else None for section in sections]


def test_tracks_take_free_sections_in_order_and_the_rest_is_missing(sections: Sections) -> None:
    tracks = [track(number) for number in (1, 2, 3)]
    sections.want(tracks)
    assert settle(sections) == tracks[:2]
    assert carried(sections) == ["TR_1", "TR_2"]
    assert sections.missing == tracks[2:]
    assert sections.plan() == []


def test_a_track_that_is_not_wanted_any_more_is_silent_before_the_client_knows(
    sections: Sections, peer: FakePeer
) -> None:
    sections.want([track(1)])
    settle(sections)
    assert peer.sinks["0"].inputs == {Source(1): 1.0}
    sections.want([])
    assert peer.sinks["0"].inputs == {}
    assert sections.stale
    settle(sections)
    assert not sections.stale


def test_a_section_is_free_again_only_after_the_client_was_told_that_it_is(
    sections: Sections, peer: FakePeer
) -> None:
    sections.want([track(1), track(2)])
    settle(sections)
    sections.want([track(2), track(3)])
    assert settle(sections) == []
    assert [begun.sid for begun in settle(sections)] == ["TR_3"]
    assert carried(sections) == ["TR_3", "TR_2"]
    assert peer.renewed == ["0"]


def test_a_track_wanted_back_is_not_put_where_it_was(sections: Sections) -> None:
    one = track(1)
    sections.want([one])
    settle(sections)
    sections.want([])
    settle(sections)
    sections.want([one])
    settle(sections)
    assert carried(sections) == [None, "TR_1"]


def test_a_source_that_changes_after_its_track_was_let_go_is_not_heard(
    sections: Sections, peer: FakePeer
) -> None:
    one = track(1)
    sections.want([one])
    settle(sections)
    sections.want([])
    one.source = Source(9)
    sections.source_changed(one)
    assert peer.sinks["0"].inputs == {}


def test_a_section_that_the_client_closed_to_us_is_not_used(sections: Sections) -> None:
    sections.section("0").usable = False
    sections.want([track(1)])
    settle(sections)
    assert carried(sections) == [None, "TR_1"]


def test_a_paused_track_is_silent_until_it_is_wanted_again(
    sections: Sections, peer: FakePeer
) -> None:
    one, two = track(1), track(2)
    sections.want([one, two])
    settle(sections)
    sections.pause(["TR_1", "TR_unknown"], paused=True)
    one.source = Source(9)
    sections.source_changed(one)
    assert [peer.sinks[mid].inputs for mid in "01"] == [{}, {Source(2): 1.0}]
    sections.pause(["TR_1"], paused=False)
    assert peer.sinks["0"].inputs == {Source(9): 1.0}


def test_a_track_paused_before_it_is_carried_begins_silent(
    sections: Sections, peer: FakePeer
) -> None:
    sections.want([track(1)])
    sections.pause(["TR_1"], paused=True)
    settle(sections)
    assert peer.sinks["0"].inputs == {}
    sections.want([])
    settle(sections)
    sections.want([track(1)])
    settle(sections)
    assert peer.sinks["0"].inputs == {Source(1): 1.0}, "asked for anew, it is not paused"
