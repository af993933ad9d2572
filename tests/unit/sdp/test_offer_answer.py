from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from switchroom.sdp.codecs import G722, OPUS as OPUS_OURS, PCMA, PCMU, Codec, telephone_event
from switchroom.sdp.description import Direction, SessionDescription
from switchroom.sdp.errors import NoCommonCodec, NotAcceptable, SdpError
from switchroom.sdp.offer_answer import (
    LocalMedia,
    accept_answer,
    answer,
    offer,
    successor,
)

OURS = LocalMedia("192.0.2.1", 10_000, (PCMU, PCMA, telephone_event(101)), session_id=77)
OPUS = Codec("opus", 111, 48_000, 2)


def body(*lines: str, address: str = "198.51.100.9") -> str:
    head = ("v=0", "o=- 1 1 IN IP4 198.51.100.9", "s=-", f"c=IN IP4 {address}", "t=0 0")
    return "\r\n".join((*head, *lines, ""))


AUDIO = ("m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000")


# ── our offer ────────────────────────────────────────────────────────────────


def test_an_offer_names_every_codec_and_the_packet_time() -> None:
    text = offer(OURS).serialise().decode()
    assert "m=audio 10000 RTP/AVP 0 8 101\r\n" in text
    assert "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n" in text
    assert "a=ptime:20\r\na=sendrecv\r\n" in text
    assert text.startswith("v=0\r\no=- 77 1 IN IP4 192.0.2.1\r\n")


def test_what_we_write_reads_as_the_codecs_it_was_written_from() -> None:
    codecs = (OPUS_OURS, G722, PCMU, PCMA, telephone_event(101), telephone_event(102, 48_000))
    ours = offer(replace(OURS, codecs=codecs))
    read = SessionDescription.parse(ours.serialise())
    assert ours.sections[0].codecs == read.sections[0].codecs == codecs
    assert ours == read


def test_an_answer_settles_address_codecs_and_digits() -> None:
    media = accept_answer(offer(OURS), body(*AUDIO))
    assert media.remote == ("198.51.100.9", 4000)
    assert media.codecs == (PCMU, PCMA)
    assert media.digits == Codec("telephone-event", 101, 8000)
    assert (media.direction, media.ptime_ms, media.also_received) == ("sendrecv", 20, ())


def test_an_answer_keeps_the_far_ends_order_of_preference() -> None:
    media = accept_answer(offer(OURS), body("m=audio 4000 RTP/AVP 8 0"))
    assert media.codecs == (PCMA, PCMU)
    assert media.digits is None


def test_a_codec_that_we_did_not_offer_is_not_used() -> None:
    media = accept_answer(offer(OURS), body("m=audio 4000 RTP/AVP 18 9 8"))
    assert media.codecs == (PCMA,)
    with pytest.raises(NoCommonCodec):
        accept_answer(offer(OURS), body("m=audio 4000 RTP/AVP 18 9"))


def test_digits_alone_are_no_audio() -> None:
    digits = ("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000")
    with pytest.raises(NoCommonCodec):
        accept_answer(offer(OURS), body(*digits))


def test_a_renumbered_codec_is_sent_by_their_number_and_heard_by_both() -> None:
    media = accept_answer(
        offer(OURS), body("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000")
    )
    assert media.digits == Codec("telephone-event", 96, 8000)
    assert media.also_received == (telephone_event(101),)


def test_a_number_taken_by_another_codec_is_not_heard_as_ours() -> None:
    """Their 101 is Opus, their digits are 96: our own meaning of 101 must not come back."""
    local = replace(OURS, codecs=(OPUS, telephone_event(101, 48_000)))
    media = accept_answer(
        offer(local),
        body(
            "m=audio 4000 RTP/AVP 101 96",
            "a=rtpmap:101 opus/48000/2",
            "a=rtpmap:96 telephone-event/48000",
        ),
    )
    assert [codec.payload_type for codec in media.codecs] == [101]
    assert media.also_received == (OPUS,)


