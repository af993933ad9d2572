from __future__ import annotations

from array import array

import pytest

from switchroom.phonenet.g711 import LAWS, PCMA, PCMU, Law

BOTH = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def test_known_octets_decode_to_the_values_of_the_recommendation() -> None:
    assert list(PCMU.decode(bytes([0xFF, 0x7F, 0x80, 0x00, 0xFE]))) == [0, 0, 32124, -32124, 8]
    assert list(PCMA.decode(bytes([0xD5, 0x55, 0xAA, 0x2A, 0xD4]))) == [8, -8, 32256, -32256, 24]


@BOTH
def test_every_octet_survives_a_round_trip(law: Law) -> None:
    octets = bytes(range(256))
    assert law.decode(law.encode(law.decode(octets))) == law.decode(octets)


@BOTH
def test_every_sample_becomes_the_nearest_value_there_is(law: Law) -> None:
    values = sorted(set(law.decode(bytes(range(256)))))
    for sample in range(-32_768, 32_768, 97):
        coded = law.decode(law.encode(array("h", [sample])))[0]
        assert abs(coded - sample) == min(abs(value - sample) for value in values)


@BOTH
def test_silence_is_the_octet_for_zero(law: Law) -> None:
    assert law.encode(array("h", [0])) == bytes([law.silence])
    assert abs(law.decode(bytes([law.silence]))[0]) <= 8
