"""Facts, levels, pings: the session's small talk."""

from __future__ import annotations

from livekit.protocol import rtc

from switchroom.auth.tokens import TokenVerifier
from switchroom.media import (
    LevelChanged,
    Source,
)
from switchroom.rooms.info import Permissions
from switchroom.rooms.reasons import DisconnectReason as Reason
from unit.rooms.clients import SPARE, Door, publish


async def test_own_attributes_are_told_acknowledged_and_put_into_a_fresh_token(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann", grants={"can_update_own_metadata": True})
    update = rtc.UpdateParticipantMetadata(attributes={"a": "1"}, request_id=9)
    ann.say(update_metadata=update)
    response = await ann.last("request_response")
    assert (response.request_id, response.reason) == (9, rtc.RequestResponse.OK)
    assert dict((await bob.last("update")).participants[0].attributes) == {"a": "1"}
    tokens = TokenVerifier({"devkey": "secret"}, door.house.time)
    claims = tokens.verify(await ann.last("refresh_token"))
    assert claims.attributes == {"a": "1"}
    assert claims.video is not None
    assert (claims.video.room, claims.video.room_join) == ("r", True)


async def test_facts_that_may_not_be_changed_or_are_too_long_are_refused(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(update_metadata=rtc.UpdateParticipantMetadata(name="x", request_id=1))
    assert (await ann.last("request_response")).reason == rtc.RequestResponse.NOT_ALLOWED
    bob = await door.join("bob", grants={"can_update_own_metadata": True})
    bob.say(update_metadata=rtc.UpdateParticipantMetadata(name="x" * 257, request_id=2))
    assert (await bob.last("request_response")).reason == rtc.RequestResponse.LIMIT_EXCEEDED


async def test_a_token_is_refreshed_every_five_minutes(door: Door) -> None:
    ann = await door.join("ann")
    await ann.listen()
    await door.house.time.pass_(300)
    assert "refresh_token" in await ann.kinds()


async def test_a_change_in_the_moment_of_leaving_starts_no_deadline_anew(door: Door) -> None:
    ann = await door.join("ann", grants={"can_update_own_metadata": True})
    room = door.house.room()
    await room.participants["ann"].member.close(Reason.PARTICIPANT_REMOVED)
    door.house.rooms.update_participant("r", "ann", metadata="late")
    room.leave(room.participants["ann"], Reason.PARTICIPANT_REMOVED)
    ann.link.lost()
    await door.house.time.pass_(30)
    assert door.house.time.pending == 0, "the empty room is closed by then"


async def test_pings_are_answered_in_both_forms(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(ping=5)
    ann.say(ping_req=rtc.Ping(timestamp=7, rtt=1))
    assert (await ann.last("pong_resp")).last_ping_timestamp == 7
    assert await ann.last("pong") > 1_000_000_000_000


async def test_speakers_are_told_to_listeners_and_to_themselves(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    await publish(ann)
    await bob.offer(*SPARE)
    source = ann.peer.receive("3")
    ann.peer.event(LevelChanged(source, 0.5, True))
    for client in (ann, bob):
        (speaker,) = (await client.last("speakers_changed")).speakers
        assert (speaker.level, speaker.active) == (0.5, True)
    await ann.offer(*SPARE, ("3", "inactive", ""))
    (speaker,) = (await bob.last("speakers_changed")).speakers
    assert (speaker.level, speaker.active) == (0.0, False)


async def test_who_may_not_publish_any_more_is_no_speaker_any_more(door: Door) -> None:
    ann = await door.join("ann")
    await publish(ann)
    ann.peer.event(LevelChanged(ann.peer.receive("3"), 0.5, True))
    for allowed in (False, True):
        permissions = Permissions(can_publish=allowed)
        door.house.rooms.update_participant("r", "ann", permissions=permissions)
    (speaker,) = (await ann.last("speakers_changed")).speakers
    assert (speaker.level, speaker.active) == (0.0, False)
    await publish(ann, "c2", "4")
    ann.peer.event(LevelChanged(ann.peer.receive("4"), 0.25, True))
    ann.peer.event(LevelChanged(ann.peer.receive("4"), 0.0, False))
    (speaker,) = (await ann.last("speakers_changed")).speakers
    assert (speaker.level, speaker.active) == (0.0, False), "the first track's last word is over"


async def test_a_phones_level_is_told_to_its_listeners(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    seat.publish_audio("tel", Source(1), "")
    ann = await door.join("ann")
    seat.level_changed(0.25, active=True)
    assert "speakers_changed" not in await ann.kinds(), "it does not receive the track yet"
    await ann.offer(*SPARE)
    (speaker,) = (await ann.last("speakers_changed")).speakers
    assert (speaker.sid, speaker.level) == (seat.participant_sid, 0.25)


async def test_what_we_do_not_do_is_refused_with_the_request_in_it(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=4, name="n"))
    refusal = await ann.last("request_response")
    assert refusal.reason == rtc.RequestResponse.NOT_ALLOWED
    assert refusal.publish_data_track.pub_handle == 4
    ann.say(get_data_blob_request=rtc.GetDataBlobRequest(request_id=8))
    assert (await ann.last("request_response")).request_id == 8
