"""URIs and name-addrs."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchroom.sip.errors import LocalSipError, MalformedValueError
from switchroom.sip.uri import NameAddr, Uri, escape_user, unescape


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@example.com",
        "sip:alice:pw@example.com:5070;transport=tcp;lr?Subject=x&Priority=urgent",
        "sips:example.com",
        "sip:+15551234@192.0.2.1;user=phone",
        "sip:[2001:db8::1]:5060",
        "sip:alice@[2001:db8::1];maddr=[::1]",
        "sip:user;par=u%40example.net@example.com",
        "sip:*72#@example.com",
        "tel:+1-201-555-0123;phone-context=+1",
        "isbn:2983792873",
    ],
)
def test_what_is_read_is_written_back(text: str) -> None:
    assert str(Uri.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "alice@example.com",
        "sip:@example.com",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@c >",
        "sip:a@c:port",
        "sip:a%zz@c",
        "sip:al[ice@c",
        "tel:",
        "1sip:a@b",
        "sip:a@b;;",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(MalformedValueError):
        Uri.parse(text)


def test_the_parts_are_told_apart() -> None:
    uri = Uri.parse("SIP:al%69ce;ext=1@Example.com:5070;Transport=TCP;lr=on?a=b")
    assert (uri.scheme, uri.user, uri.host, uri.port) == (
        "sip",
        "al%69ce;ext=1",
        "Example.com",
        5070,
    )
    assert uri.number == "alice"
    assert uri.transport == "tcp"
    assert uri.loose_routing
    assert uri.param("transport") == "TCP"
    assert uri.headers == "a=b"
    assert str(uri.without_headers()) == "sip:al%69ce;ext=1@Example.com:5070;transport=TCP;lr=on"
    assert Uri.parse("sip:a@b").transport is None
    assert Uri.parse("tel:+1555;x=y").number == "+1555"


def test_a_method_parameter_does_not_go_into_a_request_line() -> None:
    assert str(Uri.parse("sip:a@b;method=REFER;x").without_headers()) == "sip:a@b;x"


@given(st.text(max_size=30))
def test_any_text_can_be_a_user_part(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    uri = Uri.sip(text or None, "example.com", 5060, transport="tcp")
    again = Uri.parse(str(uri))
    assert again == uri
    assert unescape(again.user or "") == text


def test_escaping_keeps_what_needs_none() -> None:
    assert escape_user("+1555;ext=2") == "+1555;ext=2"
    assert escape_user("a b@c%") == "a%20b%40c%25"
    assert unescape("%zz%2") == "%zz%2"
    assert unescape("%C3%A9%FF") == "é�"


def test_a_host_that_is_none_is_our_own_mistake() -> None:
    for host in ("", "a b", "x\r\ny", "a;b"):
        with pytest.raises(LocalSipError):
            Uri.sip("alice", host)


@pytest.mark.parametrize(
    ("text", "display", "uri", "tag"),
    [
        (
            '"A. G. Bell" <sip:agb@bell.example> ;tag=a48s',
            "A. G. Bell",
            "sip:agb@bell.example",
            "a48s",
        ),
        ("sip:+12125551212@phone.example;tag=887s", "", "sip:+12125551212@phone.example", "887s"),
        (
            "Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8",
            "Anonymous",
            "sip:c8oqz84zk7z@privacy.org",
            "hyh8",
        ),
        ("Bell, Alexander <sip:a@b>", "Bell, Alexander", "sip:a@b", None),
        ('"\\"q\\" \\\\" <sip:a@b;x=y>', '"q" \\', "sip:a@b;x=y", None),
        ("<sip:a@b>", "", "sip:a@b", None),
        ("caller<sip:a@b>;tag=1", "caller", "sip:a@b", "1"),
    ],
)
def test_name_addrs_are_read(text: str, display: str, uri: str, tag: str | None) -> None:
    address = NameAddr.parse(text)
    assert (address.display, str(address.uri), address.tag) == (display, uri, tag)
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        '"open <sip:a@b>',
        '"a" sip:a@b',
        "<sip:a@b",
        "sip:a@b>",
        "< sip:a@b>",
        "<sip:a@b> x",
        'a"b <sip:a@b>',
        "sip:a@b?x=y",
        "sip:a@b,sip:c@d",
        "",
    ],
)
def test_broken_name_addrs_are_refused(text: str) -> None:
    with pytest.raises(MalformedValueError):
        NameAddr.parse(text)


def test_tags_are_put_on_and_taken_off() -> None:
    address = NameAddr.parse("<sip:a@b>;x=1;tag=old")
    assert str(address.with_tag("new")) == "<sip:a@b>;x=1;tag=new"
    assert str(address.with_tag(None)) == "<sip:a@b>;x=1"


def test_a_display_name_is_quoted_where_it_must_be() -> None:
    uri = Uri.parse("sip:a@b")
    assert str(NameAddr(uri, "Two Words")) == "Two Words <sip:a@b>"
    assert str(NameAddr(uri, 'O"Brien, J.')) == '"O\\"Brien, J." <sip:a@b>'
    with pytest.raises(LocalSipError):
        str(NameAddr(uri, "a\r\nb"))
