"""Nobody can make us work more than in proportion to what he sends.

Counted in executed lines of this room, not in seconds: twice the input may cost twice the lines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from switchroom.sip.endpoint import Endpoint, EndpointConfig
from switchroom.sip.flows import Flow
from switchroom.sip.framing import StreamFramer

UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060), ("192.0.2.1", 5060))
HEAD = (
    "INVITE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\n"
    "From: <sip:b@c>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
)

BOMBS: dict[str, Callable[[int], str]] = {
    "commas in Via": lambda n: "Via: " + "SIP/2.0/UDP h;branch=z," * (n // 23),
    "quotes in Contact": lambda n: "Contact: " + '"a",' * (n // 4),
    "backslashes": lambda n: 'Contact: "' + '\\"' * (n // 2) + '" <sip:a@b>',
    "angles": lambda n: "Contact: " + "<sip:a@b>," * (n // 10),
    "folds": lambda n: "Subject: a" + "\r\n a" * (n // 4),
    "parameters": lambda n: "Contact: <sip:a@b>" + ";a=b" * (n // 4),
    "percents": lambda n: "Contact: <sip:" + "%41" * (n // 3) + "@b>",
    "headers": lambda n: "X: y\r\n" * (n // 6) + "Z: z",
    "long header": lambda n: "X: " + "y" * n,
    "requires": lambda n: "Require: " + "a," * (n // 2),
    "login": lambda n: "Authorization: Digest " + 'a="b",' * (n // 6),
}


def lines_run(work: Callable[[], None]) -> int:
    """Lines of ours executed by ``work``, comprehensions' turns included."""
    count = 0

    def local(_frame: FrameType, event: str, _arg: object) -> object:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: FrameType, _event: str, _arg: object) -> object:
        return local if "switchroom/sip" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def receive(bomb: str, size: int) -> int:
    endpoint = Endpoint(EndpointConfig(), new_token=lambda: "ab" * 8, secret=b"s")
    endpoint.admit_with(lambda _request, _flow: None)
    data = f"{HEAD}{BOMBS[bomb](size)}\r\n\r\n".encode()
    return lines_run(lambda: endpoint.receive(UDP, data, 0.0))


@pytest.mark.parametrize("bomb", BOMBS)
def test_twice_the_bomb_is_at_most_twice_the_work(bomb: str) -> None:
    small, large = receive(bomb, 3_500), receive(bomb, 7_000)
    assert large <= 2.2 * small + 100
    # And a whole datagram of it stays below what a thousand honest lines would cost.
    assert receive(bomb, 60_000) < 30_000


def test_a_stream_fed_byte_by_byte_is_scanned_once() -> None:
    searched = 0

    class Counting(bytearray):
        def find(self, needle: object, start: object = 0, *rest: object) -> int:
            nonlocal searched
            searched += len(self) - int(start)  # type: ignore[call-overload]
            return super().find(needle, start)  # type: ignore[arg-type]

    framer = StreamFramer()
    framer._buffer = Counting()
    for _ in range(20_000):
        framer.feed(b"x")
    assert searched < 5 * 20_000
