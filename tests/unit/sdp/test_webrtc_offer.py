from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from switchroom.sdp.errors import SdpError
from switchroom.sdp.webrtc import TrackLabel, offered_sections
from switchroom.sdp.webrtc_offer import (
    DataSection,
    SubscriberSection,
    read_subscriber_answer,
    subscriber_offer,
)

CAPTURES = Path(__file__).parents[2] / "conformance" / "sdp"
CHROMIUM = (CAPTURES / "chromium-js-2.23.0_v0_subscriber_answer.sdp").read_text()
VOICE = SubscriberSection("a1", 4711, TrackLabel("PA_x", "TR_y"))
FREE = SubscriberSection("a2", 4712, None)


@dataclass(frozen=True)
class Transport:
    ice_ufrag: str = "ufrag"
    ice_pwd: str = "password-of-22-letters-"
    fingerprint: str = "sha-256 AA:BB:CC"
    candidates: tuple[str, ...] = ("candidate:1 1 udp 2130706175 192.0.2.1 7882 typ host",)


def test_the_offer_carries_data_tracks_and_free_sections_in_their_places() -> None:
    text = subscriber_offer(Transport(), [DataSection("d"), VOICE, FREE], 3)
    sections = offered_sections(text)
    assert [(s.mid, s.kind, s.direction) for s in sections] == [
        ("d", "application", "sendrecv"),
        ("a1", "audio", "sendonly"),
        ("a2", "audio", "inactive"),
    ]
    assert sections[1].msid_track == "TR_y"
    assert [codec.name for codec in sections[1].codecs] == ["opus", "PCMU", "PCMA", "G722"]
    lines = text.split("\r\n")
    assert "a=group:BUNDLE d a1 a2" in lines
    assert "a=ice-lite" in lines
    assert "a=msid:PA_x|TR_y TR_y" in lines
    assert "a=ssrc:4711 cname:PA_x" in lines
    assert "a=sctp-port:5000" in lines
    assert not any("4712" in line for line in lines)


def test_every_section_says_how_we_are_reached() -> None:
    text = subscriber_offer(Transport(), [DataSection("d"), VOICE], 1)
    for line in ("a=setup:actpass", "a=ice-ufrag:ufrag", "a=fingerprint:sha-256 AA:BB:CC",
                 "a=candidate:1 1 udp 2130706175 192.0.2.1 7882 typ host"):  # fmt: skip
        assert text.count(f"{line}\r\n") == 2


def test_the_version_is_the_callers() -> None:
    assert "o=- 9 4 IN IP4 0.0.0.0\r\n" in subscriber_offer(Transport(), [VOICE], 4, session_id=9)


def test_two_sections_may_not_share_a_mid() -> None:
    with pytest.raises(SdpError):
        subscriber_offer(Transport(), [VOICE, DataSection("a1")], 1)


def test_a_real_browsers_answer_is_read() -> None:
    answer = read_subscriber_answer(CHROMIUM)
    assert (answer.ice_ufrag, answer.ice_pwd) == ("7Ky3", "+wFd2dnZhgwhLrvEiQtSP33p")
    assert answer.setup == "active"
    assert answer.fingerprint.startswith("sha-256 FE:4E:39")
    audio, data = answer.sections
    assert (audio.mid, audio.direction, dict(audio.payload_types)) == ("0", "recvonly", {"PCMU": 0})
    assert (data.kind, data.rejected) == ("application", False)


def test_transport_lines_may_stand_before_all_sections() -> None:
    lines = ("a=ice-ufrag:u", "a=ice-pwd:p", "a=fingerprint:sha-256 AA", "a=setup:passive")
    text = "\n".join(("v=0", *lines, "m=audio 9 X 96", "a=mid:1", "a=recvonly",
                      "a=rtpmap:96 opus/48000/2"))  # fmt: skip
    answer = read_subscriber_answer(text)
    assert (answer.ice_ufrag, answer.setup) == ("u", "passive")
    assert dict(answer.sections[0].payload_types) == {"opus": 96}


def test_a_section_that_the_client_does_not_hear_has_no_payload_types() -> None:
    assert (
        not read_subscriber_answer(CHROMIUM.replace("recvonly", "inactive"))
        .sections[0]
        .payload_types
    )


def test_candidates_are_handed_on() -> None:
    text = CHROMIUM.replace("a=mid:0", "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.3 5 typ host")
    assert read_subscriber_answer(text).candidates == ("candidate:1 1 udp 1 192.0.2.3 5 typ host",)


@pytest.mark.parametrize(
    "missing", ["a=setup", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=mid"]
)
def test_an_answer_without_a_needed_line_is_refused(missing: str) -> None:
    lines = [line for line in CHROMIUM.split("\n") if not line.startswith(missing)]
    with pytest.raises(SdpError):
        read_subscriber_answer("\n".join(lines))


def test_an_answer_must_choose_its_part_in_the_handshake() -> None:
    with pytest.raises(SdpError):
        read_subscriber_answer(CHROMIUM.replace("setup:active", "setup:actpass"))
    with pytest.raises(SdpError):
        read_subscriber_answer("v=0\nm=audio 0 X 0\na=mid:0\n")


@given(st.lists(st.sampled_from([*CHROMIUM.split("\n"), "m=audio 0 X 0", "m=", "a=mid:"])))
def test_nothing_but_an_sdp_error_comes_out(lines: list[str]) -> None:
    try:
        read_subscriber_answer("\n".join(["v=0", *lines]))
    except SdpError:
        return
