from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from switchroom.sdp.description import MAX_BYTES, SessionDescription
from switchroom.sdp.errors import SdpError

PLAIN = """v=0
o=bob 2890844526 2890844527 IN IP4 192.0.2.7
s=call
c=IN IP4 192.0.2.7
t=0 0
m=audio 49170 RTP/AVP 0 96
a=rtpmap:96 telephone-event/8000
a=fmtp:96 0-15
"""


def audio(body: str | bytes) -> tuple[SessionDescription, str | None]:
    description = SessionDescription.parse(body)
    return description, description.address_of(description.sections[0])


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", " \t\r\n", "\n\n"])
def test_every_line_end_and_trailing_blanks_read_the_same(line_end: str) -> None:
    assert SessionDescription.parse(PLAIN.replace("\n", line_end)) == SessionDescription.parse(
        PLAIN
    )


def test_what_is_written_reads_back_equal() -> None:
    description = SessionDescription.parse(PLAIN)
    text = description.serialise()
    assert SessionDescription.parse(text) == description
    assert text.endswith(b"\r\n")
    assert b"\n" not in text.replace(b"\r\n", b"")


def test_unknown_and_malformed_lines_are_passed_over() -> None:
    noisy = PLAIN.replace("t=0 0", "t=0 0\nz=0\nX-Odd: yes\nb=AS:64\nk=clear:x\n=\na=\n.")
    assert SessionDescription.parse(noisy) == SessionDescription.parse(PLAIN)


def test_a_section_address_overrides_the_session_address() -> None:
    assert audio(PLAIN)[1] == "192.0.2.7"
    assert audio(PLAIN + "c=IN IP4 198.51.100.1\n")[1] == "198.51.100.1"


def test_the_first_of_several_addresses_counts() -> None:
    assert audio(PLAIN + "c=IN IP4 198.51.100.1\nc=IN IP4 198.51.100.2\n")[1] == "198.51.100.1"


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("c=IN IP6 2001:db8::1", "2001:db8::1"),
        ("c=IN IP6 [2001:db8::1]", "2001:db8::1"),
        ("c=IN IP4 224.2.1.1/127/3", "224.2.1.1"),
        ("c=in ip4 192.0.2.9", "192.0.2.9"),
    ],
)
def test_addresses_are_read_in_their_usual_forms(line: str, address: str) -> None:
    assert audio(PLAIN.replace("c=IN IP4 192.0.2.7", line))[1] == address


def test_an_ipv6_address_is_written_as_ip6() -> None:
    description = SessionDescription.parse(PLAIN.replace("IP4 192.0.2.7", "IP6 2001:db8::7"))
    assert b"c=IN IP6 2001:db8::7\r\n" in description.serialise()


def test_a_session_direction_holds_for_sections_without_one() -> None:
    held = PLAIN.replace("t=0 0", "t=0 0\na=inactive")
    description = SessionDescription.parse(held)
    assert description.direction_of(description.sections[0]) == "inactive"
    description = SessionDescription.parse(held + "a=sendonly\n")
    assert description.direction_of(description.sections[0]) == "sendonly"


def test_a_damaged_origin_is_not_worth_a_call() -> None:
    assert SessionDescription.parse(PLAIN.replace(" IN IP4 192.0.2.7\ns", "\ns")).sections


def test_huge_origin_numbers_are_kept_as_written() -> None:
    huge = "9" * 40
    assert SessionDescription.parse(PLAIN.replace("2890844527", huge)).origin.version == huge


def test_a_latin_1_session_name_does_not_end_a_call() -> None:
    assert SessionDescription.parse(PLAIN.encode().replace(b"s=call", b"s=Gespr\xe4ch")).sections


def test_a_port_with_a_count_gives_the_port() -> None:
    description = SessionDescription.parse(PLAIN.replace("49170", "49170/2"))
    assert description.sections[0].port == 49170


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   \r\n",
        b"hello",
        b"v=1\r\n",
        b"\x00\xff" * 100,
        b"v=0\nm=audio\n",
        b"v=0\nm=audio x RTP/AVP 0\n",
        b"v=0\nm=audio 65536 RTP/AVP 0\n",
        b"v=0\nm=audio -1 RTP/AVP 0\n",
        b"v=0\nc=IN IP4\n",
        b"v=0\nc=IN IP6 not:an:address\n",
        b"v=0\nc=IN IP6 fe80::1%eth0\n",
        b"v=0\nc=ATM NSAP x\n",
    ],
)
def test_what_decides_where_media_goes_is_not_guessed(body: bytes) -> None:
    with pytest.raises(SdpError):
        SessionDescription.parse(body)


def test_sizes_are_bounded() -> None:
    line = "m=audio 1 RTP/AVP 0\n"
    assert len(SessionDescription.parse("v=0\n" + line * 16).sections) == 16
    formats = " ".join(str(n) for n in range(64))
    assert len(SessionDescription.parse(f"v=0\nm=audio 1 RTP/AVP {formats}\n").sections) == 1
    for body in (
        "v=0\n" + line * 17,
        f"v=0\nm=audio 1 RTP/AVP {formats} 64\n",
        "v=0\n" + "a=x\n" * MAX_BYTES,
    ):
        with pytest.raises(SdpError):
            SessionDescription.parse(body)


if TYPE_CHECKING:
    from _typeshed import TraceFunction

LINES = st.sampled_from(
    ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "c=IN IP6 ::1", "t=0 0",
     "m=audio 4000 RTP/AVP 0 8 101", "m=video 0 RTP/AVP 31", "a=rtpmap:101 telephone-event/8000",
     "a=ptime:20", "a=sendonly", "a=inactive", "a", "=", "m=", "a=rtpmap:0", "a=:",
     "\x00", "\ud800"]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=400), st.text(max_size=400)))
def test_noise_is_refused_and_nothing_else(body: bytes | str) -> None:
    parse_and_write(body)


@given(st.lists(st.one_of(LINES, st.text(max_size=30)), max_size=40), st.sampled_from("\r\n"))
def test_shuffled_lines_are_read_or_refused(lines: list[str], line_end: str) -> None:
    parse_and_write(line_end.join(["v=0", *lines]))


def parse_and_write(body: bytes | str) -> None:
    try:
        description = SessionDescription.parse(body)
    except SdpError:
        return
    for section in description.sections:
        assert len(section.codecs) <= len(section.formats)
        description.address_of(section)
        description.direction_of(section)
    assert description.serialise()


@pytest.mark.parametrize(
    "filler",
    [
        "a=x",
        "a=rtpmap:1 " + "/" * 50,
        "a=fmtp:0 " + "x " * 40,
        "c=IN IP4 1.1.1.1",
        "a=sendonly",
        "x",
    ],
)
def test_work_grows_in_step_with_length(filler: str) -> None:
    small, large = (steps_to_read(filler, count) for count in (200, 400))
    assert large <= 2 * small


def steps_to_read(filler: str, count: int) -> int:
    """How many lines of Python run for a body with `count` such lines; no clock is asked."""
    body = "v=0\nm=audio 1 RTP/AVP 0 8\n" + f"{filler}\n" * count
    steps = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> TraceFunction:
        nonlocal steps
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        description = SessionDescription.parse(body)
        section = description.sections[0]
        _ = section.codecs, section.direction, description.serialise()
    finally:
        sys.settrace(before)
    return steps
