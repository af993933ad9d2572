"""Cutting streams into messages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from switchroom.sip.framing import BrokenStream, Frame, KeepAlive, StreamFramer
from switchroom.sip.grammar import Limits

ONE = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
TWO = b"MESSAGE sip:b SIP/2.0\r\nl : 5\r\nX: y\r\n\r\nhello"
THREE = b"MESSAGE sip:c SIP/2.0\r\nCONTENT-LENGTH:\t\r\n 4\r\n\r\n\r\n\r\n"


def cut(pieces: list[bytes]) -> list[Frame]:
    framer = StreamFramer()
    return [frame for piece in pieces for frame in framer.feed(piece)]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({edge % (len(data) + 1) for edge in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


STREAMS = st.lists(st.sampled_from([ONE, TWO, THREE, b"\r\n", b"\r\n\r\n"]), max_size=6).map(
    b"".join
)


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=12))
def test_it_makes_no_difference_how_the_bytes_arrive(stream: bytes, cuts: list[int]) -> None:
    # A last message settles what line breaks before it meant.
    data = stream + ONE
    assert cut(split(data, cuts)) == cut([data])


def test_messages_and_pings_come_in_order() -> None:
    frames = cut([ONE + b"\r\n\r\n" + TWO + b"\r\n" + THREE + ONE])
    assert frames == [ONE, KeepAlive.PING, TWO, THREE, ONE]


def test_byte_by_byte() -> None:
    assert cut([bytes([byte]) for byte in ONE + TWO + THREE]) == [ONE, TWO, THREE]


def test_what_is_unfinished_can_be_seen() -> None:
    framer = StreamFramer()
    framer.feed(TWO[:20])
    assert framer.pending == 20
    assert framer.feed(TWO[20:]) == [TWO]
    assert framer.pending == 0


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"OPTIONS sip:a SIP/2.0\r\n\r\n", 400, "missing Content-Length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl:1\r\nl:2\r\n\r\n", 400, "conflicting Content-Length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl:-1\r\n\r\n", 400, "bad Content-Length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl:99999999999\r\n\r\n", 400, "bad Content-Length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl:70000\r\n\r\n", 513, "message too large"),
        (b"x" * 65_536, 513, "head too large"),
    ],
)
def test_a_stream_that_can_not_be_cut_any_further_says_so_once(
    data: bytes, status: int, reason: str
) -> None:
    framer = StreamFramer()
    frames = framer.feed(ONE + data) + framer.feed(ONE)
    assert frames[0] == ONE
    (broken,) = frames[1:]
    assert isinstance(broken, BrokenStream)
    assert (broken.fault.status, broken.fault.reason) == (status, reason)
    assert framer.feed(ONE) == []
    assert framer.pending == 0


def test_what_is_kept_is_bounded() -> None:
    framer = StreamFramer(Limits(message_bytes=1_000))
    for _ in range(50):
        framer.feed(b"x" * 100)
        assert framer.pending <= 1_100
