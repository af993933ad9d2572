"""What a refused INVITE is told as."""

from __future__ import annotations

from switchroom.sip.headers import Headers
from switchroom.sip.invite_session import FailureKind, SipFailure
from switchroom.telephony.calls.dial_failure import of_failure


def test_a_reason_in_a_broken_encoding_can_be_told_to_clients() -> None:
    headers = Headers([("X-Twilio-Error", "13224 ung\udcfcltig")])
    reason = "Teilnehmer nicht verf\udcfcgbar"
    for kind, status in ((FailureKind.REJECTED, 480), (FailureKind.TRANSPORT, None)):
        ending = of_failure(SipFailure(kind, status=status, reason=reason, headers=headers))
        told = f"{ending.reason} {ending.text} {ending.detail}"
        assert told.encode().decode() == told
        assert "Teilnehmer" in told or "ung" in told
