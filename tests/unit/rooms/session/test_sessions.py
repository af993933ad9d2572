"""Coming in: what a join is answered with, and who is refused."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from switchroom.auth.grants import Claims, PermissionDenied
from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.rooms.info import ClientFacts
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.rooms.signal.requests import JoinRequest
from unit.rooms.clients import Door


async def test_a_join_is_answered_with_what_clients_need(door: Door) -> None:
    await door.house.phone("tel")
    client = await door.join(connect=False)
    first, second = (await client.listen())[:2]
    join = first.join
    assert join.room.sid.startswith("RM_")
    assert join.participant.sid.startswith("PA_")
    assert join.participant.state == models.ParticipantInfo.JOINED
    assert join.participant.client_protocol == 2
    assert [other.identity for other in join.other_participants] == ["tel"]
    assert join.server_info.version == join.server_version != ""
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.fast_publish
    assert not join.subscriber_primary
    assert join.enabled_publish_codecs[0].mime == "video/VP8"
    assert (second.answer.type, second.answer.id) == ("answer", 0)


@pytest.mark.parametrize("protocol", [17, 18])
async def test_clients_of_this_protocol_and_the_next_are_served_alike(
    door: Door, protocol: int
) -> None:
    client = await door.join(facts=ClientFacts(protocol=protocol))
    assert "refresh_token" in await client.kinds()


async def test_connecting_makes_the_participant_active_for_all(door: Door) -> None:
    bob = await door.join("bob")
    await bob.listen()
    ann = await door.join("ann", connect=False)
    (joined,) = (await bob.last("update")).participants
    assert (joined.identity, joined.state) == ("ann", models.ParticipantInfo.JOINED)
    await door.connect(ann)
    (active,) = (await bob.last("update")).participants
    assert (active.state, active.version > joined.version) == (
        models.ParticipantInfo.ACTIVE,
        True,
    )
    qualities = (await ann.last("connection_quality")).updates
    assert {q.quality for q in qualities} == {models.ConnectionQuality.EXCELLENT}
    assert len(qualities) == 2


async def test_hidden_participants_are_seen_by_nobody(door: Door) -> None:
    bob = await door.join("bob")
    await bob.listen()
    ann = await door.join("ann", grants={"hidden": True})
    assert await bob.kinds() == []
    ann.say(leave=rtc.LeaveRequest())
    assert await bob.kinds() == []


async def test_a_token_that_may_not_join_is_refused_before_anything_is_made(door: Door) -> None:
    with pytest.raises(PermissionDenied):
        await door.sessions.open(Claims("devkey", "ann"), JoinRequest(single_connection=True))
    assert door.engine.peers == []


async def test_a_full_room_refuses_and_gives_the_engine_its_peer_back(door: Door) -> None:
    config = {"room_config": {"maxParticipants": 1}}
    await door.join("ann", claims=config)
    with pytest.raises(ServiceError) as refused:
        await door.join("bob")
    assert refused.value.code is ErrorCode.RESOURCE_EXHAUSTED
    assert door.engine.peers[-1].closed


async def test_an_engine_without_peers_is_unavailable(door: Door) -> None:
    door.engine.broken = True
    with pytest.raises(ServiceError) as refused:
        await door.join("ann")
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert door.house.rooms.list() == ()


async def test_the_same_identity_takes_over_and_the_first_is_told_why(door: Door) -> None:
    bob = await door.join("bob")
    first = await door.join("ann")
    await bob.listen()
    second = await door.join("ann")
    leave = await first.last("leave")
    assert (leave.reason, leave.action) == (Reason.DUPLICATE_IDENTITY, rtc.LeaveRequest.DISCONNECT)
    first.link.lost()
    assert first.peer.closed
    assert not second.peer.closed
    states = [
        p.state for m in await bob.listen() if m.HasField("update") for p in m.update.participants
    ]
    assert models.ParticipantInfo.DISCONNECTED not in states, "they see the new sid instead"
    join = await second.last("join")
    assert [p.identity for p in join.other_participants] == ["bob"]


async def test_a_client_that_never_connects_is_given_up(door: Door) -> None:
    client = await door.join(connect=False)
    await door.house.time.pass_(60)
    assert (await client.last("leave")).reason == Reason.JOIN_FAILURE
    client.link.lost()
    assert client.peer.closed


async def test_a_socket_lost_before_media_ends_the_participant(door: Door) -> None:
    client = await door.join(connect=False)
    client.link.lost()
    assert door.house.rooms.participants("r") == ()
    assert client.peer.closed
