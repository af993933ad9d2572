from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from switchroom.sdp.errors import SdpError
from switchroom.sdp.webrtc import (
    PublishedAudio,
    TrackLabel,
    finish_answer,
    offered_sections,
    prepare_offer,
)
from switchroom.sdp.webrtc_text import Section, WebRtcText

CAPTURES = Path(__file__).parents[2] / "conformance" / "sdp"
OFFERS = {
    name: (CAPTURES / f"{name}_offer.sdp").read_text()
    for name in (
        "python-livekit-1.2.0_v1_join",
        "python-livekit-1.2.0_v0-fallback_publish",
        "chromium-js-2.23.0_v1_publish",
    )
}
JOIN = OFFERS["python-livekit-1.2.0_v1_join"]
CHROMIUM = OFFERS["chromium-js-2.23.0_v1_publish"]
LABEL = TrackLabel("PA_speaker", "TR_voice")
EVERY_OFFER = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)


def engine_answer(offer: str) -> str:
    """An answer of the form the media engine writes: audio only, random names, video refused."""
    text = WebRtcText.parse(offer)
    sections = tuple(engine_section(section, place) for place, section in enumerate(text.sections))
    live = " ".join(section.mid for section in sections if not section.rejected)
    session = ("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {live}")
    return str(WebRtcText(session, sections))


def engine_section(offered: Section, place: int) -> Section:
    if offered.kind == "video":
        return Section(("m=video 0 UDP/TLS/RTP/SAVPF 0", f"a=mid:{offered.mid}", "a=inactive"))
    common = [
        "c=IN IP4 0.0.0.0",
        f"a=mid:{offered.mid}",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:passive",
        "a=candidate:1 1 udp 2130706175 10.0.0.1 7882 typ host",
    ]
    if offered.kind == "application":
        return Section((" ".join(["m=application 9", *offered.fields[2:]]), *common))
    publishes = offered.direction == "sendonly"
    names = [] if publishes else [
        f"a=msid:stream{place} track{place}",
        f"a=ssrc:{place + 1} cname:c{place}",
        f"a=ssrc:{place + 1} msid:stream{place} track{place}",
    ]  # fmt: skip
    return Section(
        (
            "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 9",
            *common,
            "a=recvonly" if publishes else "a=sendonly",
            *names,
            "a=rtpmap:111 opus/48000/2",
        )
    )


def check_promises(offer: str, finished: str, tracks: dict[str, TrackLabel]) -> WebRtcText:
    asked, told = WebRtcText.parse(offer), WebRtcText.parse(finished)
    assert [s.kind for s in told.sections] == [s.kind for s in asked.sections]
    assert told.distinct_mids() == asked.distinct_mids()
    assert [s.rejected for s in told.sections] == [s.rejected for s in asked.sections]
    group = next(line for line in told.session if line.startswith("a=group:BUNDLE"))
    assert group.split()[1:] == [s.mid for s in told.sections if not s.rejected]
    for section in told.sections:
        label = tracks.get(section.mid)
        if section.kind == "audio":
            assert section.value("msid") == (label and label.msid)
        assert not any(" msid:" in value for value in section.values("ssrc"))
    return told


def with_mid(asked: WebRtcText, mid: str) -> Section:
    return next(section for section in asked.sections if section.mid == mid)


# ── finish_answer ────────────────────────────────────────────────────────────


@EVERY_OFFER
def test_an_engine_answer_becomes_one_that_clients_take(offer: str) -> None:
    spare = next(s.mid for s in offered_sections(offer) if s.kind == "audio")
    tracks = {spare: LABEL}
    told = check_promises(offer, finish_answer(offer, engine_answer(offer), tracks), tracks)
    carrying = with_mid(told, spare)
    assert carrying.direction == "sendonly"
    assert carrying.value("msid") == "PA_speaker|TR_voice TR_voice"
    assert [value.split()[1] for value in carrying.values("ssrc")] == ["cname:c0"]
    for section in told.sections:
        assert set(section.formats) <= set(with_mid(WebRtcText.parse(offer), section.mid).formats)


@pytest.mark.parametrize("name", OFFERS)
def test_a_real_answer_of_the_media_engine_becomes_one_that_clients_take(name: str) -> None:
    offer, answer = OFFERS[name], (CAPTURES / f"{name}_engine_answer.sdp").read_text()
    spare = next(s.mid for s in offered_sections(offer) if s.kind == "audio")
    tracks = {spare: LABEL}
    told = check_promises(offer, finish_answer(offer, answer, tracks), tracks)
    assert with_mid(told, spare).direction == "sendonly"
    assert with_mid(told, spare).value("rtpmap") == "111 opus/48000/2"
    invented = [
        word for s in WebRtcText.parse(answer).sections for word in (s.value("msid") or "").split()
    ]
    assert invented
    assert not any(word in str(told) for word in invented)


