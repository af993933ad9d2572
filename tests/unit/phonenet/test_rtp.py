from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st

from switchroom.phonenet.rtp import (
    DIGITS,
    DigitReader,
    DigitWriter,
    Jitter,
    Packet,
    PressedDigit,
    Sequence,
    unpack,
)

PACKET = Packet(0, 7, 160, 0xDEADBEEF, b"\xff" * 160, marker=True)


def test_a_packet_goes_out_as_the_rfc_draws_it() -> None:
    assert PACKET.pack()[:12].hex() == "80800007000000a0deadbeef"
    assert unpack(PACKET.pack()) == PACKET


def test_sources_extensions_and_padding_are_skipped() -> None:
    body = b"abcd"
    head = bytearray(PACKET.pack()[:12])
    head[0] = 0x80 | 0x20 | 0x10 | 2
    extension = b"\xbe\xde\x00\x01" + b"\x10\xff\x00\x00"
    packet = unpack(bytes(head) + bytes(8) + extension + body + b"\x00\x00\x03")
    assert packet is not None
    assert packet.payload == body


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x80" * 11,
        b"\x00" * 12,
        b"\x80\xc8" + bytes(26),
        b"\x9f\x00" + bytes(12),
        b"\xa0\x00" + bytes(10) + b"\xff",
        b"\xa0\x00" + bytes(10) + b"\x00",
        b"\x8f\x00" + bytes(12),
        b"REGISTER sip:x SIP/2.0\r\n",
    ],
)
def test_what_is_no_rtp_is_ignored(datagram: bytes) -> None:
    assert unpack(datagram) is None


@given(st.binary(max_size=64))
def test_no_datagram_makes_trouble(datagram: bytes) -> None:
    packet = unpack(datagram)
    assert packet is None or len(packet.payload) <= len(datagram) - 12


def take(sequence: Sequence, *numbers: int, ssrc: int = 1) -> list[int | None]:
    return [sequence.take(Packet(0, n, 0, ssrc, b"")) for n in numbers]


def test_missing_packets_are_counted_over_the_wrap() -> None:
    sequence = Sequence()
    assert take(sequence, 65_534, 65_535, 1, 2) == [0, 0, 1, 0]
    assert (sequence.lost, sequence.received) == (1, 4)


def test_a_late_packet_is_dropped_and_no_longer_counts_as_lost() -> None:
    sequence = Sequence()
    assert take(sequence, 1, 3, 2, 4) == [0, 1, None, 0]
    assert sequence.lost == 0


def test_a_repeated_packet_is_dropped() -> None:
    assert take(Sequence(), 1, 2, 2, 3) == [0, 0, None, 0]


def test_a_long_jump_or_another_sender_is_a_new_beginning() -> None:
    sequence = Sequence()
    assert take(sequence, 1, 1000, 1001, 500, 501) == [0, 0, 0, 0, 0]
    assert take(sequence, 503, ssrc=2) == [0]
    assert sequence.lost == 0


def test_an_even_stream_has_no_jitter_and_an_uneven_one_has() -> None:
    even, uneven = Jitter(), Jitter()
    for n in range(200):
        even.arrived(160 * n, 0.020 * n)
        uneven.arrived(160 * n, 0.020 * n + (0.010 if n % 2 else 0))
    assert even.ms == pytest.approx(0, abs=0.001)
    assert uneven.ms == pytest.approx(10, abs=0.1)
    uneven.arrived(0xFFFFFFFF, 4.0)
    assert uneven.ms == pytest.approx(10, abs=0.1)


def event(code: int, timestamp: int, duration: int, *, end: bool = False) -> Packet:
    payload = struct.pack("!BBH", code, 0x80 if end else 0, duration)
    return Packet(101, 0, timestamp, 1, payload)


def read(*packets: Packet) -> list[PressedDigit]:
    reader = DigitReader()
    return [digit for packet in packets for digit in reader.take(packet)] + reader.flush()


def test_many_packets_make_one_digit() -> None:
    packets = [event(5, 1000, d) for d in (160, 320, 480)] + [event(5, 1000, 800, end=True)] * 3
    assert read(*packets) == [PressedDigit("5", 100)]


def test_the_same_digit_twice_is_two_digits() -> None:
    one = [event(5, 1000, 160), event(5, 1000, 320, end=True)]
    two = [event(5, 3000, 160), event(5, 3000, 320, end=True)]
    assert [d.digit for d in read(*one, *two)] == ["5", "5"]


def test_a_digit_whose_ends_are_lost_counts_all_the_same() -> None:
    assert [d.digit for d in read(event(1, 0, 160), event(2, 900, 160))] == ["1", "2"]


def test_a_single_end_packet_is_enough() -> None:
    assert read(event(11, 0, 640, end=True)) == [PressedDigit("#", 80)]


def test_flash_and_short_events_are_no_digits() -> None:
    assert read(event(16, 0, 160, end=True), Packet(101, 0, 0, 1, b"\x01")) == []


@given(st.text(alphabet=DIGITS, max_size=12))
def test_pressed_digits_are_read_back(digits: str) -> None:
    writer, found, reader, slot = DigitWriter(), "", DigitReader(), 0
    writer.press(digits)
    while writer:
        piece = writer.next()
        if piece is not None:
            packet = Packet(101, slot, (slot - piece.age) * 160, 1, piece.payload)
            found += "".join(d.digit for d in reader.take(packet))
        slot += 1
    assert found == digits


def test_a_digit_takes_a_sixth_of_a_second_and_a_wait_half_a_one() -> None:
    writer = DigitWriter()
    writer.press("1w2")
    slots = 0
    while writer:
        writer.next()
        slots += 1
    assert slots == 11 + 25 + 11


def test_what_is_no_digit_cannot_be_pressed() -> None:
    with pytest.raises(ValueError, match="'x'"):
        DigitWriter().press("1x")
