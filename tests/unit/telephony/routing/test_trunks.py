"""The rules of outbound trunks, in LiveKit's words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.media_config import MediaConfig
from switchroom.telephony.routing.trunks import (
    OutboundTrunk,
    OutboundTrunkUpdate,
    Transport,
    checked,
    listed,
    replacement,
)
from switchroom.telephony.routing.updates import ListUpdate

_TRUNK = OutboundTrunk(trunk_id="ST_1", address="sip.example.com", numbers=("+15105550100",))
_URI = "trunk address should be a hostname or IP, not SIP URI"


def _refusal(trunk: OutboundTrunk) -> str:
    with pytest.raises(InvalidRequestError) as refusal:
        checked(trunk)
    return refusal.value.message


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"numbers": ()}, "no trunk numbers specified"),
        ({"address": ""}, "no outbound address specified"),
        (
            {"address": "sip.example.com;transport=tcp"},
            "trunk address should not contain transport parameter",
        ),
        ({"address": "bob@sip.example.com"}, _URI),
        ({"address": "sip.example.com;lr"}, _URI),
        ({"address": "sip:bob@sip.example.com"}, _URI),
        ({"address": "sip:sip.example.com;lr"}, _URI),
        ({"address": "sip:sip.example.com;transport=carrier-pigeon"}, _URI),
        ({"from_host": "bob@example.com"}, "from_host should be a hostname or IP, not SIP URI"),
        (
            {"from_host": "example.com;transport=tcp"},
            "from_host should not contain transport parameter",
        ),
        ({"media": MediaConfig(timeout=-1)}, "media_timeout must not be negative"),
    ],
)
def test_a_trunk_that_cannot_work_is_refused(changes: dict[str, object], text: str) -> None:
    assert _refusal(replace(_TRUNK, **changes)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    [
        "a b", "sip.example.com:0", "sip.example.com:65536", "[::1", "<x>", "a/b", "x\r\ny",
        ":5060", "_sip._udp.example.com", "-a", ".", "a-",
    ],
)  # fmt: skip
def test_an_address_that_is_no_host_is_refused(address: str) -> None:
    text = "trunk address must be a host name or IP, with a port where needed"
    assert _refusal(replace(_TRUNK, address=address)) == text


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"Call-ID": "x"}},
        {"headers_to_attributes": {"not a header": "a"}},
        {"attributes_to_headers": {"a": "not a header"}},
    ],
)
def test_bad_header_names_are_refused(changes: dict[str, object]) -> None:
    assert _refusal(replace(_TRUNK, **changes)).startswith("invalid header name: ")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "address", "transport"),
    [
        ("sip.example.com", "sip.example.com", Transport.AUTO),
        ("sip.example.com:5070", "sip.example.com:5070", Transport.AUTO),
        (" 192.0.2.1 ", "192.0.2.1", Transport.AUTO),
        ("[2001:db8::1]:5060", "[2001:db8::1]:5060", Transport.AUTO),
        ("sip:sip.example.com", "sip.example.com", Transport.AUTO),
        ("SIP:sip.example.com:5070;transport=tcp", "sip.example.com:5070", Transport.TCP),
        ("sips:sip.example.com", "sip.example.com", Transport.TLS),
        ("sips:sip.example.com:5061;transport=tls", "sip.example.com:5061", Transport.TLS),
    ],
)
def test_an_address_is_brought_into_one_form(
    written: str, address: str, transport: Transport
) -> None:
    trunk = checked(replace(_TRUNK, address=written))
    assert (trunk.address, trunk.transport) == (address, transport)


def test_address_and_field_must_not_contradict_each_other() -> None:
    contradictory = replace(_TRUNK, address="sips:example.com", transport=Transport.UDP)
    assert _refusal(contradictory) == ("trunk address says TLS, but the transport field says UDP")
    agreed = replace(_TRUNK, address="sip:example.com;transport=udp", transport=Transport.UDP)
    assert checked(agreed).transport is Transport.UDP


@pytest.mark.parametrize(
    ("update", "result"),
    [
        (ListUpdate(set=("x",)), ("x",)),
        (ListUpdate(clear=True), ()),
        (ListUpdate(add=("c", "a")), ("a", "b", "c")),
        (ListUpdate(remove=("a", "z")), ("b",)),
        (ListUpdate(add=("c",), remove=("b",)), ("a", "c")),
    ],
)
def test_a_list_is_set_cleared_or_changed(update: ListUpdate, result: tuple[str, ...]) -> None:
    assert update.applied_to(("a", "b")) == result


@pytest.mark.parametrize(
    ("update", "text"),
    [
        (ListUpdate(), "unsupported list update operation"),
        (ListUpdate(clear=True, add=("a",)), "cannot clear and change the list at the same time"),
        (ListUpdate(set=("a",), remove=("b",)), "cannot set and change the list at the same time"),
        (ListUpdate(add=("",)), "empty element in the list"),
    ],
)
def test_a_contradictory_list_update_is_refused(update: ListUpdate, text: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        update.applied_to(("a",))
    assert refusal.value.message == text


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    update = OutboundTrunkUpdate(name="new", auth_password="", address="sip:other.example.com")
    old = replace(_TRUNK, auth_username="user", auth_password="secret")
    assert update.applied_to(old) == replace(
        old, name="new", auth_password="", address="other.example.com"
    )


def test_the_result_of_an_update_is_checked() -> None:
    update = OutboundTrunkUpdate(numbers=ListUpdate(clear=True))
    with pytest.raises(InvalidRequestError, match="no trunk numbers specified"):
        update.applied_to(_TRUNK)


def test_a_replacement_keeps_the_id_and_the_birthday() -> None:
    old = replace(_TRUNK, created_at=7)
    new = replacement(old, OutboundTrunk(address="b.example.com", numbers=("1",)))
    assert (new.trunk_id, new.created_at, new.address) == ("ST_1", 7, "b.example.com")
    with pytest.raises(InvalidRequestError) as refusal:
        replacement(old, replace(_TRUNK, trunk_id="ST_2"))
    assert refusal.value.message == (
        "trunk id in the info must be empty or match the id in the update"
    )


def test_lists_are_filtered_and_ordered_by_id() -> None:
    trunks = [
        replace(_TRUNK, trunk_id="ST_3", numbers=("1", "2")),
        replace(_TRUNK, trunk_id="ST_1", numbers=("2",)),
        replace(_TRUNK, trunk_id="ST_2", numbers=()),
    ]

    def ids(**wishes: object) -> list[str]:
        return [trunk.trunk_id for trunk in listed(trunks, **wishes)]  # type: ignore[arg-type]

    assert ids() == ["ST_1", "ST_2", "ST_3"]
    assert ids(ids=frozenset({"ST_3", "ST_9"})) == ["ST_3"]
    assert ids(numbers=frozenset({"1"})) == ids(numbers=frozenset({"+1"})) == ["ST_2", "ST_3"]
    assert ids(after_id="ST_1") == ["ST_2", "ST_3"]
    assert ids(limit=2) == ["ST_1", "ST_2"]


def test_a_password_is_not_shown_by_accident() -> None:
    assert "secret" not in repr(replace(_TRUNK, auth_password="secret"))
    assert "secret" not in repr(OutboundTrunkUpdate(auth_password="secret"))
