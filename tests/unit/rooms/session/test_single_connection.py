"""One connection that the client offers: sections asked for, used, given back."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from switchroom.media import (
    Source,
)
from switchroom.rooms.reasons import DisconnectReason as Reason
from unit.rooms.clients import SPARE, Door, publish
from unit.rooms.fake_engine import (
    client_offer,
)


async def test_a_phones_track_is_put_on_a_free_section_after_an_empty_request(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    source = Source(99)
    sid = seat.publish_audio("tel", source, "audio/PCMU")
    ann = await door.join("ann")
    requirement = await ann.last("media_sections_requirement")
    assert (requirement.num_audios, requirement.num_videos) == (0, 0)
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}
    assert f"a=msid:{seat.participant_sid}|{sid} {sid}" in answer.sdp
    assert ann.peer.sinks["0"].inputs == {source: 1.0}
    assert "media_sections_requirement" not in await ann.kinds()


async def test_more_tracks_than_sections_are_asked_for_in_one_message(door: Door) -> None:
    for number in range(5):
        seat, _ = await door.house.phone(f"tel{number}")
        seat.publish_audio("a", Source(number), "")
    ann = await door.join("ann")
    needs = [m for m in await ann.listen() if m.HasField("media_sections_requirement")]
    assert [n.media_sections_requirement.num_audios for n in needs] == [2]
    more = (("3", "recvonly", ""), ("4", "recvonly", ""))
    answer = await ann.offer(*SPARE, *more)
    assert len(answer.mid_to_track_id) == 5


async def test_a_freed_section_is_given_back_and_used_again(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await ann.offer(*SPARE)
    seat.leave(Reason.CLIENT_INITIATED)
    assert ann.peer.sinks["0"].inputs == {}, "silent at once, whatever is negotiated"
    assert (await ann.last("media_sections_requirement")).num_audios == 0
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {}
    other, _ = await door.house.phone("two")
    sid = other.publish_audio("b", Source(2), "")
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}
    assert ann.peer.sinks["0"].inputs == {Source(2): 1.0}


async def test_a_track_that_ended_during_the_negotiation_is_not_in_the_answer(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await ann.listen()
    original = ann.peer.accept_offer

    async def slow(sdp: str) -> str:
        seat.leave(Reason.CLIENT_INITIATED)
        return await original(sdp)

    ann.peer.accept_offer = slow  # type: ignore[method-assign]
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {}
    assert seat.participant_sid not in answer.sdp
    assert "a=sendonly" not in answer.sdp
    assert "0" not in ann.peer.sinks


async def test_a_section_goes_from_one_track_to_another_by_way_of_an_inactive_answer(
    door: Door,
) -> None:
    """And on a new SSRC: libwebrtc announces and plays it only then."""
    one, _ = await door.house.phone("tel")
    one.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await ann.offer(*SPARE)
    one.leave(Reason.CLIENT_INITIATED)
    two, _ = await door.house.phone("tel")
    second = two.publish_audio("b", Source(2), "")
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {"1": second}
    two.leave(Reason.CLIENT_INITIATED)
    answer = await ann.offer(*SPARE)
    three, _ = await door.house.phone("tel")
    third = three.publish_audio("c", Source(3), "")
    assert ann.peer.renewed == []
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {"0": third}
    assert ann.peer.renewed == ["0"]


async def test_a_track_that_is_wanted_back_at_once_is_sent_anew(door: Door) -> None:
    """The client has let it go, and waits for it."""
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await ann.offer(*SPARE)
    for wanted in (False, True):
        ann.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=wanted))
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {"1": sid}
    assert ann.peer.sinks["0"].inputs == {}
    assert ann.peer.sinks["1"].inputs == {Source(1): 1.0}


async def test_an_answer_names_only_those_whom_the_client_was_told_of(door: Door) -> None:
    ann = await door.join("ann")
    for number in range(5):
        seat, _ = await door.house.phone("tel")
        sid = seat.publish_audio("a", Source(number), "")
        await ann.offer(*SPARE, ("3", "recvonly", ""))
        kinds = [m.WhichOneof("message") for m in ann.heard]
        known = [
            index
            for index, message in enumerate(ann.heard)
            for participant in message.update.participants
            if sid in [track.sid for track in participant.tracks]
        ]
        assert known[0] < len(kinds) - 1 - kinds[::-1].index("answer")
        seat.leave(Reason.CLIENT_INITIATED)


async def test_a_client_that_does_not_offer_when_asked_starts_anew(door: Door) -> None:
    seat, _ = await door.house.phone("one")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await door.house.time.pass_(15)
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)


async def test_without_automatic_subscription_nothing_comes_until_asked_for(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann", auto_subscribe=False)
    assert "media_sections_requirement" not in await ann.kinds()
    ann.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    answer = await ann.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}
    ann.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))
    assert ann.peer.sinks["0"].inputs == {}


async def test_a_disabled_track_is_silent_and_stays_so_over_a_resume(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann")
    await ann.offer(*SPARE)
    setting = rtc.UpdateTrackSettings(track_sids=[sid], disabled=True)
    ann.say(track_setting=setting)
    assert ann.peer.sinks["0"].inputs == {}
    ann.say(sync_state=rtc.SyncState(track_sids_disabled=[sid]))
    seat.set_source(sid, Source(2))
    assert ann.peer.sinks["0"].inputs == {}
    setting.disabled = False
    ann.say(track_setting=setting)
    assert ann.peer.sinks["0"].inputs == {Source(2): 1.0}


async def test_a_track_that_does_not_exist_is_refused_by_name(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(subscription=rtc.UpdateSubscription(track_sids=["TR_no"], subscribe=True))
    refusal = await ann.last("subscription_response")
    assert (refusal.track_sid, refusal.err) == ("TR_no", models.SE_TRACK_NOTFOUND)


async def test_who_may_not_hear_is_told_and_hears_once_it_may(door: Door) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob")
    sid = await publish(ann)
    await bob.offer(*SPARE)
    ann.say(subscription_permission=rtc.SubscriptionPermission(all_participants=False))
    update = await bob.last("subscription_permission_update")
    assert (update.track_sid, update.allowed) == (sid, False)
    assert bob.peer.sinks["0"].inputs == {}
    ann.say(subscription_permission=rtc.SubscriptionPermission(all_participants=True))
    assert (await bob.last("subscription_permission_update")).allowed
    answer = await bob.offer(*SPARE)
    assert sid in answer.mid_to_track_id.values()


async def test_a_client_without_the_right_to_subscribe_hears_nothing(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    seat.publish_audio("a", Source(1), "")
    ann = await door.join("ann", grants={"can_subscribe": False})
    assert "media_sections_requirement" not in await ann.kinds()


@pytest.mark.parametrize("sdp", ["", "garbage", "v=0\r\nm=audio\r\n", "\x00" * 100])
async def test_an_offer_that_is_none_starts_the_session_anew(door: Door, sdp: str) -> None:
    ann = await door.join("ann")
    ann.say(offer=rtc.SessionDescription(type="offer", sdp=sdp))
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
    assert door.house.rooms.participants("r") == ()


async def test_an_offer_that_the_engine_refuses_starts_the_session_anew(door: Door) -> None:
    ann = await door.join("ann")
    ann.peer.refuse = True
    ann.say(offer=rtc.SessionDescription(type="offer", sdp=client_offer(*SPARE)))
    assert (await ann.last("leave")).action == rtc.LeaveRequest.RECONNECT


async def test_a_flood_of_offers_starts_the_session_anew(door: Door) -> None:
    ann = await door.join("ann")
    for _ in range(40):
        ann.say(offer=rtc.SessionDescription(type="offer", sdp=client_offer(*SPARE)))
    assert (await ann.last("leave")).action == rtc.LeaveRequest.RECONNECT
