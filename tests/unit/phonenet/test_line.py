from __future__ import annotations

from array import array

import pytest

from switchroom.phonenet.g711 import PCMA, PCMU
from switchroom.phonenet.line import Line, LineCodecs
from switchroom.phonenet.rtp import Packet, unpack
from switchroom.phonenet.sounds import melody, tone

CODECS = LineCodecs({0: PCMU, 8: PCMA}, digits=101)


def new_line(codecs: LineCodecs = CODECS) -> Line:
    return Line(codecs, ssrc=9, sequence=0xFFFE, timestamp=0xFFFFFF00)


def packets(line: Line, count: int) -> list[Packet]:
    found = [unpack(line.next_packet() or b"") for _ in range(count)]
    return [packet for packet in found if packet is not None]


def audio(sequence: int, payload: bytes, payload_type: int = 0, ssrc: int = 1) -> bytes:
    return Packet(payload_type, sequence, 160 * sequence, ssrc, payload).pack()


def test_a_line_sends_an_even_stream_over_both_wraps() -> None:
    sent = packets(new_line(), 4)
    assert [p.sequence for p in sent] == [0xFFFE, 0xFFFF, 0, 1]
    assert [p.timestamp for p in sent] == [0xFFFFFF00, 0xFFFFFFA0, 0x40, 0xE0]
    assert [p.marker for p in sent] == [True, False, False, False]
    assert {p.payload for p in sent} == {b"\xff" * 160}
    assert {p.ssrc for p in sent} == {9}


def test_a_muted_line_keeps_its_time_but_sends_nothing() -> None:
    line = new_line()
    packets(line, 1)
    line.muted = True
    assert packets(line, 3) == []
    line.muted = False
    (next_one,) = packets(line, 1)
    assert (next_one.sequence, next_one.timestamp) == (0xFFFF, 0x180)


def test_an_endless_sound_is_joined_without_a_seam() -> None:
    line = new_line()
    line.play(tone(440))
    sent = b"".join(p.payload for p in packets(line, 101))
    octets = PCMU.encode(tone(440).samples)
    assert sent == (octets * 3)[: len(sent)]


def test_the_end_of_a_sound_is_told_and_filled_up_with_silence() -> None:
    line, ended = new_line(), []
    line.on_played = lambda: ended.append(line.sent)
    line.play(melody(), seconds=0.04)
    sent = packets(line, 3)
    assert ended == [2]
    assert sent[2].payload == b"\xff" * 160


def test_digits_go_out_as_events_of_one_timestamp_each_in_the_stream_of_the_audio() -> None:
    line, done = new_line(), []
    line.on_pressed = lambda: done.append(line.sent)
    packets(line, 1)
    line.press("5")
    sent = packets(line, 12)
    events = [p for p in sent if p.payload_type == 101]
    assert len(events) == 8
    assert {p.timestamp for p in events} == {0xFFFFFFA0}
    assert [p.marker for p in events] == [True] + [False] * 7
    assert [p.payload[1] >> 7 for p in events] == [0] * 5 + [1] * 3
    assert [p.sequence for p in sent] == [(0xFFFF + n) & 0xFFFF for n in range(12)]
    assert sent[8].timestamp == (0xFFFFFFA0 + 8 * 160) & 0xFFFFFFFF
    assert done == [12]


def test_a_digit_without_its_end_counts_when_audio_is_heard_again() -> None:
    line, digits = new_line(), []
    line.on_digit = lambda pressed: digits.append(pressed.digit)
    line.receive(Packet(101, 1, 160, 1, b"\x05\x0a\x00\xa0").pack(), 0.0)
    assert digits == []
    line.receive(audio(2, b"\xff" * 160), 0.02)
    assert digits == ["5"]


def test_either_law_is_heard_whatever_is_sent() -> None:
    line = new_line()
    octets = PCMA.encode(tone(440).samples)
    for n in range(50):
        line.receive(audio(n, octets[n * 160 : n * 160 + 160], 8), n * 0.02)
    assert line.ear.heard().tone_hz == pytest.approx(440, abs=1)


def test_packets_of_other_lengths_are_heard_all_the_same() -> None:
    line = new_line()
    octets = PCMU.encode(tone(440).samples)
    for n in range(20):
        line.receive(audio(n, octets[n * 240 : n * 240 + 240]), n * 0.03)
    heard = line.ear.heard()
    assert heard.tone_hz == pytest.approx(440, abs=1)
    assert heard.gaps == 0


def test_what_was_not_agreed_on_is_not_heard() -> None:
    line = new_line()
    for datagram in (audio(1, b"\x00" * 160, 9), b"garbage", b"", audio(1, b"", 9)):
        line.receive(datagram, 0.0)
    assert line.received == 0
    line.receive(audio(1, b""), 0.0)
    assert line.received == 1


def test_a_changed_agreement_changes_what_is_sent() -> None:
    line = new_line()
    line.codecs = LineCodecs({8: PCMA})
    assert packets(line, 1)[0].payload_type == 8
    with pytest.raises(ValueError, match="telephone-events"):
        line.press("1")


def test_an_echo_is_silent_while_nothing_comes() -> None:
    line = new_line()
    line.echoing = True
    line.receive(audio(1, b"\x10" * 160), 0.0)
    assert [p.payload[0] for p in packets(line, 2)] == [0x10, 0xFF]
    line.receive(audio(2, b"\x10" * 160, 8), 0.0)
    assert packets(line, 1)[0].payload[0] == 0xFF


class Follower:
    def __init__(self) -> None:
        self.loud: list[bool] = []

    def hear(self, frame: array[int]) -> None:
        self.loud.append(max(frame) > 1000)


def test_a_follower_hears_what_the_line_hears() -> None:
    line, follower = new_line(), Follower()
    line.followers.append(follower)
    line.receive(audio(1, PCMU.encode(tone(440).samples[:160])), 0)
    line.receive(audio(3, PCMU.encode(tone(440).samples[:160])), 0)
    assert follower.loud == [True, False, True]


def test_a_follower_of_a_line_on_which_nothing_comes_hears_silence_after_200_ms() -> None:
    line, follower = new_line(), Follower()
    line.followers.append(follower)
    packets(line, 10)
    assert follower.loud == []
    packets(line, 5)
    assert follower.loud == [False] * 5
    line.receive(audio(1, PCMU.encode(tone(440).samples[:160])), 0)
    packets(line, 10)
    assert follower.loud == [False] * 5 + [True]
