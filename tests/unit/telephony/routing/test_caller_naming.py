"""What callers are called: LiveKit's forms, and something sound for whoever gives no number."""

from __future__ import annotations

import hashlib

import pytest

from switchroom.telephony.routing.caller_naming import (
    CallerName,
    free_identity,
    name_caller,
    name_room,
)
from switchroom.telephony.routing.dispatch_rules import (
    CalleeRoom,
    DirectRoom,
    DispatchRule,
    IndividualRoom,
    RoomChoice,
)
from switchroom.telephony.routing.incoming_call import IncomingCall

_CALL = IncomingCall("+15105550123", "+15105550100", "192.0.2.7")
_HASH = hashlib.sha256(b"+15105550123").hexdigest()[:16]


@pytest.mark.parametrize(
    ("caller", "identity", "name"),
    [
        ("+15105550123", "sip_+15105550123", "Phone +15105550123"),
        ("alice", "sip_alice", "Phone alice"),
        ("", "sip_anonymous", "Phone anonymous"),
        ("a\x00\x1bb\n", "sip_ab", "Phone ab"),
    ],
)
def test_a_caller_is_called_by_the_number(caller: str, identity: str, name: str) -> None:
    named = name_caller(caller, hide=False)
    assert (named.identity, named.name) == (identity, name)


def test_a_hidden_number_becomes_its_hash_and_last_digits() -> None:
    assert name_caller("+15105550123", hide=True) == CallerName(
        f"sip_{_HASH}", "Phone 0123", "0123"
    )
    assert name_caller("1234", hide=True).name == "Phone 4"
    assert name_caller("7", hide=True).name == "Phone 7"


def test_hiding_somebody_without_a_number_is_no_fault() -> None:
    assert name_caller("", hide=True).name == "Phone mous"


def test_an_endless_name_fits_an_identity() -> None:
    assert len(name_caller("ä" * 5000, hide=False).identity.encode()) <= 256


@pytest.mark.parametrize(
    ("room", "hide", "name"),
    [
        (DirectRoom("lobby"), False, "lobby"),
        (IndividualRoom("call"), False, "call_+15105550123_RND"),
        (IndividualRoom("call-"), False, "call-_+15105550123_RND"),
        (IndividualRoom(), False, "+15105550123_RND"),
        (IndividualRoom("call", no_randomness=True), False, "call_+15105550123"),
        (IndividualRoom("call"), True, "call_0123_RND"),
        (CalleeRoom("line"), False, "line_+15105550100"),
        (CalleeRoom(), False, "+15105550100"),
        (CalleeRoom("line", randomize=True), True, "line_+15105550100_RND"),
    ],
)
def test_rooms_are_named_as_livekit_names_them(room: RoomChoice, hide: bool, name: str) -> None:
    assert name_room(DispatchRule(room=room, hide_phone_number=hide), _CALL, "RND") == name


def test_strangers_with_the_same_last_digits_do_not_meet() -> None:
    """LiveKit names the room of a hidden caller by four digits, also where calls share the room."""
    rule = DispatchRule(room=IndividualRoom("call", no_randomness=True), hide_phone_number=True)
    assert name_room(rule, _CALL, "RND") == f"call_{_HASH}"


def test_an_endless_prefix_leaves_room_for_what_tells_calls_apart() -> None:
    name = name_room(DispatchRule(room=IndividualRoom("ä" * 300)), _CALL, "RND")
    assert len(name.encode()) <= 256
    assert name.endswith("_+15105550123_RND")


def test_who_calls_twice_does_not_throw_himself_out() -> None:
    present = {"sip_+1", "sip_+1_2"}
    assert free_identity("sip_+2", present.__contains__) == "sip_+2"
    assert free_identity("sip_+1", present.__contains__) == "sip_+1_3"
