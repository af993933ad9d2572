"""The rules of inbound trunks, in LiveKit's words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.inbound_trunks import (
    InboundTrunk,
    InboundTrunkUpdate,
    check_conflicts,
    checked,
    listed,
    replacement,
)
from switchroom.telephony.routing.media_config import Encryption, ListedCodec, MediaConfig
from switchroom.telephony.routing.updates import ListUpdate, MediaUpdate

_TRUNK = InboundTrunk(trunk_id="ST_1", numbers=("+15105550100",))
_SECURITY = (
    "for security, one of the fields must be set: "
    "AuthUsername+AuthPassword, AllowedAddresses or Numbers"
)


def _refusal(trunk: InboundTrunk) -> str:
    with pytest.raises(InvalidRequestError) as refusal:
        checked(trunk)
    return refusal.value.message


@pytest.mark.parametrize(
    "open_to_all",
    [
        {},
        {"allowed_numbers": ("+1",)},
        {"auth_username": "u"},
        {"auth_password": "p"},
    ],
)
def test_a_trunk_that_lets_everybody_in_is_refused(open_to_all: dict[str, Any]) -> None:
    assert _refusal(InboundTrunk(**open_to_all)) == _SECURITY


@pytest.mark.parametrize("number", ["*", "+*"])
def test_a_number_that_lets_everybody_in_is_refused_and_told_apart(number: str) -> None:
    refusal = _refusal(InboundTrunk(numbers=(number,)))
    assert refusal == f"{_SECURITY}; a number without a digit lets everybody in"


@pytest.mark.parametrize(
    "limited",
    [
        {"numbers": ("+1",)},
        {"numbers": ("+1510*",)},
        {"allowed_addresses": ("192.0.2.0/24",)},
        {"auth_username": "u", "auth_password": "p"},
    ],
)
def test_one_limit_is_enough(limited: dict[str, Any]) -> None:
    trunk = InboundTrunk(**limited)
    assert checked(trunk) == trunk


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"numbers": ("+1", "")}, "numbers: empty element in the list"),
        ({"allowed_numbers": (" ",)}, "allowed_numbers: empty element in the list"),
        ({"headers": {"Contact": "x"}}, "invalid header name: Contact is set by the server"),
        ({"headers_to_attributes": {"X A": "a"}}, "invalid header name: 'X A' is no SIP"),
        ({"attributes_to_headers": {"a": ""}}, "invalid header name: name must not be empty"),
        ({"media": MediaConfig(timeout=601)}, "media_timeout must not exceed 10m0s"),
        ({"ringing_timeout_status": 200}, "ringing_timeout_status must be a SIP error status"),
        ({"allowed_addresses": ("sip:x",)}, 'allowed_addresses: "sip:x" is no IP address'),
    ],
)
def test_what_cannot_be_used_is_refused(changes: dict[str, Any], text: str) -> None:
    assert _refusal(replace(_TRUNK, **changes)).startswith(text)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(replace(_TRUNK, auth_password="secret"))


# ── conflicts ────────────────────────────────────────────────────────────────


def _conflict(trunk: InboundTrunk, *others: InboundTrunk) -> str:
    with pytest.raises(InvalidRequestError) as refusal:
        check_conflicts(trunk, others)
    return refusal.value.message


def test_two_trunks_of_one_number_are_told_apart_by_their_callers_only() -> None:
    new = InboundTrunk(numbers=("1 510 555 0100", "+2"), allowed_addresses=("192.0.2.1",))
    other = replace(_TRUNK, allowed_addresses=("192.0.2.2",))
    assert _conflict(new, other) == (
        'Conflicting inbound SIP Trunks: "<new>" and "ST_1", '
        'using the same number(s) ["1 510 555 0100" "+2"] without AllowedNumbers set'
    )
    germans = replace(new, allowed_numbers=("+49*",))
    check_conflicts(germans, [other])
    check_conflicts(germans, [replace(other, allowed_numbers=("+48*",))])
    assert _conflict(germans, replace(other, allowed_numbers=("+1", "49*"))).endswith(
        '["1 510 555 0100" "+2"] and AllowedNumber "+49*"'
    )


def test_there_is_one_trunk_for_all_numbers() -> None:
    wild = InboundTrunk(trunk_id="ST_2", allowed_addresses=("192.0.2.2",))
    assert "using the same number(s) []" in _conflict(replace(wild, trunk_id=""), wild)
    check_conflicts(_TRUNK, [wild])


def test_a_closer_pattern_is_no_conflict() -> None:
    check_conflicts(
        InboundTrunk(numbers=("+1510*",)), [_TRUNK, InboundTrunk("a", numbers=("+1*",))]
    )
    assert "Conflicting" in _conflict(
        InboundTrunk(numbers=("+1?3",)), InboundTrunk("ST_9", numbers=("+12?",))
    )


def test_a_trunk_is_not_in_its_own_way() -> None:
    check_conflicts(replace(_TRUNK, name="renamed"), [_TRUNK])


# ── changes ──────────────────────────────────────────────────────────────────


def test_a_replacement_keeps_the_id_and_the_birthday() -> None:
    current = replace(_TRUNK, created_at=5)
    new = replacement(current, InboundTrunk(numbers=("+2",), name="n"))
    assert (new.trunk_id, new.created_at, new.numbers) == ("ST_1", 5, ("+2",))
    with pytest.raises(InvalidRequestError, match="must be empty or match the id"):
        replacement(current, replace(_TRUNK, trunk_id="ST_2"))


def test_an_update_changes_what_it_names() -> None:
    update = InboundTrunkUpdate(
        numbers=ListUpdate(add=("+2",)),
        allowed_addresses=ListUpdate(set=("192.0.2.1",)),
        allowed_numbers=ListUpdate(clear=True),
        auth_username="u",
        auth_password="p",
        auth_realm="r",
        name="n",
        metadata="m",
        media=MediaUpdate(MediaConfig(timeout=3)),
    )
    before = replace(_TRUNK, allowed_numbers=("+9",), headers={"X-A": "1"}, krisp_enabled=True)
    assert update.applied_to(before) == InboundTrunk(
        trunk_id="ST_1",
        numbers=("+15105550100", "+2"),
        allowed_addresses=("192.0.2.1",),
        auth_username="u",
        auth_password="p",
        auth_realm="r",
        name="n",
        metadata="m",
        headers={"X-A": "1"},
        krisp_enabled=True,
        media=MediaConfig(timeout=3),
    )


def test_an_update_that_opens_the_trunk_to_all_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="for security"):
        InboundTrunkUpdate(numbers=ListUpdate(clear=True)).applied_to(_TRUNK)


def test_the_deprecated_encryption_leaves_the_rest_of_media() -> None:
    media = MediaConfig(codecs=(ListedCodec("G722"),), timeout=9)
    update = InboundTrunkUpdate(media=MediaUpdate(legacy_encryption=Encryption.REQUIRE))
    changed = update.applied_to(replace(_TRUNK, media=media)).media
    assert changed == replace(media, encryption=Encryption.REQUIRE)


# ── lists ────────────────────────────────────────────────────────────────────


def test_a_list_is_by_id_and_holds_whatever_serves_a_number() -> None:
    wild = InboundTrunk("ST_2", allowed_addresses=("192.0.2.2",))
    pattern = InboundTrunk("ST_3", numbers=("+1510*",))
    other = InboundTrunk("ST_4", numbers=("+2",))
    trunks = [other, pattern, wild, _TRUNK]
    assert [t.trunk_id for t in listed(trunks)] == ["ST_1", "ST_2", "ST_3", "ST_4"]
    served = listed(trunks, numbers=frozenset({"1 510 555 0100"}))
    assert [t.trunk_id for t in served] == ["ST_1", "ST_2", "ST_3"]
    assert listed(trunks, numbers=frozenset({"+1510*"})) == [wild, pattern]
    assert listed(trunks, ids=frozenset({"ST_4", "ST_9"})) == [other]
    assert listed(trunks, after_id="ST_2", limit=1) == [pattern]
