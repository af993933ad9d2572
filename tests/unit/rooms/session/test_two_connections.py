"""Two connections: the one that we offer carries what the client hears."""

from __future__ import annotations

from livekit.protocol import models, rtc

from switchroom.media import (
    Connected,
    Source,
)
from switchroom.rooms.info import ParticipantState
from switchroom.rooms.reasons import DisconnectReason as Reason
from unit.rooms.clients import Door, answer_offer, publish
from unit.rooms.house import settle


async def test_the_server_offers_data_first_and_tracks_once_connected(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    source = Source(99)
    sid = seat.publish_audio("tel", source, "audio/PCMU")
    ann = await door.join("ann", single=False, connect=False)
    join = await ann.last("join")
    assert join.subscriber_primary
    first = await answer_offer(ann)
    assert "m=application" in first.sdp
    assert "m=audio" not in first.sdp
    assert ann.peers[1].answers == [("cli", "y" * 22, "sha-256 CC:DD", "active")]
    await door.connect(ann)
    second = await answer_offer(ann)
    assert second.id > first.id
    assert f"a=msid:{seat.participant_sid}|{sid} {sid}" in second.sdp
    assert ann.peers[1].payload_types["s0"]["PCMU"] == 0
    assert ann.peers[1].sinks["s0"].inputs == {source: 1.0}
    assert len(ann.peers[1].answers) == 1, "the same credentials are not applied twice"


async def test_one_offer_at_a_time_carries_what_changed_meanwhile(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    await ann.listen()
    for number in range(3):
        seat, _ = await door.house.phone(f"tel{number}")
        seat.publish_audio("a", Source(number), "")
        await settle()
    assert [m.offer.sdp.count("m=audio") for m in await ann.offers()] == [1]
    await answer_offer(ann)
    assert [m.offer.sdp.count("m=audio") for m in await ann.offers()] == [1, 3]


async def test_changes_of_one_moment_go_into_one_offer(door: Door) -> None:
    for number in range(3):
        seat, _ = await door.house.phone(f"tel{number}")
        seat.publish_audio("a", Source(number), "")
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    assert [m.offer.sdp.count("m=audio") for m in await ann.offers()] == [3]


async def test_a_section_of_ours_is_used_again(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    await answer_offer(ann)
    seat.leave(Reason.CLIENT_INITIATED)
    assert ann.peers[1].sinks["s0"].inputs == {}
    offer = await answer_offer(ann)
    assert "a=inactive" in offer.sdp
    other, _ = await door.house.phone("two")
    sid = other.publish_audio("b", Source(2), "")
    offer = await answer_offer(ann)
    assert offer.sdp.count("m=audio") == 1
    assert sid in offer.sdp
    assert ann.peers[1].sinks["s0"].inputs == {Source(2): 1.0}
    assert ann.peers[1].renewed == ["s0"]
    assert "a=ssrc:2001" in offer.sdp


async def test_a_track_of_ours_that_is_wanted_back_at_once_is_sent_anew(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    await answer_offer(ann)
    for wanted in (False, True):
        ann.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=wanted))
    offer = await answer_offer(ann)
    first, second = offer.sdp.split("m=audio")[1:]
    assert "a=inactive" in first
    assert sid in second


async def test_a_section_of_ours_goes_to_another_track_by_way_of_an_inactive_offer(
    door: Door,
) -> None:
    one, _ = await door.house.phone("tel")
    one.publish_audio("a", Source(1), "")
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    await answer_offer(ann)
    one.leave(Reason.CLIENT_INITIATED)
    two, _ = await door.house.phone("tel")
    sid = two.publish_audio("b", Source(2), "")
    offer = await answer_offer(ann)
    first, second = offer.sdp.split("m=audio")[1:]
    assert "a=inactive" in first
    assert sid in second
    assert ann.peers[1].sinks["s1"].inputs == {Source(2): 1.0}


async def test_publishing_goes_over_the_clients_own_connection(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    await publish(ann)
    assert ann.peers[0].offers
    (track,) = door.house.rooms.get_participant("r", "ann").tracks
    assert track.mid == "3"


async def test_a_track_the_client_has_no_codec_for_is_refused_by_name(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("tel", Source(1), "")
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    await answer_offer(ann, payload_types="13")
    refusal = await ann.last("subscription_response")
    assert (refusal.track_sid, refusal.err) == (sid, models.SE_CODEC_UNSUPPORTED)


async def test_a_client_that_does_not_answer_starts_anew(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await door.house.time.pass_(15)
    assert (await ann.last("leave")).action == rtc.LeaveRequest.RECONNECT


async def test_a_publish_only_client_counts_as_connected_by_its_own_connection(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False, grants={"can_subscribe": False})
    assert not (await ann.last("join")).subscriber_primary
    ann.peers[0].event(Connected())
    info = door.house.rooms.get_participant("r", "ann")
    assert info.state is ParticipantState.ACTIVE
