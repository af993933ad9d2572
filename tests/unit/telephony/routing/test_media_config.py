"""Codecs, encryption and silence: what trunk and call say together."""

from __future__ import annotations

import pytest

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.media_config import (
    Encryption,
    ListedCodec,
    MediaConfig,
    offered_codecs,
)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (MediaConfig(codecs=(ListedCodec(""),)), "missing codec name"),
        (MediaConfig(codecs=(ListedCodec("PCMU/8000"),)), "invalid codec name"),
        (MediaConfig(codecs=(ListedCodec("PC MU"),)), "invalid codec name"),
        (MediaConfig(timeout=-1.0), "media_timeout must not be negative"),
        (MediaConfig(timeout=600.1), "media_timeout must not exceed 10m0s"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(config: MediaConfig, text: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        config.check()
    assert refusal.value.message == text


def test_the_longest_silence_is_ten_minutes() -> None:
    MediaConfig(timeout=600.0).check()


def test_the_old_encryption_field_counts_where_the_new_one_is_unset() -> None:
    assert MediaConfig().with_legacy_encryption(Encryption.ALLOW).encryption is Encryption.ALLOW
    assert MediaConfig().with_legacy_encryption(Encryption.DISABLE).encryption is None
    new = MediaConfig(encryption=Encryption.DISABLE)
    assert new.with_legacy_encryption(Encryption.REQUIRE) == new


def test_a_call_raises_the_trunks_encryption_and_never_switches_it_off() -> None:
    trunk = MediaConfig(encryption=Encryption.REQUIRE)
    off = MediaConfig(encryption=Encryption.DISABLE)
    assert trunk.overlaid(off).encryption is Encryption.REQUIRE
    assert off.overlaid(trunk).encryption is Encryption.REQUIRE


def test_a_call_brings_its_whole_list_of_codecs_or_none() -> None:
    trunk = MediaConfig(only_listed_codecs=True, codecs=(ListedCodec("PCMA"),), timeout=5.0)
    assert trunk.overlaid(MediaConfig()) == trunk
    call = MediaConfig(codecs=(ListedCodec("PCMU"),), timeout=9.0)
    assert trunk.overlaid(call) == call


def _names(config: MediaConfig) -> list[str]:
    return [codec.name for codec in offered_codecs(config)]


def test_digits_are_always_offered_last() -> None:
    assert _names(MediaConfig()) == ["PCMU", "PCMA", "telephone-event"]
    only = MediaConfig(only_listed_codecs=True, codecs=(ListedCodec("pcma", 8000),))
    assert _names(only) == ["PCMA", "telephone-event"]


@pytest.mark.parametrize(
    ("codecs", "text"),
    [
        ((), "no codecs specified"),
        ((ListedCodec("G729"),), "none of the listed codecs is supported; there are PCMU, PCMA"),
        (
            (ListedCodec("PCMU", 16000),),
            "none of the listed codecs is supported; there are PCMU, PCMA",
        ),
    ],
)
def test_nothing_left_to_offer_is_said(codecs: tuple[ListedCodec, ...], text: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        offered_codecs(MediaConfig(only_listed_codecs=True, codecs=codecs))
    assert refusal.value.message == text
