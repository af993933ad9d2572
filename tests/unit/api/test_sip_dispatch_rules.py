"""livekit.SIP's dispatch rules as the SDKs speak of them, in the new form and in the old."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from livekit.protocol import agent_dispatch, egress, models, room, sip as wire

from scenarios.house import House
from switchroom.api.convert_sip_rules import new_rule_from_wire, rule_to_wire
from switchroom.api.sip_service import SipService

from .conftest import Client
from .sip_api import SipApi

_DIRECT = wire.SIPDispatchRule(
    dispatch_rule_direct=wire.SIPDispatchRuleDirect(room_name="lobby", pin="12")
)
_INDIVIDUAL = wire.SIPDispatchRule(
    dispatch_rule_individual=wire.SIPDispatchRuleIndividual(room_prefix="call-", pin="34")
)
_CALLEE = wire.SIPDispatchRule(
    dispatch_rule_callee=wire.SIPDispatchRuleCallee(room_prefix="line", pin="56", randomize=True)
)


@pytest.fixture
async def sip(serve: Callable[..., Client]) -> AsyncIterator[SipApi]:
    house = House()
    await house.start()
    yield SipApi(serve(SipService(house.telephony)), house)
    await house.stop()


async def _create(sip: SipApi, **fields: Any) -> wire.SIPDispatchRuleInfo:
    info = wire.SIPDispatchRuleInfo(**{"rule": _INDIVIDUAL, **fields})
    request = wire.CreateSIPDispatchRuleRequest(dispatch_rule=info)
    return await sip.call("CreateSIPDispatchRule", request, wire.SIPDispatchRuleInfo)


async def _refused(sip: SipApi, **fields: Any) -> tuple[str, str]:
    info = wire.SIPDispatchRuleInfo(**fields)
    request = wire.CreateSIPDispatchRuleRequest(dispatch_rule=info)
    return await sip.refusal("CreateSIPDispatchRule", request)


def _room_config() -> room.RoomConfiguration:
    """Something of everything: what we don't interpret, we keep whole."""
    return room.RoomConfiguration(
        name="preset",
        empty_timeout=30,
        departure_timeout=10,
        max_participants=4,
        metadata='{"a": 1}',
        egress=room.RoomEgress(room=egress.RoomCompositeEgressRequest(layout="grid")),
        min_playout_delay=1,
        max_playout_delay=2,
        sync_streams=True,
        agents=[
            agent_dispatch.RoomAgentDispatch(agent_name="inbound", metadata="m"),
            agent_dispatch.RoomAgentDispatch(),
        ],
    )


@pytest.mark.parametrize("rule", [_DIRECT, _INDIVIDUAL, _CALLEE])
async def test_a_rule_comes_back_as_it_was_given(sip: SipApi, rule: wire.SIPDispatchRule) -> None:
    given = {
        "rule": rule,
        "trunk_ids": ["ST_1", "ST_2"],
        "hide_phone_number": True,
        "inbound_numbers": ["+1"],
        "numbers": ["+2", "+3*"],
        "name": "n",
        "metadata": "m",
        "attributes": {"a": "b"},
        "room_preset": "p",
        "room_config": _room_config(),
        "krisp_enabled": True,
        "media": wire.SIPMediaConfig(codecs=[wire.SIPCodec(name="G722")]),
    }
    info = await _create(sip, **given)
    assert info.sip_dispatch_rule_id.startswith("SDR_")
    assert info.created_at.seconds == info.updated_at.seconds > 0
    for name, value in given.items():
        assert getattr(info, name) == value, name
    known = {field.name for field in wire.SIPDispatchRuleInfo.DESCRIPTOR.fields}
    own = {"sip_dispatch_rule_id", "media_encryption", "created_at", "updated_at"}
    assert known == {*given, *own}, "a field of the protocol that nobody thought of"


async def test_what_was_not_given_is_not_there(sip: SipApi) -> None:
    info = await _create(sip)
    assert not info.HasField("room_config")
    assert info.HasField("media")
    empty = await _create(sip, trunk_ids=["ST_1"], room_config=room.RoomConfiguration())
    assert empty.HasField("room_config")


# ── the deprecated form ──────────────────────────────────────────────────────


