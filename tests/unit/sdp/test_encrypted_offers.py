"""Who gets SRTP and who plain RTP, by both sides' policies."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, strategies as st

from switchroom.sdp.codecs import PCMA, PCMU, telephone_event
from switchroom.sdp.crypto import CryptoAttribute, FreshKeys, SrtpPolicy
from switchroom.sdp.errors import EncryptionMismatch, NoCommonCodec, NotAcceptable
from switchroom.sdp.offer_answer import LocalMedia, accept_answer, answer, offer

NEVER, IF_INSISTED = SrtpPolicy.NEVER, SrtpPolicy.IF_INSISTED
PREFERRED, REQUIRED = SrtpPolicy.PREFERRED, SrtpPolicy.REQUIRED

CRYPTO = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
OTHER_SUITE = "a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
PLAIN = "m=audio 4000 RTP/AVP 0"
SECURE = "m=audio 4002 RTP/SAVP 0"


def keys(first: int) -> tuple[CryptoAttribute, ...]:
    numbers = count(first)
    return tuple(FreshKeys(lambda size: bytes([next(numbers)] * size)))


def media(policy: SrtpPolicy, first_key: int = 0) -> LocalMedia:
    codecs = (PCMU, PCMA, telephone_event())
    return LocalMedia("192.0.2.1", 10_000, codecs, 1, srtp=policy, keys=keys(first_key))


def body(*lines: str) -> str:
    head = ("v=0", "o=- 1 1 IN IP4 198.51.100.9", "s=-", "c=IN IP4 198.51.100.9", "t=0 0")
    return "\r\n".join((*head, *lines, ""))


@pytest.mark.parametrize(
    ("policy", "lines", "protocol", "encrypted"),
    [
        (NEVER, (PLAIN,), "RTP/AVP", False),
        (NEVER, (PLAIN, CRYPTO), "RTP/AVP", False),
        (NEVER, (SECURE, CRYPTO, PLAIN), "RTP/AVP", False),
        (IF_INSISTED, (PLAIN, CRYPTO), "RTP/AVP", False),
        (IF_INSISTED, (SECURE, CRYPTO, PLAIN), "RTP/AVP", False),
        (IF_INSISTED, (SECURE, CRYPTO), "RTP/SAVP", True),
        (PREFERRED, (PLAIN,), "RTP/AVP", False),
        (PREFERRED, (PLAIN, CRYPTO), "RTP/AVP", True),
        (PREFERRED, (PLAIN, OTHER_SUITE), "RTP/AVP", False),
        (PREFERRED, (PLAIN, SECURE, CRYPTO), "RTP/SAVP", True),
        (REQUIRED, (PLAIN, CRYPTO), "RTP/AVP", True),
        (REQUIRED, (SECURE, OTHER_SUITE, CRYPTO), "RTP/SAVP", True),
        (REQUIRED, (SECURE.replace("SAVP", "savpf"), CRYPTO), "RTP/savpf", True),
    ],
)
def test_an_offer_is_answered_as_the_policy_has_it(
    policy: SrtpPolicy, lines: tuple[str, ...], protocol: str, encrypted: bool
) -> None:
    description, settled = answer(media(policy), body(*lines))
    live = next(section for section in description.sections if section.port)
    assert (live.protocol, settled.protocol) == (protocol, protocol)
    assert len(live.values("crypto")) == int(encrypted)
    assert (settled.crypto is not None) is encrypted
    if settled.crypto is not None:
        assert (live.value("crypto") or "").startswith("3 AES_CM_128_HMAC_SHA1_80 inline:")
        assert settled.crypto.their_key == bytes(range(30))


@pytest.mark.parametrize(
    ("policy", "lines"),
    [
        (NEVER, (SECURE, CRYPTO)),
        (IF_INSISTED, (SECURE, OTHER_SUITE)),
        (PREFERRED, (SECURE,)),
        (REQUIRED, (PLAIN,)),
        (REQUIRED, (PLAIN, OTHER_SUITE)),
        (REQUIRED, (SECURE, "a=fingerprint:sha-256 00:11")),
    ],
)
def test_what_the_policy_excludes_is_refused_by_name(
    policy: SrtpPolicy, lines: tuple[str, ...]
) -> None:
    with pytest.raises(EncryptionMismatch, match="encr"):
        answer(media(policy), body(*lines))


def test_keys_by_dtls_are_no_rtp_of_ours() -> None:
    with pytest.raises(NotAcceptable, match="no audio section with RTP"):
        answer(media(PREFERRED), body("m=audio 4000 UDP/TLS/RTP/SAVPF 0"))


def test_without_keys_of_our_own_there_is_no_srtp() -> None:
    keyless = LocalMedia("192.0.2.1", 10_000, (PCMU,), 1, srtp=PREFERRED)
    assert answer(keyless, body(PLAIN, CRYPTO))[1].crypto is None


def test_a_codec_in_common_comes_before_encryption_that_is_only_preferred() -> None:
    _, settled = answer(media(PREFERRED), body(SECURE.replace(" 0", " 18"), CRYPTO, PLAIN))
    assert settled.protocol == "RTP/AVP"
    with pytest.raises(NoCommonCodec):
        answer(media(REQUIRED), body(SECURE.replace(" 0", " 18"), CRYPTO, PLAIN))


def test_an_offer_of_srtp_carries_a_line_for_each_suite_and_others_none() -> None:
    for policy, protocol, lines in (
        (NEVER, "RTP/AVP", 0),
        (IF_INSISTED, "RTP/AVP", 0),
        (PREFERRED, "RTP/SAVP", 4),
        (REQUIRED, "RTP/SAVP", 4),
    ):
        section = offer(media(policy)).sections[0]
        assert (section.protocol, len(section.values("crypto"))) == (protocol, lines)


def test_an_answer_in_the_clear_to_an_offer_of_srtp_counts_unless_it_is_required() -> None:
    assert accept_answer(offer(media(PREFERRED)), body(PLAIN), PREFERRED).crypto is None
    with pytest.raises(EncryptionMismatch, match="required"):
        accept_answer(offer(media(REQUIRED)), body(PLAIN), REQUIRED)


@pytest.mark.parametrize("policy", [PREFERRED, REQUIRED])
def test_srtp_without_a_key_or_without_having_been_offered_is_refused(policy: SrtpPolicy) -> None:
    with pytest.raises(EncryptionMismatch):
        accept_answer(offer(media(policy)), body(SECURE), policy)
    with pytest.raises(EncryptionMismatch):
        accept_answer(offer(media(NEVER)), body(SECURE, CRYPTO), NEVER)


def test_a_later_offer_is_as_the_call_is() -> None:
    _, settled = answer(media(PREFERRED), body(PLAIN, CRYPTO))
    section = offer(media(PREFERRED), settled).sections[0]
    assert (section.protocol, len(section.values("crypto"))) == ("RTP/AVP", 4)
    _, settled = answer(media(PREFERRED), body(PLAIN))
    section = offer(media(PREFERRED), settled).sections[0]
    assert (section.protocol, section.values("crypto")) == ("RTP/AVP", ())


POLICIES = st.sampled_from(list(SrtpPolicy))


@given(POLICIES, POLICIES)
def test_both_sides_hold_each_others_keys_or_neither_has_any(
    here: SrtpPolicy, there: SrtpPolicy
) -> None:
    caller, callee = media(here), media(there, first_key=100)
    offered = offer(caller)
    try:
        description, callees = answer(callee, offered.serialise())
    except EncryptionMismatch:
        assert {here.offers, there is not NEVER} == {True, False} or there is REQUIRED
        return
    callers = accept_answer(offered, description.serialise(), here)
    if callers.crypto is None or callees.crypto is None:
        assert callers.crypto == callees.crypto
        assert REQUIRED not in (here, there)
        return
    assert callers.crypto.suite == callees.crypto.suite
    assert callers.crypto.our_key == callees.crypto.their_key
    assert callers.crypto.their_key == callees.crypto.our_key
    assert callers.crypto.our_key != callers.crypto.their_key
