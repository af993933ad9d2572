"""Keys in both directions, between the official Python client and phones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from livekit import rtc

from interop.rtp_phone import RtpPhone, rtp_phone
from interop.server import Server, call_to
from interop.sipp_phone import needs_sipp
from interop.talking_agent import ROOM, Agent, agent_in, called

pytestmark = [pytest.mark.interop, needs_sipp]

CODES = {key: code for code, key in enumerate("0123456789*#ABCD")}


async def test_an_agents_keys_reach_every_phone_of_the_room_one_after_another(
    server: Server, tmp_path: Path
) -> None:
    async with (
        rtp_phone(tmp_path / "one") as one,
        rtp_phone(tmp_path / "other") as other,
        agent_in(server) as agent,
        server.api() as livekit,
        called(server, one),
    ):
        second = call_to("second", other.address, ROOM)
        second.participant_identity = "second"
        await livekit.sip.create_sip_participant(second)
        # Faster than a phone can take them, as send_dtmf_events may be.
        for key in "12#*D":
            await agent.room.local_participant.publish_dtmf(code=CODES[key], digit=key)
        await one.until(lambda it: len(it.keys) == 5)
        await other.until(lambda it: len(it.keys) == 5)
        # The sound goes on when the last key is up.
        count = len(one.sound)
        await one.until(lambda it: len(it.sound) > count + 5)
    assert one.keys == other.keys == list("12#*D")
    assert_paced(one)


def assert_paced(phone: RtpPhone) -> None:
    """RFC 4733: 250 ms of a key, about as long a pause, and three packets at the end.

    A busy machine begins a key late now and then, and the next one in time.
    """
    events = [packet for _, packet in phone.packets if packet.payload_type == 101]
    starts = sorted({packet.timestamp for packet in events})
    apart = [after - before for before, after in pairwise(starts)]
    assert all(ticks >= 2_000 + 400 for ticks in apart), apart
    assert 3_000 <= sum(apart) / len(apart) <= 5_000, apart
    for start in starts:
        of_key = [packet for packet in events if packet.timestamp == start]
        assert sum(packet.payload[1] & 0x80 > 0 for packet in of_key) == 3
        assert int.from_bytes(of_key[-1].payload[2:4], "big") == 2_000


async def test_what_is_no_key_is_not_played_and_a_flood_is_cut(
    server: Server, tmp_path: Path
) -> None:
    async with (
        rtp_phone(tmp_path / "phone") as phone,
        agent_in(server) as agent,
        called(server, phone),
    ):
        press = agent.room.local_participant.publish_dtmf
        for odd in ("", "x", "\u0665", "E", "\x00", "1" * 300):
            await press(code=1, digit=odd)
        await press(code=77, digit="9")
        await phone.until(lambda it: it.keys == ["9"])
        count = len(phone.sound)
        await phone.until(lambda it: len(it.sound) > count + 25)
    assert phone.keys == ["9"]


@pytest.mark.parametrize("end_packets", [3, 1, 0])
async def test_a_phones_key_is_told_once_with_who_pressed_it(
    server: Server, tmp_path: Path, end_packets: int
) -> None:
    async with (
        rtp_phone(tmp_path / "phone") as phone,
        agent_in(server) as agent,
        called(server, phone),
    ):
        # Two packets in a row let the phone's address be trusted.
        await phone.until(lambda it: len(it.packets) >= 5)
        for code in (5, 10, 11, 12):
            phone.press(code, end_packets=end_packets)
            count = len(phone.packets)
            await phone.until(has_heard(count + 15))
        await agent.until(lambda: len(keys_told(agent)) >= 4)
    told = keys_told(agent)
    assert [(key.code, key.digit) for key in told] == [(5, "5"), (10, "*"), (11, "#"), (12, "a")]
    assert {key.participant.identity for key in told if key.participant is not None} == {"phone"}


def has_heard(packets: int) -> Callable[[RtpPhone], bool]:
    """Whether so many packets have come."""
    return lambda phone: len(phone.packets) >= packets


def keys_told(agent: Agent) -> list[rtc.SipDTMF]:
    """Every key that the agent was told of."""
    return [facts[0][0] for name, facts in agent.told if name == "sip_dtmf_received"]