def test_the_flat_form_says_the_same_as_the_new_one() -> None:
    fields: dict[str, Any] = {
        "rule": _DIRECT,
        "trunk_ids": ["ST_1"],
        "hide_phone_number": True,
        "inbound_numbers": ["+1"],
        "name": "n",
        "metadata": "m",
        "attributes": {"a": "b"},
        "room_preset": "p",
        "room_config": _room_config(),
    }
    flat = wire.CreateSIPDispatchRuleRequest(**fields)
    old = {field.name for field in flat.DESCRIPTOR.fields} - {"dispatch_rule"}
    assert old == set(fields)
    new = wire.CreateSIPDispatchRuleRequest(dispatch_rule=wire.SIPDispatchRuleInfo(**fields))
    assert new_rule_from_wire(flat) == new_rule_from_wire(new)
    back = rule_to_wire(new_rule_from_wire(flat))
    assert all(getattr(back, name) == value for name, value in fields.items())


@pytest.mark.parametrize(
    "body",
    [
        '{"rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}}}',
        '{"rule": {"dispatch_rule_individual": {"room_prefix": "call-"}}}',
        '{"dispatch_rule": {"rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}}}}',
        '{"dispatchRule": {"rule": {"dispatch_rule_individual": {"roomPrefix": "call-"}}}}',
        '{"dispatch_rule": {}, "rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}}}',
        (
            '{"dispatch_rule": {"name": "n"}, "name": "o",'
            ' "rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}}}'
        ),
    ],
)
async def test_json_is_taken_in_every_form_that_tutorials_print(sip: SipApi, body: str) -> None:
    answer = await sip.json("CreateSIPDispatchRule", body)
    assert answer["rule"]["dispatch_rule_individual"]["room_prefix"] == "call-"
    assert answer["name"] in ("", "n")


async def test_the_old_encryption_field_becomes_the_new_one(sip: SipApi) -> None:
    allow = wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW
    info = await _create(sip, media_encryption=allow)
    assert info.media.encryption == info.media_encryption == allow


# ── refusals ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, "missing rule"),
        ({"rule": wire.SIPDispatchRule()}, "unsupported SIP Dispatch Rule"),
        ({"sip_dispatch_rule_id": "SDR_x", "rule": _DIRECT}, "rule id must not be set"),
        (
            {"rule": {"dispatch_rule_direct": wire.SIPDispatchRuleDirect(pin="1")}},
            "missing room name",
        ),
        (
            {"rule": {"dispatch_rule_callee": wire.SIPDispatchRuleCallee(pin="no")}},
            "pin must be what a phone can type: up to 16 of 0-9, * and A-D",
        ),
        ({"rule": _DIRECT, "numbers": [""]}, "numbers: empty element in the list"),
        (
            {"rule": _DIRECT, "media": wire.SIPMediaConfig(codecs=[wire.SIPCodec(name="a/b")])},
            "invalid codec name",
        ),
    ],
)
async def test_a_rule_in_disorder_is_refused(
    sip: SipApi, fields: dict[str, Any], refusal: str
) -> None:
    assert await _refused(sip, **fields) == ("invalid_argument", refusal)


@pytest.mark.parametrize(
    ("method", "request_", "refusal"),
    [
        ("CreateSIPDispatchRule", wire.CreateSIPDispatchRuleRequest(), "missing rule"),
        ("UpdateSIPDispatchRule", wire.UpdateSIPDispatchRuleRequest(), "rule id must be set"),
        (
            "UpdateSIPDispatchRule",
            wire.UpdateSIPDispatchRuleRequest(sip_dispatch_rule_id="SDR_x"),
            "missing or unsupported update action",
        ),
        (
            "DeleteSIPDispatchRule",
            wire.DeleteSIPDispatchRuleRequest(),
            "dispatch rule ID is required",
        ),
    ],
)
async def test_a_request_in_disorder_is_refused(
    sip: SipApi, method: str, request_: Message, refusal: str
) -> None:
    assert await sip.refusal(method, request_) == ("invalid_argument", refusal)


async def test_an_unknown_rule_is_not_found(sip: SipApi) -> None:
    requests: list[tuple[str, Message]] = [
        (
            "UpdateSIPDispatchRule",
            wire.UpdateSIPDispatchRuleRequest(sip_dispatch_rule_id="SDR_x", update={"name": "n"}),
        ),
        ("DeleteSIPDispatchRule", wire.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id="SDR_x")),
    ]
    for method, request in requests:
        refusal = await sip.refusal(method, request)
        assert refusal == ("not_found", "requested sip dispatch rule does not exist")


async def test_a_conflict_is_said_in_livekits_words(sip: SipApi) -> None:
    first = await _create(sip, numbers=["+1"])
    assert await _refused(sip, rule=_INDIVIDUAL, numbers=["1"]) == (
        "invalid_argument",
        (
            "Dispatch rule for the same trunk, inbound number, number, and PIN combination "
            f'already exists in dispatch rule "{first.sip_dispatch_rule_id}" "<blank name>"'
        ),
    )
    await _create(sip, rule=_DIRECT, numbers=["+1"])


