"""From AddTrack to a track in the room."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc

from switchroom.base.errors import ServiceError
from switchroom.media import (
    TrackStarted,
)
from switchroom.rooms.info import Permissions
from switchroom.rooms.signal.requests import AddTrack, Offer
from unit.rooms.clients import SPARE, Door, publish
from unit.rooms.fake_engine import (
    client_offer,
)
from unit.rooms.house import Ears


async def test_a_track_is_published_once_its_section_is_answered(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    ann.say(
        add_track=rtc.AddTrackRequest(
            cid="c1", name="mic", source=models.MICROPHONE, disable_dtx=True, stereo=True
        )
    )
    track = (await ann.last("track_published")).track
    assert track.sid.startswith("TR_AM")
    assert (track.name, track.stream, track.mime_type) == ("mic", "camera", "audio/opus")
    assert list(track.audio_features) == [0, 1]
    assert door.house.rooms.get_participant("r", "ann").tracks == ()
    answer = await ann.offer(*SPARE, ("3", "sendonly", "c1"), id_=7)
    assert answer.id == 7
    (info,) = door.house.rooms.get_participant("r", "ann").tracks
    assert (info.sid, info.mid) == (track.sid, "3")
    (told,) = (await bob.last("update")).participants
    assert told.tracks[0].sid == track.sid
    assert told.is_publisher


async def test_a_track_pauses_in_silence_unless_its_client_does_not_want_that(door: Door) -> None:
    for identity, single in (("ann", True), ("bob", False)):
        client = await door.join(identity, single=single)
        for number, disable in enumerate((False, True)):
            track = rtc.AddTrackRequest(cid=f"c{number}", disable_dtx=disable)
            client.say(add_track=track)
        answer = await client.offer(("3", "sendonly", "c0"), ("4", "sendonly", "c1"))
        pausing, going_on = answer.sdp.split("m=audio")[1:]
        assert "a=fmtp:111 minptime=10;usedtx=1" in pausing
        assert "usedtx" not in going_on


async def test_a_phone_hears_the_client_and_the_client_is_told_of_its_first_listener(
    door: Door,
) -> None:
    seat, _ = await door.house.phone("tel")
    ann = await door.join("ann")
    sid = await publish(ann)
    assert "track_subscribed" not in await ann.kinds(), "nobody listens while the phone rings"
    ears = Ears()
    seat.hear(ears.sink)
    assert ears.inputs == {ann.peer.receive("3"): 1.0}
    assert (await ann.last("track_subscribed")).track_sid == sid


@pytest.mark.parametrize("field", ["name", "stream", "cid"])
async def test_a_track_whose_name_would_fill_every_update_is_refused(
    door: Door, field: str
) -> None:
    ann = await door.join("ann")
    long: dict[str, Any] = {"cid": "c", field: "x" * 1024}
    ann.say(add_track=rtc.AddTrackRequest(**long))
    assert (await ann.last("track_published")).track.sid
    too_long: dict[str, Any] = {"cid": "d", field: "x" * 1025}
    ann.say(add_track=rtc.AddTrackRequest(**too_long))
    refusal = await ann.last("request_response")
    assert refusal.reason == rtc.RequestResponse.LIMIT_EXCEEDED
    assert ann.link.closed_for is None


async def test_a_section_that_stops_ends_its_track(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    await publish(ann)
    await ann.offer(*SPARE, ("3", "inactive", ""))
    assert door.house.rooms.get_participant("r", "ann").tracks == ()
    (told,) = (await bob.last("update")).participants
    assert not told.tracks


async def test_a_cid_in_use_waits_until_it_is_free(door: Door) -> None:
    ann = await door.join("ann")
    await publish(ann)
    ann.say(add_track=rtc.AddTrackRequest(cid="c1", source=models.MICROPHONE))
    assert (await ann.last("request_response")).reason == rtc.RequestResponse.QUEUED
    await ann.listen()
    await ann.offer(*SPARE, ("3", "inactive", ""))
    assert ann.heard[-1].track_published.cid == "c1"


@pytest.mark.parametrize(
    ("grants", "request_", "reason"),
    [
        ({"can_publish": False}, {}, rtc.RequestResponse.NOT_ALLOWED),
        ({"can_publish_sources": ("camera",)}, {}, rtc.RequestResponse.NOT_ALLOWED),
        ({}, {"type": models.VIDEO}, rtc.RequestResponse.UNSUPPORTED_TYPE),
    ],
)
async def test_a_track_that_may_not_be_is_refused_by_name(
    door: Door, grants: dict[str, Any], request_: dict[str, Any], reason: int
) -> None:
    ann = await door.join("ann", grants=grants)
    ann.say(add_track=rtc.AddTrackRequest(cid="c", source=models.MICROPHONE, **request_))
    refusal = await ann.last("request_response")
    assert (refusal.reason, refusal.add_track.cid) == (reason, "c")


async def test_tracks_are_bounded(door: Door) -> None:
    ann = await door.join("ann")
    for number in range(65):
        ann.say(add_track=rtc.AddTrackRequest(cid=f"c{number}", source=models.MICROPHONE))
    assert (await ann.last("request_response")).reason == rtc.RequestResponse.LIMIT_EXCEEDED


async def test_tracks_of_the_join_request_are_published_with_it(door: Door) -> None:
    offer = Offer(client_offer(*SPARE, ("3", "sendonly", "c1")), 1)
    ann = await door.join("ann", add_tracks=(AddTrack("c1"),), offer=offer)
    kinds = await ann.kinds()
    assert kinds[0] == "join"
    assert kinds.index("track_published") < kinds.index("answer")
    assert len(door.house.rooms.get_participant("r", "ann").tracks) == 1


async def test_muting_is_told_and_kept_also_before_the_track_lives(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    ann.say(add_track=rtc.AddTrackRequest(cid="c1", source=models.MICROPHONE))
    sid = (await ann.last("track_published")).track.sid
    ann.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    await ann.offer(*SPARE, ("3", "sendonly", "c1"))
    assert (await bob.last("update")).participants[0].tracks[0].muted
    ann.say(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    assert not (await bob.last("update")).participants[0].tracks[0].muted


async def test_an_administrator_mutes_but_never_unmutes(door: Door) -> None:
    ann = await door.join("ann")
    sid = await publish(ann)
    assert door.house.rooms.mute_track("r", "ann", sid, muted=True).muted
    assert (await ann.last("mute")).muted
    with pytest.raises(ServiceError) as refused:
        door.house.rooms.mute_track("r", "ann", sid, muted=False)
    assert refused.value.message == "remote unmute not enabled"


async def test_a_lost_permission_ends_the_track_and_is_told(door: Door) -> None:
    ann = await door.join("ann")
    sid = await publish(ann)
    door.house.rooms.update_participant("r", "ann", permissions=Permissions(can_publish=False))
    assert (await ann.last("track_unpublished")).track_sid == sid
    assert door.house.rooms.get_participant("r", "ann").tracks == ()
    assert "refresh_token" in [m.WhichOneof("message") for m in ann.heard[-4:]]
    # The section goes on being offered until the client has stopped: it is nobody's track.
    await ann.offer(*SPARE, ("3", "sendonly", "c1"))
    assert door.house.rooms.get_participant("r", "ann").tracks == ()


async def test_a_track_that_was_announced_does_not_begin_after_the_permission_is_lost(
    door: Door,
) -> None:
    ann = await door.join("ann")
    ann.say(add_track=rtc.AddTrackRequest(cid="c1", source=models.MICROPHONE))
    ann.say(add_track=rtc.AddTrackRequest(cid="c1", source=models.MICROPHONE))
    door.house.rooms.update_participant("r", "ann", permissions=Permissions(can_publish=False))
    await ann.offer(*SPARE, ("3", "sendonly", "c1"))
    assert door.house.rooms.get_participant("r", "ann").tracks == ()
    door.house.rooms.update_participant("r", "ann", permissions=Permissions())
    await ann.offer(*SPARE, ("3", "sendonly", "c1"))
    assert door.house.rooms.get_participant("r", "ann").tracks == (), "announced before"


async def test_what_the_media_turn_out_to_be_is_told(door: Door) -> None:
    bob = await door.join("bob")
    ann = await door.join("ann")
    await publish(ann)
    await bob.listen()
    ann.peer.event(TrackStarted("3", "opus"))
    assert await bob.kinds() == [], "as was said before"
    ann.peer.event(TrackStarted("3", "PCMU"))
    assert (await bob.last("update")).participants[0].tracks[0].mime_type == "audio/PCMU"
