from __future__ import annotations

import pytest

from switchroom.sdp.codecs import (
    G722,
    PCMA,
    PCMU,
    Codec,
    listed_codecs,
    parse_rtpmap,
    telephone_event,
)
from switchroom.sdp.errors import SdpError


def test_static_payload_types_need_no_rtpmap() -> None:
    assert listed_codecs(["8", "0", "9"], [], []) == (PCMA, PCMU, G722)


def test_a_dynamic_payload_type_without_rtpmap_means_nothing() -> None:
    assert listed_codecs(["96", "0"], [], []) == (PCMU,)


def test_an_rtpmap_beats_the_static_table() -> None:
    assert listed_codecs(["0"], ["0 PCMA/8000"], []) == (Codec("PCMA", 0, 8000),)


def test_names_are_compared_without_case_and_kept_in_one_spelling() -> None:
    assert parse_rtpmap("96 Telephone-Event/8000") == Codec("telephone-event", 96, 8000)
    assert parse_rtpmap("0 pcmu/8000") == PCMU


def test_channels_and_parameters_are_read() -> None:
    (opus,) = listed_codecs(["111"], ["111 opus/48000/2"], ["111  useinbandfec=1 "])
    assert opus == Codec("opus", 111, 48_000, 2, "useinbandfec=1")
    assert opus.rtpmap == "111 opus/48000/2"


def test_a_format_listed_twice_counts_once() -> None:
    assert listed_codecs(["0", "0", "00"], [], []) == (PCMU,)


def test_an_unreadable_rtpmap_takes_only_its_own_codec_away() -> None:
    assert listed_codecs(["97", "8"], ["97 speex", "999 x/8000"], []) == (PCMA,)


@pytest.mark.parametrize(
    "value",
    ["", "96", "96 x", "96 /8000", "96 x/", "96 x/0", "128 x/8000", "96 x/8/8/8", "٩ x/8000"],
)
def test_a_malformed_rtpmap_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        parse_rtpmap(value)


def test_telephone_events_at_different_clocks_are_different_codings() -> None:
    assert telephone_event(101, 8000).encoding != telephone_event(101, 48_000).encoding
    assert telephone_event(101).encoding == telephone_event(96).encoding
