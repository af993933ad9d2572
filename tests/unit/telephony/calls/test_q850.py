"""What Reason headers tell, in numbers and in words."""

from __future__ import annotations

import pytest

from switchroom.sip.headers import Headers
from switchroom.telephony.calls.q850 import q850_of, trouble_in


@pytest.mark.parametrize(
    ("reason", "cause", "trouble"),
    [
        ("Q.850;cause=16", 16, ""),
        ("SIP;cause=200", None, ""),
        ("X.int;cause=0", None, ""),
        ("RELEASE_CAUSE;cause=1", None, ""),
        ("q.850;cause=41", 41, "q.850 cause 41: temporary failure"),
        ('Q.850;cause=27;text="Gone"', 27, "Q.850 cause 27: Gone"),
        ('SIP;cause=503;text="Overload", Q.850;cause=42', 42, "SIP cause 503: Overload"),
        ("Q.850;cause=99", 99, "Q.850 cause 99"),
        ("Q.850", None, ""),
        ("cause=16", None, ""),
        (";;;", None, ""),
    ],
)
def test_a_reason_is_read_for_the_books(reason: str, cause: int | None, trouble: str) -> None:
    headers = Headers((("Reason", reason),))
    assert (q850_of(headers), trouble_in(headers)) == (cause, trouble)


def test_no_reason_and_a_broken_encoding_are_no_trouble() -> None:
    assert (q850_of(Headers()), trouble_in(Headers())) == (None, "")
    broken = Headers((("Reason", 'Q.850;cause=41;text="\udcfc"'),))
    assert trouble_in(broken).encode()