def test_an_answer_that_clients_are_known_to_take_stays_as_it_is() -> None:
    accepted = (CAPTURES / "answer-accepted-by-clients_v1.sdp").read_text()
    bot = {"0": TrackLabel("PA_bot", "TR_AMbot")}
    finished = finish_answer(JOIN, accepted, bot)
    check_promises(JOIN, finished, bot)
    lines = accepted.replace("\r", "").replace("semantic:WMS", "semantic: WMS").split("\n")
    assert sorted(finished.split("\r\n")) == sorted(lines)


def test_spare_sections_are_inactive_and_nameless() -> None:
    told = WebRtcText.parse(finish_answer(JOIN, engine_answer(JOIN), {}))
    for section in told.sections[:3]:
        assert section.direction == "inactive"
        assert not list(section.values("ssrc"))


def test_a_section_the_client_publishes_in_is_left_alone() -> None:
    told = WebRtcText.parse(finish_answer(CHROMIUM, engine_answer(CHROMIUM), {}))
    assert told.sections[7].direction == "recvonly"


def test_a_label_where_nothing_can_be_sent_has_no_effect() -> None:
    finished = finish_answer(CHROMIUM, engine_answer(CHROMIUM), {"7": LABEL})
    assert "PA_speaker" not in finished


def test_a_refused_video_section_is_kept_alive_by_one_offered_codec() -> None:
    told = WebRtcText.parse(finish_answer(CHROMIUM, engine_answer(CHROMIUM), {}))
    video = told.sections[3]
    assert video.lines[0] == "m=video 9 UDP/TLS/RTP/SAVPF 96"
    assert video.direction == "inactive"
    assert list(video.values("rtpmap")) == ["96 VP8/90000"]
    assert all(value.startswith("96 ") for value in video.values("rtcp-fb"))
    assert "a=rtcp-mux" in video.lines
    assert video.value("ice-ufrag") == "abcd"


def test_a_section_that_the_client_refused_stays_refused() -> None:
    offer = JOIN.replace("m=video 9", "m=video 0", 1)
    told = check_promises(offer, finish_answer(offer, engine_answer(offer), {}), {})
    assert told.sections[3].rejected
    unnamed = engine_answer(offer).replace("a=mid:3\r\n", "")
    assert WebRtcText.parse(finish_answer(offer, unnamed, {})).sections[3].mid == "3"


def test_an_answer_that_does_not_fit_the_offer_is_refused_loudly() -> None:
    answer = engine_answer(JOIN)
    first, second = answer.index("m=audio"), answer.index("m=audio", answer.index("m=audio") + 1)
    for damaged in (
        answer.replace("a=mid:0", "a=mid:9"),
        answer.replace("a=mid:1", "a=mid:0"),
        answer.replace("a=mid:3", "a=mid:9"),
        answer[:first] + answer[second:],
        answer.replace("m=audio", "m=text", 1),
        answer + answer[first:second],
        answer.replace("a=mid:0\r\n", ""),
        "",
    ):
        with pytest.raises(SdpError):
            finish_answer(JOIN, damaged, {})


def published_section(wish: PublishedAudio) -> Section:
    """The answer to the section in which Chromium publishes, from an engine that takes RED."""
    answer = engine_answer(CHROMIUM).replace("SAVPF 111", "SAVPF 63 111")
    codecs = (
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
    )
    answer = answer.replace("opus/48000/2\r\n", "opus/48000/2\r\n" + "\r\n".join((*codecs, "")))
    (mid,) = (s.mid for s in WebRtcText.parse(CHROMIUM).sections if s.direction == "sendonly")
    told = WebRtcText.parse(finish_answer(CHROMIUM, answer, {}, {mid: wish}))
    other = next(s for s in told.sections if s.kind == "audio" and s.mid != mid)
    assert "usedtx=1" not in str(other.lines), "only where the client sends"
    return with_mid(told, mid)


def test_a_published_track_pauses_in_silence_and_repeats_itself_unless_it_must_not() -> None:
    section = published_section(PublishedAudio())
    assert section.formats[:2] == ["63", "111"]
    assert "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1" in section.lines
    section = published_section(PublishedAudio(dtx=False, redundant=False))
    assert section.formats[0] == "111"
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in section.lines
    assert not any(line.startswith(("a=rtpmap:63", "a=fmtp:63")) for line in section.lines)


def test_a_stereo_track_is_asked_for_in_stereo() -> None:
    section = published_section(PublishedAudio(stereo=True))
    fmtp = "minptime=10;useinbandfec=1;usedtx=1;stereo=1;maxaveragebitrate=510000"
    assert section.value("fmtp") == f"111 {fmtp}"


# ── prepare_offer ────────────────────────────────────────────────────────────


