"""Leaving, losing the socket or the media, and coming back."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc

from switchroom.media import (
    Closed,
    Connected,
    DataReceived,
    Disconnected,
    Failed,
    Source,
)
from switchroom.rooms.reasons import DisconnectReason as Reason
from switchroom.rooms.signal.convert import number as wire_number
from unit.rooms.clients import SPARE, Client, Door, answer_offer, publish, user_packet
from unit.rooms.house import Ears, settle


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Reason.CLIENT_INITIATED, Reason.CLIENT_INITIATED),
        (Reason.AGENT_ERROR, Reason.AGENT_ERROR),
        (Reason.ROOM_DELETED, Reason.CLIENT_INITIATED),
    ],
)
async def test_a_client_leaves_for_a_reason_of_its_own(
    door: Door, said: Reason, told: Reason
) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.say(leave=rtc.LeaveRequest(reason=wire_number(said)))
    (info,) = (await bob.last("update")).participants
    assert (info.state, info.disconnect_reason) == (models.ParticipantInfo.DISCONNECTED, told)
    assert not ann.is_closed(), "the client closes first, else it reports an error"
    ann.link.lost()
    assert ann.is_closed()


async def test_a_client_that_was_told_to_leave_gets_two_seconds_to_close(door: Door) -> None:
    ann = await door.join("ann")
    await door.house.rooms.remove_participant("r", "ann")
    await door.house.time.pass_(1.9)
    assert not ann.is_closed()
    assert ann.link.closed_for is None
    await door.house.time.pass_(0.2)
    assert ann.is_closed()
    assert ann.link.closed_for == "session ended"


async def test_a_client_that_closes_its_media_after_leaving_is_finished(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(leave=rtc.LeaveRequest())
    ann.peer.event(Closed())
    assert ann.peer.closed


async def test_nothing_that_a_client_does_after_leaving_counts(door: Door) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.say(leave=rtc.LeaveRequest())
    await bob.listen()
    ann.peer.event(DataReceived("_reliable", user_packet(b"x")))
    ann.peer.event(Connected())
    ann.peer.event(Disconnected())
    ann.say(ping=1)
    assert bob.peer.sent == []
    assert await bob.kinds() == []


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f"])
async def test_garbage_ends_the_session_with_a_reason(door: Door, garbage: bytes) -> None:
    ann = await door.join("ann")
    ann.link.receive(garbage)
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.DISCONNECT)
    ann.link.receive(garbage)


async def test_unknown_messages_are_ignored(door: Door) -> None:
    ann = await door.join("ann")
    await ann.listen()
    ann.link.receive(b"\xfa\x3e\x02\x08\x01")
    ann.link.receive(b"")
    ann.say(trickle=rtc.TrickleRequest(candidateInit="not json"))
    ann.say(trickle=rtc.TrickleRequest(candidateInit="[1]"))
    ann.say(trickle=rtc.TrickleRequest(candidateInit='{"candidate":"\\ud800"}'))
    ann.say(update_layers=rtc.UpdateVideoLayers(track_sid="x"))
    ann.say(track_setting=rtc.UpdateTrackSettings(track_sids=["x"], disabled=True))
    assert await ann.kinds() == []
    assert ann.peer.candidates == []


async def test_candidates_go_to_the_peer(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(trickle=rtc.TrickleRequest(candidateInit='{"candidate":"candidate:1 1 udp"}'))
    assert ann.peer.candidates == ["candidate:1 1 udp"]


async def test_a_participant_outlives_its_socket_while_media_flow(door: Door) -> None:
    ann = await door.join("ann")
    ann.link.lost()
    await door.house.time.pass_(200)
    assert len(door.house.rooms.participants("r")) == 1
    ann.peer.event(Disconnected())
    await door.house.time.pass_(4.9)
    assert len(door.house.rooms.participants("r")) == 1
    await door.house.time.pass_(0.2)
    assert door.house.rooms.participants("r") == ()
    assert ann.peer.closed


async def test_a_client_whose_media_stop_is_asked_to_resume_and_may_return(door: Door) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.peer.event(Disconnected())
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.CONNECTION_TIMEOUT, rtc.LeaveRequest.RESUME)
    assert ann.link.closed_for is None, "a closed socket would make it a new session"
    quality = (await bob.last("connection_quality")).updates[0].quality
    assert quality == models.ConnectionQuality.LOST
    await door.house.time.pass_(4)
    ann.peer.event(Connected())
    await door.house.time.pass_(60)
    assert len(door.house.rooms.participants("r")) == 2
    quality = (await bob.last("connection_quality")).updates[0].quality
    assert quality == models.ConnectionQuality.EXCELLENT


async def test_a_client_that_died_is_gone_after_the_time_to_return(door: Door) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.peer.event(Disconnected())
    await door.house.time.pass_(5)
    (info,) = (await bob.last("update")).participants
    assert info.disconnect_reason == Reason.CONNECTION_TIMEOUT
    await door.house.time.pass_(2)
    assert ann.peer.closed


async def test_a_client_that_returns_in_time_has_time_to_renew_its_connection(door: Door) -> None:
    """Its ICE restart takes seconds, and that it returned shows that it is there."""
    ann = await door.join("ann")
    ann.peer.event(Disconnected())
    ann.link.lost()
    await door.house.time.pass_(4.9)
    back = await door.join("ann", reconnect=True, connect=False)
    await door.house.time.pass_(14.9)
    assert len(door.house.rooms.participants("r")) == 1
    ann.peer.event(Connected())
    await door.house.time.pass_(60)
    assert len(door.house.rooms.participants("r")) == 1
    assert "leave" not in await back.kinds()


async def test_a_client_that_returns_and_never_connects_again_is_given_up(door: Door) -> None:
    ann = await door.join("ann")
    ann.peer.event(Disconnected())
    ann.link.lost()
    back = await door.join("ann", reconnect=True, connect=False)
    await door.house.time.pass_(15.1)
    assert door.house.rooms.participants("r") == ()
    leave = await back.last("leave")
    assert (leave.reason, leave.action) == (Reason.CONNECTION_TIMEOUT, rtc.LeaveRequest.DISCONNECT)


async def test_a_client_that_closes_its_media_is_not_asked_back_and_may_say_leave(
    door: Door,
) -> None:
    """The close of the media can overtake the Leave."""
    bob, ann = await door.join("bob"), await door.join("ann")
    await ann.listen()
    ann.peer.event(Closed())
    assert await ann.kinds() == []
    ann.say(leave=rtc.LeaveRequest(reason=wire_number(Reason.USER_REJECTED)))
    (info,) = (await bob.last("update")).participants
    assert info.disconnect_reason == Reason.USER_REJECTED


async def test_a_client_that_closes_its_media_and_says_nothing_has_left(door: Door) -> None:
    bob, ann = await door.join("bob"), await door.join("ann")
    ann.peer.event(Closed())
    ann.link.lost()
    await door.house.time.pass_(5)
    (info,) = (await bob.last("update")).participants
    assert info.disconnect_reason == Reason.CLIENT_INITIATED


async def test_a_peer_that_failed_starts_the_session_anew(door: Door) -> None:
    ann = await door.join("ann")
    ann.peer.event(Failed("data channel overflow"))
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)


async def _resume(door: Door, client: Client, *, single: bool = True, **request: Any) -> Client:
    sid = (await client.last("join")).participant.sid
    again = await door.join(
        single=single, reconnect=True, participant_sid=sid, connect=False, **request
    )
    again.peers = client.peers
    return again


async def test_a_resumed_client_is_told_how_things_are_and_keeps_its_tracks(door: Door) -> None:
    seat, _ = await door.house.phone("tel")
    seat.hear(Ears().sink)
    ann = await door.join("ann")
    sid = await publish(ann)
    ann.peer.event(DataReceived("_reliable", user_packet(b"x", sequence=41)))
    ann.link.lost()
    again = await _resume(door, ann)
    first, second, third, fourth, fifth = await again.listen()
    assert first.reconnect.last_message_seq == 41
    assert first.reconnect.server_info.version
    assert {p.identity for p in second.update.participants} == {"tel", "ann"}
    assert third.room_update.room.name == "r"
    assert fourth.track_subscribed.track_sid == sid
    assert fifth.refresh_token
    published = rtc.TrackPublishedResponse(cid="c1", track=models.TrackInfo(sid=sid))
    again.say(sync_state=rtc.SyncState(publish_tracks=[published]))
    await again.offer(*SPARE, ("3", "sendonly", "c1"))
    (track,) = door.house.rooms.get_participant("r", "ann").tracks
    assert track.sid == sid
    assert len(door.engine.peers) == 1, "the same peer, with an ICE restart"


async def test_the_old_socket_has_no_say_after_a_resume(door: Door) -> None:
    ann = await door.join("ann")
    again = await _resume(door, ann)
    assert ann.link.closed_for is not None
    ann.say(leave=rtc.LeaveRequest())
    ann.link.lost()
    assert len(door.house.rooms.participants("r")) == 1
    again.say(ping=1)
    assert "pong" in await again.kinds()


async def test_resuming_with_two_connections_restarts_ice_on_ours(door: Door) -> None:
    ann = await door.join("ann", single=False, connect=False)
    await answer_offer(ann)
    await door.connect(ann)
    ann.link.lost()
    again = await _resume(door, ann, single=False)
    offer = await answer_offer(again, ufrag="new")
    assert "a=ice-ufrag:u1" in offer.sdp
    assert [answer[0] for answer in ann.peers[1].answers] == ["cli", "new"]


async def test_changes_while_no_socket_is_there_are_made_up_for(door: Door) -> None:
    ann = await door.join("ann")
    ann.link.lost()
    seat, _ = await door.house.phone("tel")
    sid = seat.publish_audio("tel", Source(1), "")
    await door.house.time.pass_(20)
    again = await _resume(door, ann)
    answer = await again.offer(*SPARE)
    assert dict(answer.mid_to_track_id) == {"0": sid}


async def test_missed_reliable_messages_are_sent_again(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    for sequence in (1, 2, 3):
        ann.peer.event(DataReceived("_reliable", user_packet(b"x", sequence=sequence)))
    bob.peer.sent.clear()
    again = await _resume(door, bob, identity="bob")
    ann_sid = (await ann.last("join")).participant.sid
    state = rtc.DataChannelReceiveState(publisher_sid=ann_sid, last_seq=1)
    again.say(sync_state=rtc.SyncState(datachannel_receive_states=[state]))
    numbers = [models.DataPacket.FromString(payload).sequence for _, payload in bob.peer.sent]
    assert numbers == [2, 3]
    again.say(sync_state=rtc.SyncState(datachannel_receive_states=[state]))
    assert len(bob.peer.sent) == 2, "once for each return"


async def test_a_resume_with_a_track_that_is_not_known_starts_anew(door: Door) -> None:
    ann = await door.join("ann")
    again = await _resume(door, ann)
    published = rtc.TrackPublishedResponse(cid="c", track=models.TrackInfo(sid="TR_other"))
    again.say(sync_state=rtc.SyncState(publish_tracks=[published]))
    leave = await again.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)


@pytest.mark.parametrize(
    "change", [{"participant_sid": "PA_other"}, {"identity": "nobody"}, {"single": False}]
)
async def test_who_wants_back_what_is_not_there_starts_anew(
    door: Door, change: dict[str, Any]
) -> None:
    ann = await door.join("ann")
    sid = (await ann.last("join")).participant.sid
    request = {"reconnect": True, "participant_sid": sid, "connect": False, **change}
    again = await door.join(**request)
    leave = await again.last("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
    assert again.link.closed_for is not None
    assert len(door.house.rooms.participants("r")) == 1


async def test_deleting_the_room_sends_clients_away_and_lets_nothing_remain(door: Door) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob", single=False, connect=False)
    await door.house.rooms.delete("r")
    for client in (ann, bob):
        assert (await client.last("leave")).reason == Reason.ROOM_DELETED
        client.link.lost()
    assert all(peer.closed for peer in door.engine.peers)
    await settle()
    assert len(door.house.rooms.tasks) == 0
    assert door.house.time.pending == 0


@pytest.mark.parametrize(
    ("scenario", "reason", "action"),
    [
        ({"server_leave": True}, Reason.SERVER_SHUTDOWN, rtc.LeaveRequest.DISCONNECT),
        ({"migration": True}, Reason.MIGRATION, rtc.LeaveRequest.RESUME),
        (
            {"leave_request_full_reconnect": True},
            Reason.STATE_MISMATCH,
            rtc.LeaveRequest.RECONNECT,
        ),
    ],
)
async def test_faults_are_simulated_on_request(
    door: Door, scenario: dict[str, Any], reason: Reason, action: int
) -> None:
    ann = await door.join("ann")
    ann.say(simulate=rtc.SimulateScenario(**scenario))
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (reason, action)


async def test_a_simulated_speaker_speaks_and_falls_silent(door: Door) -> None:
    ann = await door.join("ann")
    ann.say(simulate=rtc.SimulateScenario(speaker_update=3))
    (speaker,) = (await ann.last("speakers_changed")).speakers
    assert (speaker.active, speaker.level) == (True, 0.75)
    await door.house.time.pass_(3)
    (speaker,) = (await ann.last("speakers_changed")).speakers
    assert not speaker.active