def test_digits_are_taken_at_the_audios_clock() -> None:
    codecs = (OPUS, PCMU, telephone_event(101, 8000), telephone_event(110, 48_000))
    local = replace(OURS, codecs=codecs)
    for first, number in (("111 0", 110), ("0 111", 101)):
        lines = [f"m=audio 4000 RTP/AVP {first} 101 110", "a=rtpmap:111 opus/48000/2"]
        lines += ["a=rtpmap:101 telephone-event/8000", "a=rtpmap:110 telephone-event/48000"]
        media = accept_answer(offer(local), body(*lines))
        assert media.digits is not None
        assert media.digits.payload_type == number


def test_digits_at_another_clock_are_better_than_none() -> None:
    local = replace(OURS, codecs=(OPUS, telephone_event(101)))
    lines = ("m=audio 4000 RTP/AVP 111 101", "a=rtpmap:111 opus/48000/2", AUDIO[1])
    assert accept_answer(offer(local), body(*lines)).digits is not None


@pytest.mark.parametrize(
    ("line", "ptime_ms"),
    [
        ("a=ptime:30", 30),
        ("a=ptime:25", 20),
        ("a=ptime:400", 60),
        ("a=ptime:5", 10),
        ("a=ptime:x", 20),
        ("a=ptime:0", 20),
        ("a=maxptime:10", 10),
        ("a=maxptime:150", 20),
    ],
)
def test_packets_are_as_long_as_the_far_end_wishes(line: str, ptime_ms: int) -> None:
    assert accept_answer(offer(OURS), body(*AUDIO, line)).ptime_ms == ptime_ms


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ],
)
def test_their_direction_is_mirrored(theirs: str, ours: Direction) -> None:
    media = accept_answer(offer(OURS), body(*AUDIO, f"a={theirs}"))
    assert media.direction == ours
    assert media.sends == (ours in ("sendrecv", "sendonly"))


def test_a_zero_address_holds() -> None:
    media = accept_answer(offer(OURS), body(*AUDIO, address="0.0.0.0"))
    assert (media.remote, media.direction) == (None, "recvonly")
    ipv6 = body(*AUDIO).replace("IP4 198.51.100.9\r\nt", "IP6 ::\r\nt")
    assert accept_answer(offer(OURS), ipv6).remote is None
    name = accept_answer(offer(OURS), body(*AUDIO, address="hold.invalid"))
    assert name.remote is None


def test_a_host_name_is_handed_up_to_who_can_resolve_it() -> None:
    media = accept_answer(offer(OURS), body(*AUDIO, address="media.example.com"))
    assert media.remote == ("media.example.com", 4000)


@pytest.mark.parametrize(
    "address", ["198.51.100", "-a.example", "a..b", "a" * 64, "a\tb", "ho st", "x" * 300]
)
def test_what_is_neither_an_address_nor_a_host_name_is_an_error(address: str) -> None:
    with pytest.raises(SdpError):
        accept_answer(offer(OURS), body(*AUDIO, address=address))


@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255", "ff02::1"])
def test_sound_goes_to_one_host_only(address: str) -> None:
    text = body(*AUDIO, address=address)
    with pytest.raises(NotAcceptable):
        accept_answer(offer(OURS), text if "." in address else text.replace("IP4 ff", "IP6 ff"))


def test_without_a_connection_line_the_origin_counts() -> None:
    text = body(*AUDIO).replace("c=IN IP4 198.51.100.9\r\n", "")
    assert accept_answer(offer(OURS), text).remote == ("198.51.100.9", 4000)


def test_an_answer_that_refuses_the_audio_is_not_acceptable() -> None:
    for lines in (("m=audio 0 RTP/AVP 0",), ("m=video 4002 RTP/AVP 31",), ()):
        with pytest.raises(NotAcceptable):
            accept_answer(offer(OURS), body(*lines))


def test_an_answer_with_a_section_too_many_still_settles_the_audio() -> None:
    media = accept_answer(offer(OURS), body("m=video 0 RTP/AVP 31", *AUDIO))
    assert media.remote == ("198.51.100.9", 4000)