@EVERY_OFFER
def test_an_offer_loses_sctp_init_and_dead_candidates_only(offer: str) -> None:
    before = set(offer.replace("\r", "").split("\n"))
    after = set(prepare_offer(offer).split("\r\n"))
    assert after <= before
    assert all(line.startswith(("a=sctp-init:", "a=candidate:")) for line in before - after)
    assert not any(line.startswith("a=sctp-init") for line in after)


@pytest.mark.parametrize(
    ("candidate", "kept"),
    [
        ("1 1 udp 2122260223 192.0.2.3 50000 typ host generation 0", True),
        ("1 1 UDP 2122260223 2001:db8::3 50000 typ host", True),
        ("1 1 udp 2122260223 0c9b2b52-1b1a.local 50000 typ host", False),
        ("1 1 tcp 1518280447 192.0.2.3 9 typ host tcptype active", False),
        ("1 1 udp", False),
        ("", False),
    ],
)
def test_only_candidates_that_can_be_reached_are_kept(candidate: str, *, kept: bool) -> None:
    line = f"a=candidate:{candidate}"
    prepared = prepare_offer(JOIN + line + "\r\n")
    assert (line in prepared.split("\r\n")) == kept


def test_mids_that_the_engine_would_change_are_refused() -> None:
    for mid in ("", "a-b", "x" * 17, "é", "1"):
        with pytest.raises(SdpError):
            prepare_offer(JOIN.replace("a=mid:0", f"a=mid:{mid}"))


# ── offered_sections ─────────────────────────────────────────────────────────


def test_a_published_track_is_named_by_the_second_word_of_its_msid() -> None:
    sections = offered_sections(CHROMIUM)
    assert [s.mid for s in sections] == list("01234567")
    assert [s.kind for s in sections] == ["audio"] * 3 + ["video"] * 3 + ["application", "audio"]
    assert [s.direction for s in sections[:6]] == ["recvonly"] * 6
    assert sections[7].direction == "sendonly"
    assert sections[7].msid_track == "37f0c6b9-8cfb-4779-8bb4-23100a75df2a"


def test_mids_need_not_start_at_zero() -> None:
    sections = offered_sections(OFFERS["python-livekit-1.2.0_v0-fallback_publish"])
    assert [s.mid for s in sections] == [str(n) for n in range(7, 15)]
    assert sections[-1].msid_track == "7f7ba411-e1a2-459a-bfb3-2d3c7bf2f68d"
    assert not any(s.rejected for s in sections)


def test_a_track_named_only_beside_its_ssrc_is_found() -> None:
    lines = [line for line in CHROMIUM.split("\n") if not line.startswith("a=msid:")]
    assert offered_sections("\n".join(lines))[7].msid_track == (
        "37f0c6b9-8cfb-4779-8bb4-23100a75df2a"
    )


def test_codecs_are_listed_in_the_clients_order() -> None:
    names = [codec.name for codec in offered_sections(JOIN)[0].codecs]
    assert names[:5] == ["opus", "red", "G722", "PCMU", "PCMA"]


def test_sizes_are_bounded() -> None:
    for text in ("v=0\n" + "m=audio 9 X 0\na=mid:0\n" * 513, "v=0\n" + "a=x\n" * 600_000):
        with pytest.raises(SdpError):
            offered_sections(text)


# ── properties ───────────────────────────────────────────────────────────────

PIECES = st.sampled_from(["m=audio 9 X 0", "m=video 0 X 96", "m=", "m=audio x X 0", "a=mid:0",
    "a=mid:1", "a=msid:a", "a=msid:- t", "a=ssrc:1 msid:", "a=sendonly", "a=candidate:", "\x00",
    "a=rtpmap:0 PCMU/8000", "a=group:BUNDLE"])  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=20))
def test_nothing_but_an_sdp_error_comes_out(lines: list[str]) -> None:
    text = "\n".join(["v=0", *lines])
    try:
        prepare_offer(text)
        offered_sections(text)
        finish_answer(text, text, {"0": LABEL})
        finish_answer(JOIN, text, {})
    except SdpError:
        return


@given(st.data())
def test_every_mutilated_offer_is_refused_or_keeps_the_promises(data: st.DataObject) -> None:
    lines = JOIN.split("\n")
    for _ in range(data.draw(st.integers(1, 6))):
        del lines[data.draw(st.integers(0, len(lines) - 1))]
    offer = "\n".join(lines)
    try:
        answer = engine_answer(offer)
        finished = finish_answer(offer, answer, {"0": LABEL})
    except SdpError:
        return
    labelled = {"0": LABEL} if _sends(answer, "0") else {}
    check_promises(offer, finished, labelled)


def _sends(answer: str, mid: str) -> bool:
    return any(
        s.mid == mid and s.kind == "audio" and s.direction in ("sendonly", "sendrecv")
        for s in WebRtcText.parse(answer).sections
    )
