"""An agent (the official Python client) and a phone: what each learns, and what the phone hears."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from interop.rtp_phone import RtpPhone, rtp_phone
from interop.server import Server
from interop.sipp_phone import needs_sipp
from interop.talking_agent import RATE, agent_in, called
from switchroom.phonenet.g711 import PCMU
from switchroom.phonenet.rtp import Packet

pytestmark = [pytest.mark.interop, needs_sipp]


def tone(seconds: float, hz: float, level_dbov: float = -20.0) -> rtc.AudioFrame:
    n = np.arange(int(seconds * RATE))
    peak = 32_767 * math.sqrt(2) * 10 ** (level_dbov / 20)
    wave = (peak * np.sin(2 * np.pi * hz * n / RATE)).astype(np.int16)
    return rtc.AudioFrame(wave.tobytes(), RATE, 1, len(n))


def level_of(samples: list[int], hz: float) -> float:
    """The level of one frequency in dBov."""
    wave = np.asarray(samples, dtype=np.float64) / 32_768
    turn = np.exp(-2j * np.pi * hz * np.arange(len(wave)) / 8_000)
    return 20 * math.log10(max(2 * abs(np.mean(wave * turn)), 1e-9)) - 3.01


async def test_a_dialing_phone_is_there_with_all_that_is_known_and_answers_in_order(
    server: Server, tmp_path: Path
) -> None:
    async with rtp_phone(tmp_path / "phone", rings_ms=300) as phone, agent_in(server) as agent:
        async with called(server, phone) as info:
            # Who comes later than the answer sees the phone as it is: told before the request is.
            (late,) = agent.room.remote_participants.values()
            assert late.attributes["sip.callID"] == info.sip_call_id
            (_, first) = await agent.hears_of("participant_connected")
            assert first is not None
            ((_, participant), _) = await agent.hears_of("participant_attributes_changed")
            await agent.hears_of("participant_active")
            await agent.hears_of("track_published")
            await agent.until(lambda: participant.attributes["sip.callStatus"] == "active")
        await agent.hears_of("participant_disconnected")
    assert participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
    order = [name for name, _ in agent.told]
    assert order.index("participant_connected") < order.index("participant_attributes_changed")
    # participant_active fits a phone that rings: wait_for_participant waits for it.
    statuses = [
        facts[0][0]["sip.callStatus"]
        for name, facts in agent.told
        if name == "participant_attributes_changed" and "sip.callStatus" in facts[0][0]
    ]
    assert statuses == ["ringing", "active", "hangup"]
    assert order[-1] == "participant_disconnected"
    assert participant.disconnect_reason == rtc.DisconnectReason.ROOM_DELETED


async def test_nothing_is_said_before_the_answer_and_the_first_word_comes_whole(
    server: Server, tmp_path: Path
) -> None:
    async with rtp_phone(tmp_path / "phone", rings_ms=500) as phone, agent_in(server) as agent:
        publishing = asyncio.create_task(agent.publish())
        async with called(server, phone):
            audio = await publishing
            await audio.capture_frame(tone(0.5, 440))
            await audio.capture_frame(tone(0.3, 0, -90))
            await audio.wait_for_playout()
            await phone.until(
                lambda it: len(it.loud) >= 24 and it.loud[-1] < it.packets[-1][0] - 0.1
            )
    # Half a second is 25 packets; one more where it does not begin with a packet, and Opus rings.
    assert 25 <= len(phone.loud) <= 28
    frames = [frame for _, frame in phone.sound]
    first = next(n for n, frame in enumerate(frames) if max(map(abs, frame)) > 200)
    word = [sample for frame in frames[first + 1 : first + 24] for sample in frame]
    assert level_of(word, 440) == pytest.approx(-20, abs=1.5)


async def test_an_interruption_is_heard_at_once(server: Server, tmp_path: Path) -> None:
    """What the agent takes back is not in any queue of ours."""
    async with rtp_phone(tmp_path / "phone") as phone, agent_in(server) as agent:
        publishing = asyncio.create_task(agent.publish())
        async with called(server, phone):
            audio = await publishing
            await audio.capture_frame(tone(5, 440))
            await phone.until(lambda it: len(it.loud) >= 25)
            heard = len(phone.loud)
            audio.clear_queue()
            # The client has about 100 ms in its own pipeline, and a busy machine a little more.
            await phone.until(lambda it: it.loud[-1] < it.packets[-1][0] - 0.3)
            assert len(phone.loud) - heard <= 15


async def test_a_background_track_is_mixed_and_comes_and_goes_unheard(
    server: Server, tmp_path: Path
) -> None:
    async with rtp_phone(tmp_path / "phone") as phone, agent_in(server) as agent:
        publishing = asyncio.create_task(agent.publish())
        async with called(server, phone):
            voice = await publishing
            speaking = asyncio.create_task(goes_on(voice, 440, -20))
            await phone.until(lambda it: last_half_second(it, 440) == pytest.approx(-20, abs=1.5))
            alone = len(phone.packets)
            background = await agent.publish("background_audio", rtc.TrackSource.SOURCE_UNKNOWN)
            playing = asyncio.create_task(goes_on(background, 1500, -30))
            await phone.until(
                lambda it: (
                    last_half_second(it, 440) == pytest.approx(-20, abs=1.5)
                    and last_half_second(it, 1500) == pytest.approx(-30, abs=2)
                )
            )
            mixed = len(phone.packets)
            playing.cancel()
            track = next(
                sid
                for sid, published in agent.room.local_participant.track_publications.items()
                if published.name == "background_audio"
            )
            await agent.room.local_participant.unpublish_track(track)
            gone = len(phone.packets)
            await phone.until(lambda it: last_half_second(it, 1500) < -45)
            frames = decoded(phone.packets)
            speaking.cancel()
            voice.clear_queue()
            await agent.room.disconnect()  # before the room ends: see Voice.speaking
    # The voice goes on while the other comes and goes: no two packets in a row without it.
    for change in (frames[alone:mixed], frames[gone:]):
        holes = [level_of(frame, 440) < -30 for frame in change]
        assert not any(one and other for one, other in pairwise(holes))


async def goes_on(source: rtc.AudioSource, hz: float, level_dbov: float) -> None:
    """Play a tone until cancelled; a whole number of its turns fits each piece."""
    while True:
        await source.capture_frame(tone(0.5, hz, level_dbov))


def decoded(packets: Sequence[tuple[float, Packet]]) -> list[list[int]]:
    """Their frames of 20 ms."""
    return [list(PCMU.decode(packet.payload)) for _, packet in packets]


def last_half_second(phone: RtpPhone, hz: float) -> float:
    """The level of one frequency in what came last, in dBov; of nothing, that of silence."""
    samples = [sample for frame in decoded(phone.packets[-25:]) for sample in frame]
    return level_of(samples, hz) if samples else -90.0


async def test_the_last_word_is_heard_before_the_room_ends(server: Server, tmp_path: Path) -> None:
    async with rtp_phone(tmp_path / "phone") as phone, agent_in(server) as agent:
        publishing = asyncio.create_task(agent.publish())
        async with called(server, phone):
            audio = await publishing
            await audio.capture_frame(tone(1, 440))
            # What livekit-agents does before it deletes the room.
            await audio.wait_for_playout()
    assert len(phone.loud) >= 45