def test_audio_without_an_address_is_an_error() -> None:
    with pytest.raises(SdpError):
        accept_answer(offer(OURS), "v=0\nm=audio 4000 RTP/AVP 0\n")


# ── our answer ───────────────────────────────────────────────────────────────


def test_an_answer_uses_the_offers_numbers_and_order() -> None:
    lines = ("m=audio 4000 RTP/AVP 8 96 0", "a=rtpmap:96 telephone-event/8000")
    description, media = answer(OURS, body(*lines))
    assert description.sections[0].formats == ("8", "96", "0")
    assert media.codecs == (PCMA, PCMU)
    assert media.digits == Codec("telephone-event", 96, 8000)
    assert b"a=rtpmap:96 telephone-event/8000\r\n" in description.serialise()


def test_refused_sections_keep_their_place() -> None:
    description, _ = answer(
        OURS,
        body(
            "m=video 4002 RTP/AVP 31 34",
            "m=audio 0 RTP/AVP 0",
            *AUDIO,
            "m=audio 4006 RTP/AVP 0",
            "m=image 4008 udptl t38",
        ),
    )
    assert [(s.kind, s.port) for s in description.sections] == [
        ("video", 0),
        ("audio", 0),
        ("audio", 10_000),
        ("audio", 0),
        ("image", 0),
    ]
    assert description.sections[0].formats == ("31", "34")
    assert description.sections[4].protocol == "udptl"


def test_the_first_audio_section_with_a_codec_of_ours_is_taken() -> None:
    description, media = answer(OURS, body("m=audio 4000 RTP/AVP 18", "m=audio 4002 RTP/AVP 8"))
    assert [section.port for section in description.sections] == [0, 10_000]
    assert media.remote == ("198.51.100.9", 4002)


def test_a_secure_only_offer_is_not_acceptable_and_beside_a_plain_one_refused() -> None:
    with pytest.raises(NotAcceptable):
        answer(OURS, body("m=audio 4000 RTP/SAVP 0"))
    description, _ = answer(OURS, body("m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 0"))
    assert [section.port for section in description.sections] == [0, 10_000]


def test_an_offer_without_a_codec_of_ours_names_what_it_had() -> None:
    with pytest.raises(NoCommonCodec, match="G729"):
        answer(OURS, body("m=audio 4000 RTP/AVP 18"))
    with pytest.raises(NotAcceptable):
        answer(OURS, body("m=video 4000 RTP/AVP 31"))


@pytest.mark.parametrize(
    ("theirs", "written"),
    [("sendonly", "recvonly"), ("inactive", "inactive"), ("recvonly", "sendonly")],
)
def test_a_held_call_is_answered_by_the_mirror(theirs: str, written: str) -> None:
    description, media = answer(OURS, body(*AUDIO, f"a={theirs}"))
    assert description.sections[0].direction == written
    assert media.direction == written


def test_we_may_hold_too() -> None:
    _, media = answer(replace(OURS, direction="sendonly"), body(*AUDIO))
    assert media.direction == "sendonly"
    _, media = answer(replace(OURS, direction="sendonly"), body(*AUDIO, "a=sendonly"))
    assert media.direction == "inactive"


def test_only_the_digits_at_the_right_clock_are_answered() -> None:
    local = replace(OURS, codecs=(PCMU, telephone_event(101), telephone_event(110, 48_000)))
    lines = ("m=audio 4000 RTP/AVP 0 110 101", "a=rtpmap:110 telephone-event/48000", AUDIO[1])
    description, _ = answer(local, body(*lines))
    assert description.sections[0].formats == ("0", "101")


