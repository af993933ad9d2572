"""What a room may learn of a phone by its methods, and put into its farewell."""

from __future__ import annotations

import json

import pytest

from switchroom.rooms.rpc import RpcFailed
from switchroom.sip.headers import Headers, check_fields
from switchroom.telephony.calls.remote_control import end_call_headers, remote_headers

_HEADERS = Headers(
    (
        ("From", "<sip:+15105550123@a>"),
        ("P-Asserted-Identity", "<sip:+15105550123@a>"),
        ("Proxy-Authorization", 'Digest username="u", response="…"'),
        ("X-Plan", "gold"),
    )
)


@pytest.mark.parametrize("payload", ["", '{"include": ["proxy-authorization"]}'])
def test_what_a_caller_logged_in_with_is_told_to_nobody(payload: str) -> None:
    assert "Digest" not in remote_headers(_HEADERS, payload)


@pytest.mark.parametrize("payload", ["", '{"include": ["From", "X-Plan"]}'])
def test_a_hidden_number_stays_hidden(payload: str) -> None:
    assert "From" in remote_headers(_HEADERS, payload)
    shown = json.loads(remote_headers(_HEADERS, payload, hides_numbers=True))
    assert shown == {"headers": {"X-Plan": "gold"}}


@pytest.mark.parametrize("name", ["Via", "to", "ROUTE", "Require"])
def test_no_header_keeps_the_far_end_from_understanding_our_bye(name: str) -> None:
    with pytest.raises(RpcFailed, match="invalid header name"):
        end_call_headers(json.dumps({"headers": {name: "x"}}))


def test_a_farewell_that_could_not_be_sent_is_refused_to_who_asks_for_it() -> None:
    """Else BYE would fail when it is written, and the call go on for ever."""
    with pytest.raises(RpcFailed, match="no Unicode text"):
        end_call_headers('{"headers": {"X-Why": "\\ud800"}}')
    assert check_fields(end_call_headers('{"headers": {"X-Why": "Grüße"}}'))
