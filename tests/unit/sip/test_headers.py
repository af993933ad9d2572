"""Header fields and their values."""

from __future__ import annotations

import pytest

from switchroom.sip.errors import LocalSipError, MalformedMessageError, MalformedValueError
from switchroom.sip.headers import (
    CSeq,
    Headers,
    RAck,
    Via,
    branch_of,
    check_fields,
    header_key,
    tag_of,
)


def test_all_spellings_of_a_name_are_one_header() -> None:
    headers = Headers.parse_lines(
        ["v: one", "VIA : two", "Via:three", "X-Odd_Name: a", "x-odd_name:b"]
    )
    assert headers.get_all("Via") == ["one", "two", "three"]
    assert headers.get("v") == "one"
    assert headers.get_all("X-ODD_NAME") == ["a", "b"]
    assert "via" in headers
    assert "To" not in headers
    assert headers.get("To") is None
    assert [name for name, _ in headers] == ["Via", "Via", "Via", "X-Odd_Name", "x-odd_name"]
    assert headers.repeated
    assert len(headers) == 5
    assert header_key("CALL-id") == "call-id"


def test_headers_read_and_headers_built_are_alike() -> None:
    built = Headers([("From", "<sip:a@b>"), ("To", "<sip:c@d>")])
    read = Headers.parse_lines(["f:<sip:a@b>", "To: <sip:c@d>"])
    assert built == read
    assert built.get("f") == "<sip:a@b>"
    assert built.get("X-None") is None
    assert built.get_all("t") == ["<sip:c@d>"]
    assert not built.repeated
    twice = Headers([("v", "one"), ("x-odd", "a"), ("Via", "two"), ("X-Odd", "b")])
    assert twice.get("Via") == "one"
    assert twice.get_all("VIA") == ["one", "two"]
    assert twice.get("X-ODD") == "a"
    assert twice.repeated
    assert built != [("From", "x")]
    assert "sip:a@b" in repr(built)


def test_lists_are_read_over_several_fields() -> None:
    headers = Headers.parse_lines(["Supported: 100rel, Timer", "k: replaces", "Supported:"])
    assert headers.values("Supported") == ["100rel", "Timer", "replaces"]
    assert headers.tokens("supported") == {"100rel", "timer", "replaces"}


@pytest.mark.parametrize("line", ["no colon", ": empty", "two words: x", "<x>: y", "ü: y"])
def test_lines_that_are_no_header_fields_are_refused(line: str) -> None:
    with pytest.raises(MalformedMessageError):
        Headers.parse_lines([line])


@pytest.mark.parametrize(
    ("text", "transport", "host", "port", "branch"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1", "UDP", "192.0.2.1", 5060, "z9hG4bK1"),
        ("SIP / 2.0 / tcp   host ; branch = x", "TCP", "host", None, "x"),
        (
            "SIP/2.0/TLS [2001:db8::9:1];rport;branch=y;received=1.2.3.4",
            "TLS",
            "[2001:db8::9:1]",
            None,
            "y",
        ),
        ("SIP/2.0/UDP host:5062", "UDP", "host", 5062, None),
    ],
)
def test_vias_are_read(
    text: str, transport: str, host: str, port: int | None, branch: str | None
) -> None:
    via = Via.parse(text)
    assert (via.transport, via.host, via.port, via.branch) == (transport, host, port, branch)
    assert Via.parse(str(via)) == via
    assert branch_of(text) == (branch or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/3.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0 h",
        "SIP/2.0/U@P h",
        "SIP/2.0/UDP h;;",
    ],
)
def test_broken_vias_are_refused(text: str) -> None:
    with pytest.raises(MalformedValueError):
        Via.parse(text)


def test_the_branch_is_that_of_the_first_of_several_vias() -> None:
    assert branch_of("SIP/2.0/UDP a;branch=one, SIP/2.0/UDP b;branch=two") == "one"
    assert branch_of("SIP/2.0/UDP a, SIP/2.0/UDP b;branch=two") == ""
    assert branch_of('SIP/2.0/UDP a;x=";branch=no";branch=yes') == "yes"
    assert branch_of("") == ""


def test_sent_by_has_its_default_port_filled_in() -> None:
    assert Via.parse("SIP/2.0/UDP Host").sent_by == ("host", 5060)
    assert Via.parse("SIP/2.0/TLS h").sent_by == ("h", 5061)
    assert Via.parse("SIP/2.0/UDP h;rport").wants_rport
    assert not Via.parse("SIP/2.0/UDP h").wants_rport


def test_cseq_and_rack_are_read() -> None:
    assert CSeq.parse("0009  INVITE") == CSeq(9, "INVITE")
    assert str(CSeq(9, "BYE")) == "9 BYE"
    assert RAck.parse("776656 1 INVITE") == RAck(776656, 1, "INVITE")
    assert str(RAck(1, 2, "INVITE")) == "1 2 INVITE"
    for text in ("", "1", "x INVITE", "2147483648 INVITE", "1 IN VITE", "1 <x>"):
        with pytest.raises(MalformedValueError):
            CSeq.parse(text)
    for text in ("", "1 INVITE", "4294967296 1 INVITE"):
        with pytest.raises(MalformedValueError):
            RAck.parse(text)


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("<sip:a@b>;tag=x", "x"),
        ("<sip:a@b>;y=z;tag=x;w", "x"),
        ("<sip:a@b> ; TAG = x", "x"),
        ("<sip:a@b;tag=no>", None),
        ("sip:a@b;tag=x", "x"),
        ("sip:a@b", None),
        ('"a>b;tag=no" <sip:a@b>;tag=x', "x"),
        ('<sip:a@b>;q=";tag=no";tag=x', "x"),
        ("<sip:a@b>;notag=no", None),
        ("<sip:a@b>;tag=", None),
    ],
)
def test_a_tag_is_found_without_reading_the_address(value: str, tag: str | None) -> None:
    assert (tag_of(value) or None) == tag


def test_only_safe_fields_are_sent() -> None:
    assert check_fields([("X-A", "tab\tand é")]) == (("X-A", "tab\tand é"),)
    for field in [
        ("X A", "b"),
        ("", "b"),
        ("X\n", "b"),
        ("X", "a\rb"),
        ("X", "a\nb"),
        ("X", "\x7f"),
        ("X", "\ud800"),
    ]:
        with pytest.raises(LocalSipError):
            check_fields([field])