def test_an_answer_speaks_for_itself_in_its_parameters() -> None:
    """What they receive is theirs to say: their fmtp goes to the encoder, ours into the answer."""
    local = replace(OURS, codecs=(OPUS_OURS, telephone_event(101, 48_000)))
    lines = ["m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 opus/48000"]
    lines += ["a=fmtp:96 maxaveragebitrate=12000", "a=rtpmap:97 telephone-event/48000"]
    description, media = answer(local, body(*lines, "a=fmtp:97 0-16"))
    assert media.codecs[0].fmtp == "maxaveragebitrate=12000"
    section = description.sections[0]
    assert section.values("fmtp") == ("96 useinbandfec=1", "97 0-15")
    assert section.values("rtpmap")[0] == "96 opus/48000"


def test_digits_of_every_clock_that_sound_may_have_are_answered_and_taken() -> None:
    local = replace(OURS, codecs=(OPUS, PCMU, telephone_event(101), telephone_event(110, 48_000)))
    lines = ["m=audio 4000 RTP/AVP 111 0 101 110", "a=rtpmap:111 opus/48000/2"]
    lines += [AUDIO[1], "a=rtpmap:110 telephone-event/48000"]
    description, media = answer(local, body(*lines))
    assert description.sections[0].formats == ("111", "0", "101", "110")
    assert media.digits == Codec("telephone-event", 110, 48_000)
    assert media.also_received == (Codec("telephone-event", 101, 8000),)


def test_comfort_noise_that_they_name_is_understood_and_not_asked_for() -> None:
    description, media = answer(OURS, body("m=audio 4000 RTP/AVP 0 13 8"))
    assert description.sections[0].formats == ("0", "8")
    assert [codec.name for codec in media.also_received] == ["CN"]


def test_reports_share_the_port_where_they_offer_it() -> None:
    description, media = answer(OURS, body(*AUDIO, "a=rtcp-mux"))
    assert media.rtcp_mux
    assert description.sections[0].has("rtcp-mux")
    assert not accept_answer(offer(OURS), body(*AUDIO, "a=rtcp-mux")).rtcp_mux


# ── the version in o= ────────────────────────────────────────────────────────


def test_the_version_rises_with_a_change_and_only_then() -> None:
    first = offer(OURS)
    assert successor(first, offer(OURS)) is first
    held = successor(first, offer(replace(OURS, direction="sendonly")))
    assert held.origin.version == "2"
    assert held.origin.session_id == "77"
    resumed = successor(held, offer(OURS))
    assert resumed.origin.version == "3"


# ── properties ───────────────────────────────────────────────────────────────

CODECS = st.lists(
    st.sampled_from([PCMU, PCMA, G722, OPUS, telephone_event(101), telephone_event(96, 48_000)]),
    unique=True,
    min_size=1,
).map(tuple)
DIRECTIONS = st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])


@given(CODECS, CODECS, DIRECTIONS, DIRECTIONS)
def test_both_sides_of_an_exchange_agree(
    ours: tuple[Codec, ...], theirs: tuple[Codec, ...], here: Direction, there: Direction
) -> None:
    caller = LocalMedia("192.0.2.1", 10_000, ours, 1, direction=here)
    callee = LocalMedia("192.0.2.2", 20_000, theirs, 2, direction=there)
    offered = offer(caller)
    try:
        answered, callees = answer(callee, offered.serialise())
    except NoCommonCodec:
        assert not {c.name for c in ours} & {c.name for c in theirs} - {"telephone-event"}
        return
    callers = accept_answer(offered, answered.serialise())
    assert callers.codecs == callees.codecs
    assert callers.digits == callees.digits
    assert callers.sends == (callees.direction in ("sendrecv", "recvonly"))
    assert callees.sends == (callers.direction in ("sendrecv", "recvonly"))


@given(st.binary(max_size=300), st.sampled_from([b"", b"v=0\n", body(*AUDIO).encode()]))
def test_nothing_but_an_sdp_error_comes_out(noise: bytes, head: bytes) -> None:
    for use in (lambda b: accept_answer(offer(OURS), b), lambda b: answer(OURS, b)):
        try:
            use(head + noise)
        except SdpError:
            continue


def test_an_answer_to_an_answered_offer_reads_back() -> None:
    description, _ = answer(OURS, body(*AUDIO))
    assert SessionDescription.parse(description.serialise()) == description
