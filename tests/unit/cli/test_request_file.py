from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from livekit.protocol import sip as proto

from switchroom.cli.errors import CommandFailed
from switchroom.cli.request_file import read_request


def read(source: str) -> proto.CreateSIPParticipantRequest:
    return read_request(source, proto.CreateSIPParticipantRequest)


def test_both_spellings_enums_and_durations_are_read() -> None:
    request = read(
        '{"sipTrunkId": "ST_x", "sip_call_to": "+15105550123", "ringing_timeout": "45s",'
        ' "include_headers": "SIP_X_HEADERS", "display_name": ""}'
    )
    assert (request.sip_trunk_id, request.sip_call_to) == ("ST_x", "+15105550123")
    assert request.ringing_timeout.seconds == 45
    assert request.include_headers == proto.SIP_X_HEADERS
    assert request.HasField("display_name")


def test_a_request_may_come_from_a_file_or_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"room_name": "a"}', encoding="utf-8")
    assert read(str(file)).room_name == "a"
    monkeypatch.setattr("sys.stdin", io.StringIO('{"room_name": "b"}'))
    assert read("-").room_name == "b"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ('{"sip_trunk": ""}', "CreateSIPParticipantRequest has no field sip_trunk; did you mean"),
        ('{"trunk": {"hostnam": ""}}', "SIPOutboundConfig has no field hostnam; did you mean"),
        ('{"zzz": ""}', "CreateSIPParticipantRequest has no field zzz"),
        ('{"room_name": 5}', "room_name"),
        ('{"include_headers": "SOME"}', "include_headers"),
        ('{"ringing_timeout": "soon"}', "ringing_timeout"),
        ('{"room_name": ', "line 1: not valid JSON"),
        ("{" * 100_000, "not valid JSON"),
        ("absent.json", "can't read absent.json: No such file or directory"),
    ],
)
def test_a_bad_request_is_refused_in_one_line(source: str, sentence: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        read(source)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_must_hold_one_object_in_utf8(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text("[]", encoding="utf-8")
    with pytest.raises(CommandFailed, match="must hold one JSON object"):
        read(str(file))
    file.write_bytes(b"\xff{}")
    with pytest.raises(CommandFailed, match="is not UTF-8 text"):
        read(str(file))


@given(st.text(max_size=50))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(CommandFailed):
        read("{" + text)
