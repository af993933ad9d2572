"""What a leg says of itself over a call: offers, answers, another try in the clear, refusals."""

from __future__ import annotations

import pytest

from switchroom.media.leg import CRYPTO_KEY_SIZES
from switchroom.sdp.codecs import PCMU, telephone_event
from switchroom.sdp.crypto import KEY_SIZES, FreshKeys, SrtpPolicy
from switchroom.sdp.errors import EncryptionMismatch, NoCommonCodec, NotAcceptable, SdpError
from switchroom.telephony.calls.call_events import Patience
from switchroom.telephony.calls.leg_description import LegDescription, refusal_of
from switchroom.telephony.calls.leg_media import leg_media


def leg(srtp: SrtpPolicy = SrtpPolicy.NEVER) -> LegDescription:
    keys = tuple(FreshKeys(bytes))
    codecs = (PCMU, telephone_event())
    return LegDescription.offering(("192.0.2.1", 10_000), codecs, 7, srtp=srtp, keys=keys)


def body(*lines: str) -> bytes:
    head = ("v=0", "o=- 1 1 IN IP4 198.51.100.9", "s=-", "c=IN IP4 198.51.100.9", "t=0 0")
    return "\r\n".join((*head, *lines, "")).encode()


def test_who_prefers_srtp_tries_again_in_the_clear_where_it_is_refused() -> None:
    preferring = leg(SrtpPolicy.PREFERRED)
    assert b"RTP/SAVP" in preferring.body
    for status in (415, 488, 606):
        again = preferring.after_refusal(status)
        assert again is not None
        assert b"RTP/AVP" in again.body
        assert b"crypto" not in again.body
        assert again.after_refusal(status) is None
    assert preferring.after_refusal(486) is None
    assert leg(SrtpPolicy.REQUIRED).after_refusal(488) is None
    assert leg().after_refusal(488) is None


def test_a_required_encryption_outlives_a_new_offer() -> None:
    secured, media = leg(SrtpPolicy.REQUIRED).answering_first(
        body(
            "m=audio 4000 RTP/SAVP 0",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40,
        )
    )
    assert media.crypto is not None
    assert b"o=- 7 1 " in secured.body
    with pytest.raises(EncryptionMismatch):
        secured.answering(body("m=audio 4000 RTP/AVP 0"))
    assert b"RTP/SAVP" in secured.reoffering(media).body


def test_an_unchanged_answer_keeps_its_version_and_a_changed_one_raises_it() -> None:
    first, _ = leg().answering_first(body("m=audio 4000 RTP/AVP 0"))
    same, _ = first.answering(body("m=audio 4000 RTP/AVP 0"))
    assert same.body == first.body
    held, _ = same.answering(body("m=audio 4000 RTP/AVP 0", "a=sendonly"))
    assert b"o=- 7 2 " in held.body
    assert b"a=recvonly" in held.body


@pytest.mark.parametrize(
    ("error", "status", "warning"),
    [
        (SdpError("does not begin with v=0"), 400, 399),
        (NotAcceptable("no audio section"), 488, 304),
        (NoCommonCodec("none"), 488, 305),
        (EncryptionMismatch("encryption is required"), 488, 302),
    ],
)
def test_a_refusal_says_why(error: SdpError, status: int, warning: int) -> None:
    refusal = refusal_of(error)
    assert (refusal.status, refusal.warning_code, refusal.text) == (status, warning, str(error))


def test_a_refusal_cannot_break_out_of_its_quotes() -> None:
    text = refusal_of(SdpError('a "b"\r\nX: \\é' + "z" * 500)).text
    assert text.startswith("a 'b'''X: ''z")
    assert len(text) == 200


def test_the_engine_has_every_suite_that_is_negotiated() -> None:
    assert dict(CRYPTO_KEY_SIZES) == dict(KEY_SIZES)


def test_the_engine_is_told_codecs_keys_and_parameters() -> None:
    _, settled = leg(SrtpPolicy.PREFERRED).answering_first(
        body(
            "m=audio 4000 RTP/AVP 0 13 96",
            "a=rtpmap:96 telephone-event/8000",
            "a=fmtp:96 0-11",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "|1:2",
            "a=rtcp-mux",
        )
    )
    told = leg_media(settled, ("203.0.113.7", 9), Patience(30.0, 15.0))
    assert [(codec.payload_type, codec.name) for codec in told.codecs] == [(0, "PCMU"), (13, "CN")]
    assert told.digits is not None
    assert (told.digits.payload_type, told.digits.parameters) == (96, "0-11")
    assert told.crypto is not None
    assert (told.crypto.suite, told.crypto.their_mki_size) == ("AES_CM_128_HMAC_SHA1_80", 2)
    assert (told.crypto.our_key, told.crypto.their_key) == (bytes(30), bytes(30))
    assert (told.remote, told.media_timeout, told.rtcp_mux) == (("203.0.113.7", 9), 15.0, True)
