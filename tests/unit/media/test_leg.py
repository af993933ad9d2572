"""Legs over real sockets: sound is recognised by its tone, state by its events."""

from __future__ import annotations

import asyncio
import socket

import pytest

from switchroom.media import (
    BadAddress,
    DigitReceived,
    DigitsSent,
    Engine,
    EngineError,
    LegMedia,
    LevelChanged,
    MediaStarted,
    MediaTimedOut,
)
from switchroom.phonenet.rtp import DigitReader, Packet

from .telephone import DIGITS, Telephone, assert_continuous


async def call(engine: Engine, codec: str = "PCMU") -> Telephone:
    phone = Telephone(engine, codec)
    await phone.connect()
    return phone


def keys_in(packets: list[Packet]) -> str:
    reader = DigitReader()
    digits = [packet for packet in packets if packet.payload_type == DIGITS.payload_type]
    return "".join(key.digit for packet in digits for key in reader.take(packet))


@pytest.mark.parametrize(("codec", "other"), [("PCMU", "PCMU"), ("PCMA", "PCMA"), ("PCMU", "PCMA")])
async def test_two_phones_hear_each_others_tone_at_its_level(
    engine: Engine, codec: str, other: str
) -> None:
    alice, bob = await call(engine, codec), await call(engine, other)
    alice.leg.sink.set_inputs({bob.leg.source: 1.0})
    bob.leg.sink.set_inputs({alice.leg.source: 1.0})
    alice.say(440.0, -20.0)
    bob.say(1_000.0, -26.0)
    await asyncio.gather(alice.event(MediaStarted), bob.event(MediaStarted))
    await alice.hear_steady(1_000.0, -26.0, but=440.0)
    await bob.hear_steady(440.0, -20.0, but=1_000.0)
    assert len({packet.ssrc for packet in (*alice.heard, *bob.heard)}) == 2


async def test_a_phone_hears_silence_from_the_first_negotiation_on(engine: Engine) -> None:
    phone = await call(engine, "PCMA")
    packets = await phone.hear(20)
    assert_continuous(packets)
    assert {packet.payload for packet in packets} == {b"\xd5" * 160}


async def test_one_stream_goes_through_every_change_of_what_is_heard(engine: Engine) -> None:
    alice, bob, listener = await call(engine), await call(engine, "PCMA"), await call(engine)
    alice.say(440.0)
    bob.say(1_000.0)
    both = {alice.leg.source: 1.0, bob.leg.source: 1.0}
    for inputs in ({alice.leg.source: 1.0}, both, {}, {bob.leg.source: 1.0}, both):
        listener.leg.sink.set_inputs(inputs)
        await listener.hear(25)
    assert_continuous(listener.heard)
    await listener.hear_steady(440.0, -20.0)
    await listener.hear_steady(1_000.0, -20.0)


async def test_digits_arrive_in_order_and_their_end_is_told(engine: Engine) -> None:
    phone = await call(engine)
    await phone.hear(5)
    phone.leg.send_digits("12#")
    await phone.event(DigitsSent)
    while len(keys_in(phone.heard)) < 3:  # the event overtakes what waits in the phone's socket
        await phone.hear(1)
    assert keys_in(phone.heard) == "12#"


async def test_what_was_received_for_a_phone_is_waited_for_and_a_closed_leg_is_not(
    engine: Engine,
) -> None:
    alice, bob, listener = await call(engine), await call(engine), await call(engine)
    alice.say(440.0)
    bob.say(1_000.0)
    for sources in ({alice.leg.source: 1.0}, {alice.leg.source: 1.0, bob.leg.source: 1.0}):
        listener.leg.sink.set_inputs(sources)
        await listener.hear(10)
        await listener.leg.play_out()
    waiting = asyncio.ensure_future(listener.leg.play_out())
    await asyncio.sleep(0)
    listener.leg.close()
    await waiting
    await listener.leg.play_out()


async def test_a_pressed_key_is_told_once(engine: Engine) -> None:
    phone = await call(engine)
    phone.say(440.0)
    await phone.event(MediaStarted)
    for duration, end in ((160, 0), (320, 0), (800, 0x80), (800, 0x80), (800, 0x80)):
        payload = bytes((9, end | 10)) + duration.to_bytes(2, "big")
        phone.send(payload, DIGITS.payload_type, timestamp=99_000)
    assert await phone.event(DigitReceived) == DigitReceived("9", 100)
    await phone.hear(15)
    assert sum(isinstance(event, DigitReceived) for event in phone.events) == 1


