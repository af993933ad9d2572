"""Why somebody hung up, as far as they say."""

from __future__ import annotations

import pytest

from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import ByeReceived, FailureKind, SipFailure
from switchroom.sip.reason import Reason, parse_reasons


def test_several_reasons_in_one_field_or_in_many() -> None:
    headers = Headers(
        [
            ("Reason", 'Q.850;cause=16;text="Normal, call clearing", SIP ;cause=200'),
            ("Reason", 'preemption ;cause=1 ;text="UA Preemption"'),
        ]
    )
    assert parse_reasons(headers) == (
        Reason("Q.850", 16, "Normal, call clearing"),
        Reason("SIP", 200),
        Reason("preemption", 1, "UA Preemption"),
    )


@pytest.mark.parametrize(
    ("value", "reasons"),
    [
        ("SIP", (Reason("SIP", None),)),
        ("Q.850;cause=", (Reason("Q.850", None),)),
        ("Q.850;cause=sixteen;text=bye", (Reason("Q.850", None, "bye"),)),
        ('Q.850;cause="16"', (Reason("Q.850", 16),)),
        ("Q.850;cause=99999999999999999999", (Reason("Q.850", None),)),
        ("Q.850;cause=16;;x", ()),
        ('Q.850;text="unbalanced', ()),
        ("", ()),
    ],
)
def test_what_can_not_be_read_does_no_harm(value: str, reasons: tuple[Reason, ...]) -> None:
    """A Reason without a cause has brought a server down before."""
    assert parse_reasons(Headers([("Reason", value)])) == reasons


def test_a_reason_is_written_as_it_is_read() -> None:
    reason = Reason("Q.850", 41, 'said "no"')
    assert parse_reasons(Headers([("Reason", str(reason))])) == (reason,)
    assert str(Reason("SIP", None)) == "SIP"


def test_endings_know_their_reasons() -> None:
    headers = Headers([("Reason", "Q.850;cause=17")])
    assert ByeReceived(headers).reasons == (Reason("Q.850", 17),)
    assert SipFailure(FailureKind.CANCELLED, headers=headers).reasons[0].cause == 17
