"""Codecs, encryption and silence: what trunk and call say together."""

from __future__ import annotations

import pytest

from switchroom.sdp.crypto import SrtpPolicy
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.media_config import (
    Encryption,
    ListedCodec,
    MediaConfig,
    offered_codecs,
    srtp_policy,
)

_NONE = "none of the listed codecs is supported; there are opus, G722, PCMU, PCMA"


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


def test_a_call_raises_the_trunks_encryption_and_never_switches_off_what_is_required() -> None:
    trunk = MediaConfig(encryption=Encryption.REQUIRE)
    off = MediaConfig(encryption=Encryption.DISABLE)
    assert trunk.overlaid(off).encryption is Encryption.REQUIRE
    assert off.overlaid(trunk).encryption is Encryption.REQUIRE


def test_a_call_switches_off_what_the_trunk_only_allows() -> None:
    """LiveKit's cannot: it takes DISABLE for unset."""
    trunk = MediaConfig(encryption=Encryption.ALLOW)
    assert trunk.overlaid(MediaConfig()).encryption is Encryption.ALLOW
    off = MediaConfig(encryption=Encryption.DISABLE)
    assert trunk.overlaid(off).encryption is Encryption.DISABLE


def test_a_call_brings_its_whole_list_of_codecs_or_none() -> None:
    trunk = MediaConfig(only_listed_codecs=True, codecs=(ListedCodec("PCMA"),), timeout=5.0)
    assert trunk.overlaid(MediaConfig()) == trunk
    call = MediaConfig(codecs=(ListedCodec("PCMU"),), timeout=9.0)
    assert trunk.overlaid(call) == call


def _names(config: MediaConfig, **switches: bool) -> list[str]:
    named = {name.replace("_", "/"): on for name, on in switches.items()}
    return [codec.name for codec in offered_codecs(config, named)]


def test_digits_are_always_offered_last() -> None:
    assert _names(MediaConfig()) == ["G722", "PCMU", "PCMA", "telephone-event"]
    only = MediaConfig(only_listed_codecs=True, codecs=(ListedCodec("pcma", 8000),))
    assert _names(only) == ["PCMA", "telephone-event"]


@pytest.mark.parametrize(
    ("codecs", "text"),
    [
        ((), "no codecs specified"),
        ((ListedCodec("G729"),), _NONE),
        ((ListedCodec("PCMU", 16000),), _NONE),
        ((ListedCodec("CN"),), _NONE),
    ],
)
def test_nothing_left_to_offer_is_said(codecs: tuple[ListedCodec, ...], text: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        offered_codecs(MediaConfig(only_listed_codecs=True, codecs=codecs))
    assert refusal.value.message == text


def test_listed_codecs_come_first_in_their_order_and_others_follow() -> None:
    listed = (ListedCodec("OPUS"), ListedCodec("PCMA"), ListedCodec("PCMA"), ListedCodec("AMR"))
    names = _names(MediaConfig(codecs=listed))
    assert names[:2] == ["opus", "PCMA"]
    assert names.count("PCMA") == names.count("PCMU") == 1
    only = _names(MediaConfig(only_listed_codecs=True, codecs=listed))
    assert only == ["opus", "PCMA", "telephone-event", "telephone-event"]


def test_digits_have_the_clock_of_each_codec_and_numbers_of_their_own() -> None:
    codecs = offered_codecs(MediaConfig(codecs=(ListedCodec("opus"),)))
    events = [(c.payload_type, c.clock_rate) for c in codecs if c.name == "telephone-event"]
    assert events == [(110, 48_000), (101, 8_000)]
    assert len({codec.payload_type for codec in codecs}) == len(codecs)


def test_the_node_switches_codecs_on_and_off_but_not_those_that_are_listed() -> None:
    assert _names(MediaConfig(), opus=True)[0] == "opus"
    assert "PCMU" not in _names(MediaConfig(), PCMU_8000=False)
    assert "PCMU" in _names(MediaConfig(codecs=(ListedCodec("PCMU"),)), PCMU=False)
    with pytest.raises(InvalidRequestError):
        _names(MediaConfig(), PCMU=False, PCMA=False, G722=False)


@pytest.mark.parametrize(
    ("encryption", "policy"),
    [
        (None, SrtpPolicy.IF_INSISTED),
        (Encryption.DISABLE, SrtpPolicy.NEVER),
        (Encryption.ALLOW, SrtpPolicy.PREFERRED),
        (Encryption.REQUIRE, SrtpPolicy.REQUIRED),
    ],
)
def test_encryption_is_a_policy_for_offers_and_answers(
    encryption: Encryption | None, policy: SrtpPolicy
) -> None:
    assert srtp_policy(encryption) is policy