async def test_a_phone_that_falls_silent_is_told(engine: Engine) -> None:
    phone = Telephone(engine, "PCMU")
    await phone.connect()
    phone.leg.update(LegMedia(phone.address, (phone.codec,), DIGITS, media_timeout=0.2))
    await phone.event(MediaTimedOut)


async def test_the_patience_with_a_phone_that_never_says_anything_is_another_one(
    engine: Engine,
) -> None:
    phone = Telephone(engine, "PCMU")
    await phone.connect()
    phone.leg.update(
        LegMedia(phone.address, (phone.codec,), DIGITS, media_timeout=3600.0, first_timeout=0.2)
    )
    await phone.event(MediaTimedOut)


async def test_who_speaks_is_told_with_the_legs_source(engine: Engine) -> None:
    phone = await call(engine)
    phone.say(440.0, -10.0)
    heard = await phone.event(LevelChanged)
    assert heard.source == phone.leg.source
    assert heard.active
    assert heard.level * 8 == round(heard.level * 8)


async def test_a_phone_on_hold_gets_nothing_and_then_the_same_stream(engine: Engine) -> None:
    phone, clock = await call(engine), await call(engine)
    before = (await phone.hear(10))[-1]
    phone.leg.update(LegMedia(phone.address, (phone.codec,), DIGITS, direction="inactive"))
    await engine.stats()
    count = len((await clock.hear(20)) and phone.heard)
    await clock.hear(20)
    assert len(phone.heard) == count
    phone.leg.update(LegMedia(phone.address, (phone.codec,), DIGITS))
    after = (await phone.hear(10))[0]
    assert after.ssrc == before.ssrc
    assert after.sequence == (phone.heard[count - 1].sequence + 1) & 0xFFFF
    assert after.marker


async def test_a_stranger_is_not_heard_and_is_counted(engine: Engine) -> None:
    alice, bob = await call(engine), await call(engine)
    bob.leg.sink.set_inputs({alice.leg.source: 1.0})
    alice.say(440.0)
    await alice.event(MediaStarted)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.setblocking(False)
        for number in range(20):
            packet = Packet(0, number, number * 160, 666, b"\x00" * 160)
            stranger.sendto(packet.pack(), alice.leg.local_address)
        heard = await bob.hear(25)
        with pytest.raises(BlockingIOError):
            stranger.recv(2_000)
    assert all(packet.payload != b"\x00" * 160 for packet in heard)
    counts = {leg.leg: leg for leg in (await engine.stats()).legs}
    assert counts[alice.leg.id].strangers == 20


async def test_counters_say_what_crossed_the_leg(engine: Engine) -> None:
    phone = await call(engine)
    phone.say(440.0)
    await phone.hear(30)
    [counts] = (await engine.stats()).legs
    assert counts.leg == phone.leg.id
    assert counts.packets_out >= 30
    assert counts.bytes_out == counts.packets_out * 160
    assert counts.packets_in >= 25
    assert counts.lost_in == counts.malformed == counts.unknown_payload_type == 0
    assert counts.last_packet_age is not None


async def test_garbage_disturbs_nobody(engine: Engine) -> None:
    phone = await call(engine)
    phone.say(440.0)
    await phone.event(MediaStarted)
    for size in range(60):
        phone.transport.sendto(bytes(range(size)), phone.leg.local_address)
        host, port = phone.leg.local_address
        phone.transport.sendto(bytes([0x80, 200]) + bytes(size), (host, port + 1))
    assert_continuous(await phone.hear(25))
    [counts] = (await engine.stats()).legs
    assert counts.malformed > 50


async def test_what_cannot_be_negotiated_is_refused_where_it_is_asked(engine: Engine) -> None:
    phone = await call(engine)
    with pytest.raises(BadAddress, match=r"'pbx\.example' is not an IP address"):
        phone.leg.update(LegMedia(("pbx.example", 4_000), (phone.codec,)))
    with pytest.raises(EngineError, match="'x' is not a digit or 'w'"):
        phone.leg.send_digits("12x")


async def test_a_closed_leg_tells_nothing_more_and_may_be_closed_again(engine: Engine) -> None:
    phone = await call(engine)
    phone.say(440.0)
    await phone.event(MediaStarted)
    phone.events.clear()
    phone.leg.close()
    phone.leg.close()
    phone.leg.update(LegMedia(phone.address, (phone.codec,)))
    phone.leg.sink.set_inputs({phone.leg.source: 1.0})
    assert (await engine.stats()).legs == ()
    assert phone.events == []
    phone.transport.close()
