"""Messages between participants."""

from __future__ import annotations

import pytest
from livekit.protocol import models

from switchroom.media import (
    ChannelOpened,
    Connected,
    DataReceived,
)
from switchroom.rooms.data import DataMessage, Dtmf, EarlyMessages, UserData

from .clients import Door, user_packet


async def test_data_goes_to_the_others_on_the_same_kind_of_channel(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    _, phone = await door.house.phone("tel")
    ann.peer.event(DataReceived("_lossy", user_packet(b"hi", sequence=3)))
    ((label, payload),) = bob.peer.sent
    packet = models.DataPacket.FromString(payload)
    assert (label, packet.kind, packet.user.payload) == ("_lossy", models.DataPacket.LOSSY, b"hi")
    assert packet.participant_identity == packet.user.participant_identity == "ann"
    assert packet.participant_sid == (await ann.last("join")).participant.sid
    assert ann.peer.sent == [], "never back to the sender"
    assert phone.data == [UserData(b"hi")]


async def test_data_for_somebody_goes_to_nobody_else(door: Door) -> None:
    ann, bob, cid = [await door.join(name) for name in ("ann", "bob", "cid")]
    ann.peer.event(DataReceived("_reliable", user_packet(b"x", destination_identities=["cid"])))
    assert bob.peer.sent == []
    assert len(cid.peer.sent) == 1


async def test_reliable_messages_sent_again_are_dropped_and_keep_their_number(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    for sequence in (1, 2, 2, 1, 3):
        ann.peer.event(DataReceived("_reliable", user_packet(b"x", sequence=sequence)))
    numbers = [models.DataPacket.FromString(payload).sequence for _, payload in bob.peer.sent]
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(
    "packet",
    [
        b"\xff\xff",
        b"",
        models.DataPacket(speaker=models.ActiveSpeakerUpdate()).SerializeToString(),
        models.DataPacket(transcription=models.Transcription()).SerializeToString(),
    ],
)
async def test_what_may_not_be_forwarded_is_dropped(door: Door, packet: bytes) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    ann.peer.event(DataReceived("_reliable", packet))
    assert bob.peer.sent == []


async def test_who_may_not_send_data_does_not(door: Door) -> None:
    ann = await door.join("ann", grants={"can_publish_data": False})
    bob = await door.join("bob")
    ann.peer.event(DataReceived("_reliable", user_packet(b"x")))
    assert bob.peer.sent == []


async def test_an_agent_may_speak_for_somebody_else(door: Door) -> None:
    agent = await door.join("agent", claims={"kind": "agent"})
    bob = await door.join("bob")
    packet = models.DataPacket(
        participant_identity="tel", stream_header=models.DataStream.Header(stream_id="s")
    )
    agent.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    (_, payload) = bob.peer.sent[0]
    assert models.DataPacket.FromString(payload).participant_identity == "tel"


async def test_rpc_and_streams_pass_untouched(door: Door) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    rpc = models.RpcRequest(id="1", method="m", payload="p", response_timeout_ms=5, version=1)
    chunk = models.DataStream.Chunk(stream_id="s", chunk_index=4, content=b"\x00\xff")
    for packet in (models.DataPacket(rpc_request=rpc), models.DataPacket(stream_chunk=chunk)):
        ann.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    first, second = (models.DataPacket.FromString(payload) for _, payload in bob.peer.sent)
    assert first.rpc_request == rpc
    assert second.stream_chunk == chunk


async def test_metrics_go_only_to_those_who_may_see_them(door: Door) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob")
    boss = await door.join("boss", grants={"can_subscribe_metrics": True})
    packet = models.DataPacket()
    packet.metrics.SetInParent()
    ann.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    assert bob.peer.sent == []
    assert len(boss.peer.sent) == 1


async def test_who_was_joined_but_not_connected_gets_reliable_messages_afterwards(
    door: Door,
) -> None:
    ann = await door.join("ann")
    bob = await door.join("bob", connect=False)
    ann.peer.event(DataReceived("_reliable", user_packet(b"early", sequence=1)))
    ann.peer.event(DataReceived("_lossy", user_packet(b"lost")))
    bob.peer.event(Connected())
    ann.peer.event(DataReceived("_reliable", user_packet(b"next", sequence=2)))
    assert bob.peer.sent == [], "its channel is not open yet"
    bob.peer.event(ChannelOpened("_reliable"))
    got = [models.DataPacket.FromString(payload).user.payload for _, payload in bob.peer.sent]
    assert got == [b"early", b"next"]


async def test_a_phones_digit_reaches_the_client(door: Door) -> None:
    ann = await door.join("ann")
    seat, _ = await door.house.phone("tel")
    seat.send_dtmf(5, "5")
    ((label, payload),) = ann.peer.sent
    packet = models.DataPacket.FromString(payload)
    assert (label, packet.sip_dtmf.code, packet.sip_dtmf.digit) == ("_reliable", 5, "5")
    assert packet.participant_identity == "tel"


async def test_the_clients_digit_reaches_the_phone(door: Door) -> None:
    ann = await door.join("ann")
    _, phone = await door.house.phone("tel")
    packet = models.DataPacket(sip_dtmf=models.SipDTMF(code=11, digit="#"))
    ann.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    assert phone.data == [Dtmf(11, "#")]


def test_messages_for_a_channel_that_never_opens_do_not_pile_up() -> None:
    early = EarlyMessages()
    for _ in range(1_000):
        content = UserData(bytes(10_000))
        early.add(DataMessage(True, "PA_a", "ann", content=content))
    kept = early.take()
    assert 100 <= len(kept) <= 110
    assert not early.take()