# ── changes ──────────────────────────────────────────────────────────────────


async def test_a_rule_is_updated_in_parts(sip: SipApi) -> None:
    info = await _create(
        sip,
        numbers=["+1"],
        attributes={"a": "1", "b": "2"},
        room_config=_room_config(),
        hide_phone_number=True,
    )
    update = wire.SIPDispatchRuleUpdate(
        trunk_ids=models.ListUpdate(add=["ST_1"]),
        rule=_DIRECT,
        name="n",
        metadata="m",
        attributes={"b": "", "c": "3"},
        media=wire.SIPMediaConfig(codecs=[wire.SIPCodec(name="PCMA")]),
    )
    request = wire.UpdateSIPDispatchRuleRequest(
        sip_dispatch_rule_id=info.sip_dispatch_rule_id, update=update
    )
    changed = await sip.call("UpdateSIPDispatchRule", request, wire.SIPDispatchRuleInfo)
    assert (list(changed.trunk_ids), changed.rule) == (["ST_1"], _DIRECT)
    assert (changed.name, changed.metadata, changed.media) == ("n", "m", update.media)
    assert dict(changed.attributes) == {"a": "1", "c": "3"}
    assert (list(changed.numbers), changed.hide_phone_number) == (["+1"], True)
    assert changed.room_config == info.room_config


@pytest.mark.parametrize(
    ("update", "refusal"),
    [
        ({"trunk_ids": models.ListUpdate()}, "unsupported list update operation"),
        ({"rule": wire.SIPDispatchRule()}, "unsupported SIP Dispatch Rule"),
        (
            {"media": wire.SIPMediaConfig(codecs=[wire.SIPCodec(name="x y")])},
            "invalid codec name",
        ),
    ],
)
async def test_an_update_with_a_bad_result_is_the_callers_fault(
    sip: SipApi, update: dict[str, Any], refusal: str
) -> None:
    """livekit-server answers some of these with 500 and `unknown`."""
    info = await _create(sip)
    request = wire.UpdateSIPDispatchRuleRequest(
        sip_dispatch_rule_id=info.sip_dispatch_rule_id, update=wire.SIPDispatchRuleUpdate(**update)
    )
    assert await sip.refusal("UpdateSIPDispatchRule", request) == ("invalid_argument", refusal)


async def test_a_rule_is_replaced_whole(sip: SipApi) -> None:
    info = await _create(sip, metadata="old", numbers=["+1"])
    request = wire.UpdateSIPDispatchRuleRequest(
        sip_dispatch_rule_id=info.sip_dispatch_rule_id,
        replace=wire.SIPDispatchRuleInfo(rule=_CALLEE, numbers=["+2"]),
    )
    new = await sip.call("UpdateSIPDispatchRule", request, wire.SIPDispatchRuleInfo)
    assert (new.sip_dispatch_rule_id, new.rule) == (info.sip_dispatch_rule_id, _CALLEE)
    assert (new.metadata, list(new.numbers), new.created_at) == ("", ["+2"], info.created_at)
    request.replace.sip_dispatch_rule_id = "SDR_other"
    assert await sip.refusal("UpdateSIPDispatchRule", request) == (
        "invalid_argument",
        "rule id in the info must be empty or match the id in the update",
    )


async def test_rules_are_listed_by_page_trunk_and_id(sip: SipApi) -> None:
    made = [
        await _create(sip),
        await _create(sip, trunk_ids=["ST_1"]),
        await _create(sip, trunk_ids=["ST_2", "ST_3"]),
    ]
    wild, one, two = (info.sip_dispatch_rule_id for info in made)
    ids = sorted((wild, one, two))

    async def listed(**wishes: Any) -> list[str]:
        request = wire.ListSIPDispatchRuleRequest(**wishes)
        found = await sip.call("ListSIPDispatchRule", request, wire.ListSIPDispatchRuleResponse)
        return [info.sip_dispatch_rule_id for info in found.items]

    assert await listed() == ids
    assert await listed(dispatch_rule_ids=[two, "SDR_none"]) == [two]
    assert await listed(trunk_ids=["ST_3"]) == sorted((wild, two))
    assert await listed(page=models.Pagination(limit=1)) == ids[:1]
    assert await listed(page=models.Pagination(after_id=ids[0], limit=9)) == ids[1:]


async def test_deleting_gives_back_the_whole_rule(sip: SipApi) -> None:
    info = await _create(sip)
    request = wire.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=info.sip_dispatch_rule_id)
    assert await sip.call("DeleteSIPDispatchRule", request, wire.SIPDispatchRuleInfo) == info
    assert (await sip.refusal("DeleteSIPDispatchRule", request))[0] == "not_found"
