"""A client that floods is sent away, or what it may lose is lost; the others go on."""

from __future__ import annotations

from livekit.protocol import models, rtc

from switchroom.media import DataReceived
from switchroom.rooms.session.pace import DATA, SIGNALS
from unit.rooms.clients import SPARE, Door, user_packet
from unit.rooms.house import House


async def test_lossy_messages_beyond_the_pace_are_lost_and_the_sender_stays(
    door: Door, house: House
) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    for _ in range(int(DATA.burst) + 500):
        ann.peer.event(DataReceived("_lossy", user_packet(b"x")))
    assert len(bob.peer.sent) == DATA.burst
    await house.time.pass_(1)
    ann.peer.event(DataReceived("_lossy", user_packet(b"again")))
    assert len(bob.peer.sent) == DATA.burst + 1
    assert not ann.is_closed()


async def test_who_floods_the_reliable_channel_is_sent_away(door: Door, house: House) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    for _ in range(int(DATA.burst) + 500):
        ann.peer.event(DataReceived("_reliable", user_packet(b"x")))
    leave = await ann.last("leave")
    assert (leave.reason, leave.action) == (models.STATE_MISMATCH, rtc.LeaveRequest.DISCONNECT)
    assert len(bob.peer.sent) == DATA.burst
    assert list(house.room().participants) == ["bob"]


async def test_who_floods_its_signal_socket_is_sent_away(door: Door, house: House) -> None:
    ann = await door.join("ann")
    await door.join("bob")
    for _ in range(int(SIGNALS.burst)):
        ann.say(mute=rtc.MuteTrackRequest(sid="TR_none", muted=True))
    assert (await ann.last("leave")).reason == models.STATE_MISMATCH
    assert list(house.room().participants) == ["bob"]


async def test_big_updates_use_the_pace_up_before_others_are_cut_off(door: Door) -> None:
    ann = await door.join("ann", grants={"can_update_own_metadata": True})
    bob = await door.join("bob")
    for number in range(8):
        metadata = str(number) * 500_000
        ann.say(update_metadata=rtc.UpdateParticipantMetadata(metadata=metadata))
    told = [m.update.participants[0].state for m in await bob.listen() if m.HasField("update")]
    assert told[-1] == models.ParticipantInfo.DISCONNECTED
    assert bob.link.closed_for is None


async def test_small_changes_of_who_has_long_names_for_its_tracks_count_as_what_is_told(
    door: Door,
) -> None:
    ann = await door.join("ann")
    sections = []
    for n in range(60):
        sections.append((str(n + 3), "sendonly", f"c{n}"))
        ann.say(add_track=rtc.AddTrackRequest(cid=f"c{n}", name="x" * 1024, stream="y" * 1024))
    await ann.offer(*SPARE, *sections)
    sid = door.house.rooms.get_participant("r", "ann").tracks[0].sid
    for n in range(20):
        ann.say(mute=rtc.MuteTrackRequest(sid=sid, muted=n % 2 == 0))
    assert (await ann.last("leave")).reason == models.STATE_MISMATCH


async def test_small_changes_of_who_has_big_metadata_count_as_what_is_told(door: Door) -> None:
    ann = await door.join("ann", grants={"can_update_own_metadata": True})
    bob = await door.join("bob")
    ann.say(update_metadata=rtc.UpdateParticipantMetadata(metadata="x" * 500_000))
    for number in range(20):
        ann.say(update_metadata=rtc.UpdateParticipantMetadata(name=str(number)))
    told = [m.update.participants[0].state for m in await bob.listen() if m.HasField("update")]
    assert told[-1] == models.ParticipantInfo.DISCONNECTED
    assert bob.link.closed_for is None


async def test_small_changes_of_who_has_little_to_tell_are_cheap(door: Door, house: House) -> None:
    ann = await door.join("ann", grants={"can_update_own_metadata": True})
    for number in range(1000):
        ann.say(update_metadata=rtc.UpdateParticipantMetadata(name=str(number)))
    assert list(house.room().participants) == ["ann"]
