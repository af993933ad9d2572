"""Lines of keys, read and chosen from."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given, strategies as st

from switchroom.sdp.crypto import (
    KEY_SIZES,
    OFFERED,
    CryptoAttribute,
    FreshKeys,
    accepted,
    answered,
    offered,
    parse_crypto,
    usable,
)
from switchroom.sdp.errors import SdpError

KEY = bytes(range(30))
INLINE = "inline:" + b64encode(KEY).decode()
CM_80 = "AES_CM_128_HMAC_SHA1_80"


def keys(first: int = 0) -> tuple[CryptoAttribute, ...]:
    numbers = count(first)
    return tuple(FreshKeys(lambda size: bytes([next(numbers)] * size)))


def test_every_suite_has_a_key_of_its_own_and_its_size() -> None:
    made = keys()
    assert {key.suite: len(key.key) for key in made} == dict(KEY_SIZES)
    assert len({key.key[:28] for key in made}) == len(KEY_SIZES)
    assert [(key.tag, key.suite) for key in offered(made)] == list(enumerate(OFFERED, start=1))


def test_keys_are_drawn_when_they_are_looked_at_and_stay_those_of_the_call() -> None:
    drawn: list[int] = []

    def random(size: int) -> bytes:
        drawn.append(size)
        return bytes([len(drawn)] * size)

    made = FreshKeys(random)
    assert drawn == []
    assert list(made) == list(made)
    assert len(drawn) == len(KEY_SIZES)


@pytest.mark.parametrize("key", keys())
def test_a_line_reads_back_as_it_was_written(key: CryptoAttribute) -> None:
    assert parse_crypto(str(key)) == key


def test_a_key_is_in_the_line_and_in_no_representation() -> None:
    key = parse_crypto(f"1 {CM_80} {INLINE}")
    assert INLINE in str(key)
    assert str(KEY) not in repr(key)


@pytest.mark.parametrize(
    ("rest", "mki_size"),
    [
        ("|2^31", 0),
        ("|2147483648", 0),
        ("|1:4", 4),
        ("|2^20|1:4", 4),
        ("|2^20|66051:1;inline:AAAA|2^20|2:1", 1),
        ("|2^31 WSH=64 -X-OWN=1 KDR=0", 0),
    ],
)
def test_lifetime_key_identifier_and_harmless_parameters_are_read(rest: str, mki_size: int) -> None:
    key = parse_crypto(f"7 {CM_80} {INLINE}{rest}")
    assert (key.tag, key.suite, key.key, key.mki_size) == (7, CM_80, KEY, mki_size)


def test_unpadded_keys_and_other_spellings_are_taken() -> None:
    short = b64encode(bytes(28)).decode().rstrip("=")
    assert parse_crypto(f"1 aead_aes_128_gcm INLINE:{short}").key == bytes(28)
    long = b64encode(bytes(46)).decode()
    assert parse_crypto(f"1 AES_CM_256_HMAC_SHA1_80 inline:{long}").suite == (
        "AES_256_CM_HMAC_SHA1_80"
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1",
        f"1 {CM_80}",
        f"x {CM_80} {INLINE}",
        f"-1 {CM_80} {INLINE}",
        f"1 F8_128_HMAC_SHA1_80 {INLINE}",
        f"1 {CM_80} uri:https://keys.example",
        f"1 {CM_80} inline:",
        f"1 {CM_80} inline:{'A' * 39}!",
        f"1 {CM_80} inline:{b64encode(bytes(29)).decode()}",
        f"1 AEAD_AES_128_GCM {INLINE}",
        f"1 {CM_80} {INLINE}|x",
        f"1 {CM_80} {INLINE}|1:500",
        f"1 {CM_80} {INLINE}|x:4",
        f"1 {CM_80} {INLINE}|2^20|1:4|9",
        f"1 {CM_80} {INLINE} UNENCRYPTED_SRTP",
        f"1 {CM_80} {INLINE} UNENCRYPTED_SRTCP",
        f"1 {CM_80} {INLINE} KDR=4",
        f"1 {CM_80} {INLINE} FEC_KEY={INLINE}",
    ],
)
def test_a_line_that_is_not_understood_wholly_is_an_error_and_not_used(line: str) -> None:
    with pytest.raises(SdpError):
        parse_crypto(line)
    assert [key.tag for key in usable([line, f"3 {CM_80} {INLINE}"])] == [3]


def test_an_answer_takes_their_first_line_that_we_have_under_their_tag() -> None:
    theirs = usable(
        [
            f"9 F8_128_HMAC_SHA1_80 {INLINE}",
            f"4 AES_CM_128_HMAC_SHA1_32 {INLINE}|1:4",
            f"5 {CM_80} {INLINE}",
        ]
    )
    both = answered(theirs, keys())
    assert both is not None
    line, settled = both
    assert (line.tag, line.suite) == (4, "AES_CM_128_HMAC_SHA1_32")
    assert settled.our_key == line.key != KEY
    assert (settled.their_key, settled.their_mki_size) == (KEY, 4)
    assert answered(theirs, ()) is None


def test_the_answer_to_our_lines_is_known_by_its_tag_or_else_by_its_suite() -> None:
    ours = offered(keys())
    gcm = CryptoAttribute(2, "AEAD_AES_128_GCM", bytes(28))
    by_tag = accepted([CryptoAttribute(9, CM_80, KEY), gcm], ours)
    assert by_tag is not None
    assert (by_tag.suite, by_tag.our_key) == ("AEAD_AES_128_GCM", ours[1].key)
    by_suite = accepted([CryptoAttribute(9, CM_80, KEY)], ours)
    assert by_suite is not None
    assert (by_suite.our_key, by_suite.their_key) == (ours[0].key, KEY)
    assert accepted([CryptoAttribute(1, "AES_256_CM_HMAC_SHA1_80", bytes(46))], ours) is None
    assert accepted([], ours) is None


PIECES = st.sampled_from(["1", CM_80, INLINE, "inline:", "|", "2^", "1:4", ";", "=", " ", "é", "٣"])


@given(st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=30).map("".join))
def test_nothing_but_an_sdp_error_comes_out(text: str) -> None:
    with suppress(SdpError):
        assert len(parse_crypto(text).key) in KEY_SIZES.values()


def test_many_lines_are_no_more_work_than_they_are_long() -> None:
    assert len(usable([f"1 {CM_80} {INLINE}"] * 5_000)) <= 32
    assert usable(["1 " + "A" * 60_000 + " inline:" + "|" * 5_000]) == ()
