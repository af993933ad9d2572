"""livekit.SIP's inbound trunks as the SDKs speak of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from livekit.protocol import models, sip as wire

from scenarios.house import House
from switchroom.api.sip_service import SipService

from .conftest import Client
from .sip_api import SipApi

_SECURITY = (
    "for security, one of the fields must be set: "
    "AuthUsername+AuthPassword, AllowedAddresses or Numbers"
)


@pytest.fixture
async def sip(serve: Callable[..., Client]) -> AsyncIterator[SipApi]:
    house = House()
    await house.start()
    yield SipApi(serve(SipService(house.telephony)), house)
    await house.stop()


async def _create(sip: SipApi, **fields: Any) -> wire.SIPInboundTrunkInfo:
    request = wire.CreateSIPInboundTrunkRequest(trunk=wire.SIPInboundTrunkInfo(**fields))
    return await sip.call("CreateSIPInboundTrunk", request, wire.SIPInboundTrunkInfo)


async def _refused(sip: SipApi, **fields: Any) -> tuple[str, str]:
    request = wire.CreateSIPInboundTrunkRequest(trunk=wire.SIPInboundTrunkInfo(**fields))
    return await sip.refusal("CreateSIPInboundTrunk", request)


async def test_a_trunk_comes_back_as_it_was_given(sip: SipApi) -> None:
    given = {
        "name": "n",
        "metadata": "m",
        "numbers": ["+15105550100", "+49*"],
        "allowed_addresses": ["192.0.2.0/24"],
        "allowed_numbers": ["+1*"],
        "auth_username": "u",
        "auth_password": "p",
        "auth_realm": "r",
        "headers": {"X-A": "a"},
        "headers_to_attributes": {"X-B": "b"},
        "attributes_to_headers": {"c": "X-C"},
        "include_headers": wire.SIPHeaderOptions.SIP_X_HEADERS,
        "ringing_timeout": Duration(seconds=20, nanos=500_000_000),
        "ringing_timeout_status": wire.SIPStatusCode.SIP_STATUS_TEMPORARILY_UNAVAILABLE,
        "max_call_duration": Duration(seconds=3600),
        "krisp_enabled": True,
        "media": wire.SIPMediaConfig(
            codecs=[wire.SIPCodec(name="G722", rate=8000)],
            encryption=wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE,
            media_timeout=Duration(seconds=9),
        ),
    }
    trunk = await _create(sip, **given)
    assert trunk.sip_trunk_id.startswith("ST_")
    assert trunk.created_at.seconds == trunk.updated_at.seconds > 0
    for name, value in given.items():
        assert getattr(trunk, name) == value, name
    assert trunk.media_encryption == wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
    request = wire.GetSIPInboundTrunkRequest(sip_trunk_id=trunk.sip_trunk_id)
    got = await sip.call("GetSIPInboundTrunk", request, wire.GetSIPInboundTrunkResponse)
    assert got.trunk == trunk
    known = {field.name for field in wire.SIPInboundTrunkInfo.DESCRIPTOR.fields}
    own = {"sip_trunk_id", "media_encryption", "created_at", "updated_at"}
    assert known == {*given, *own}, "a field of the protocol that nobody thought of"


async def test_what_was_not_given_is_not_there(sip: SipApi) -> None:
    trunk = await _create(sip, numbers=["+1"])
    assert not trunk.HasField("ringing_timeout")
    assert not trunk.HasField("max_call_duration")
    assert trunk.HasField("media")
    assert trunk.ringing_timeout_status == 0


async def test_the_old_encryption_field_becomes_the_new_one(sip: SipApi) -> None:
    allow = wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW
    trunk = await _create(sip, numbers=["+1"], media_encryption=allow)
    assert trunk.media.encryption == trunk.media_encryption == allow


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, _SECURITY),
        ({"allowed_numbers": ["+1"]}, _SECURITY),
        ({"auth_username": "u"}, _SECURITY),
        ({"sip_trunk_id": "ST_x", "numbers": ["+1"]}, "trunk id must not be set"),
        ({"numbers": ["+1", ""]}, "numbers: empty element in the list"),
        (
            {"allowed_addresses": ["sip:pbx.example.com"]},
            (
                'allowed_addresses: "sip:pbx.example.com" is no IP address, network such as '
                "10.0.0.0/8, or host name"
            ),
        ),
        (
            {"numbers": ["+1"], "headers": {"Call-ID": "x"}},
            "invalid header name: Call-ID is set by the server",
        ),
        (
            {"numbers": ["+1"], "media": wire.SIPMediaConfig(codecs=[wire.SIPCodec()])},
            "missing codec name",
        ),
        (
            {"numbers": ["+1"], "media": {"media_timeout": Duration(seconds=601)}},
            "media_timeout must not exceed 10m0s",
        ),
        (
            {"numbers": ["+1"], "media": {"media_timeout": Duration(seconds=-1)}},
            "media_timeout must not be negative",
        ),
        (
            {"numbers": ["+1"], "ringing_timeout_status": 200},
            "ringing_timeout_status must be a SIP error status, 400 to 699",
        ),
    ],
)
async def test_a_trunk_in_disorder_is_refused(
    sip: SipApi, fields: dict[str, Any], refusal: str
) -> None:
    assert await _refused(sip, **fields) == ("invalid_argument", refusal)


@pytest.mark.parametrize(
    ("method", "request_", "refusal"),
    [
        ("CreateSIPInboundTrunk", wire.CreateSIPInboundTrunkRequest(), "missing trunk"),
        ("GetSIPInboundTrunk", wire.GetSIPInboundTrunkRequest(), "trunk ID is required"),
        ("UpdateSIPInboundTrunk", wire.UpdateSIPInboundTrunkRequest(), "trunk id must be set"),
        (
            "UpdateSIPInboundTrunk",
            wire.UpdateSIPInboundTrunkRequest(sip_trunk_id="ST_x"),
            "missing or unsupported update action",
        ),
    ],
)
async def test_a_request_in_disorder_is_refused(
    sip: SipApi, method: str, request_: Message, refusal: str
) -> None:
    assert await sip.refusal(method, request_) == ("invalid_argument", refusal)


async def test_an_unknown_trunk_is_not_found(sip: SipApi) -> None:
    outbound = await sip.trunk()
    for request in (
        wire.UpdateSIPInboundTrunkRequest(sip_trunk_id="ST_x", update={"name": "n"}),
        wire.UpdateSIPInboundTrunkRequest(
            sip_trunk_id=outbound.sip_trunk_id, replace={"numbers": ["+1"]}
        ),
    ):
        refusal = await sip.refusal("UpdateSIPInboundTrunk", request)
        assert refusal == ("not_found", "requested sip trunk does not exist")
    get = wire.GetSIPInboundTrunkRequest(sip_trunk_id=outbound.sip_trunk_id)
    assert (await sip.refusal("GetSIPInboundTrunk", get))[0] == "not_found"


async def test_a_conflict_is_said_in_livekits_words(sip: SipApi) -> None:
    first = await _create(sip, numbers=["+15105550100"], allowed_addresses=["192.0.2.1"])
    refusal = await _refused(sip, numbers=["15105550100"], allowed_addresses=["192.0.2.2"])
    assert refusal == (
        "invalid_argument",
        (
            f'Conflicting inbound SIP Trunks: "<new>" and "{first.sip_trunk_id}", '
            'using the same number(s) ["15105550100"] without AllowedNumbers set'
        ),
    )
    second = await _create(sip, numbers=["+15105550100"], allowed_numbers=["+49*"])
    clear = wire.SIPInboundTrunkUpdate(allowed_numbers=models.ListUpdate(clear=True))
    request = wire.UpdateSIPInboundTrunkRequest(sip_trunk_id=second.sip_trunk_id, update=clear)
    code, text = await sip.refusal("UpdateSIPInboundTrunk", request)
    assert code == "invalid_argument"
    assert f'"{second.sip_trunk_id}" and "{first.sip_trunk_id}"' in text


async def test_a_trunk_is_updated_in_parts(sip: SipApi) -> None:
    trunk = await _create(
        sip, numbers=["+1"], krisp_enabled=True, ringing_timeout=Duration(seconds=5)
    )
    update = wire.SIPInboundTrunkUpdate(
        numbers=models.ListUpdate(add=["+2"], remove=["+1"]),
        allowed_addresses=models.ListUpdate(set=["192.0.2.1"]),
        allowed_numbers=models.ListUpdate(add=["+3"]),
        auth_username="u",
        auth_password="p",
        auth_realm="r",
        name="n",
        metadata="m",
        media=wire.SIPMediaConfig(only_listed_codecs=True, codecs=[wire.SIPCodec(name="PCMA")]),
    )
    request = wire.UpdateSIPInboundTrunkRequest(sip_trunk_id=trunk.sip_trunk_id, update=update)
    changed = await sip.call("UpdateSIPInboundTrunk", request, wire.SIPInboundTrunkInfo)
    assert list(changed.numbers) == ["+2"]
    assert list(changed.allowed_addresses) == ["192.0.2.1"]
    assert list(changed.allowed_numbers) == ["+3"]
    assert (changed.auth_username, changed.auth_password, changed.auth_realm) == ("u", "p", "r")
    assert (changed.name, changed.metadata, changed.media) == ("n", "m", update.media)
    assert changed.krisp_enabled
    assert changed.ringing_timeout.seconds == 5


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({}, "unsupported list update operation"),
        (
            {"clear": True, "add": ["+1"]},
            "cannot clear and change the list at the same time",
        ),
        ({"set": ["+1"], "remove": ["+1"]}, "cannot set and change the list at the same time"),
        ({"add": [""]}, "empty element in the list"),
        ({"clear": True}, _SECURITY),
    ],
)
async def test_an_update_with_a_bad_result_is_the_callers_fault(
    sip: SipApi, change: dict[str, Any], refusal: str
) -> None:
    """livekit-server answers some of these with 500 and `unknown`."""
    trunk = await _create(sip, numbers=["+1"])
    update = wire.SIPInboundTrunkUpdate(numbers=models.ListUpdate(**change))
    request = wire.UpdateSIPInboundTrunkRequest(sip_trunk_id=trunk.sip_trunk_id, update=update)
    assert await sip.refusal("UpdateSIPInboundTrunk", request) == ("invalid_argument", refusal)


async def test_a_trunk_is_replaced_whole(sip: SipApi) -> None:
    trunk = await _create(sip, numbers=["+1"], metadata="old")
    request = wire.UpdateSIPInboundTrunkRequest(
        sip_trunk_id=trunk.sip_trunk_id, replace=wire.SIPInboundTrunkInfo(numbers=["+2"])
    )
    new = await sip.call("UpdateSIPInboundTrunk", request, wire.SIPInboundTrunkInfo)
    assert (new.sip_trunk_id, list(new.numbers), new.metadata) == (trunk.sip_trunk_id, ["+2"], "")
    assert new.created_at == trunk.created_at
    request.replace.sip_trunk_id = "ST_other"
    assert await sip.refusal("UpdateSIPInboundTrunk", request) == (
        "invalid_argument",
        "trunk id in the info must be empty or match the id in the update",
    )


async def test_trunks_are_listed_by_page_number_and_id(sip: SipApi) -> None:
    made = [
        await _create(sip, numbers=["+1 510 555 0100"]),
        await _create(sip, numbers=["+49*"]),
        await _create(sip, allowed_addresses=["192.0.2.1"]),
    ]
    number, pattern, wild = (trunk.sip_trunk_id for trunk in made)
    ids = sorted((number, pattern, wild))

    async def listed(**wishes: Any) -> list[str]:
        request = wire.ListSIPInboundTrunkRequest(**wishes)
        answer = wire.ListSIPInboundTrunkResponse
        found = await sip.call("ListSIPInboundTrunk", request, answer)
        return [trunk.sip_trunk_id for trunk in found.items]

    assert await listed() == ids
    assert await listed(trunk_ids=[wild, "ST_none"]) == [wild]
    assert await listed(numbers=["15105550100"]) == sorted((number, wild))
    assert await listed(numbers=["+4930"]) == sorted((pattern, wild))
    assert await listed(page=models.Pagination(limit=2)) == ids[:2]
    assert await listed(page=models.Pagination(after_id=ids[1], limit=2)) == ids[2:]


async def test_the_deprecated_list_has_both_kinds(sip: SipApi) -> None:
    outbound = await sip.trunk()
    inbound = await _create(
        sip,
        name="n",
        metadata="m",
        numbers=["+1", "+2"],
        allowed_numbers=["+3"],
        allowed_addresses=["192.0.2.1"],
        auth_username="u",
        auth_password="p",
    )
    answer = wire.ListSIPTrunkResponse
    found = await sip.call("ListSIPTrunk", wire.ListSIPTrunkRequest(), answer)
    ids = [item.sip_trunk_id for item in found.items]
    assert ids == sorted(ids)
    assert {outbound.sip_trunk_id, inbound.sip_trunk_id} < set(ids)
    assert found.items[ids.index(inbound.sip_trunk_id)] == wire.SIPTrunkInfo(
        sip_trunk_id=inbound.sip_trunk_id,
        kind=wire.SIPTrunkInfo.TRUNK_INBOUND,
        name="n",
        metadata="m",
        outbound_number="+1",
        inbound_numbers=["+3"],
        inbound_addresses=["192.0.2.1"],
        inbound_username="u",
        inbound_password="p",
    )
    paged = wire.ListSIPTrunkRequest(page=models.Pagination(after_id=ids[0], limit=1))
    found = await sip.call("ListSIPTrunk", paged, answer)
    assert [item.sip_trunk_id for item in found.items] == ids[1:2]


async def test_one_method_deletes_both_kinds(sip: SipApi) -> None:
    trunk = await _create(sip, numbers=["+1"])
    request = wire.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id)
    gone = await sip.call("DeleteSIPTrunk", request, wire.SIPTrunkInfo)
    assert gone == wire.SIPTrunkInfo(sip_trunk_id=trunk.sip_trunk_id)
    get = wire.GetSIPInboundTrunkRequest(sip_trunk_id=trunk.sip_trunk_id)
    assert (await sip.refusal("GetSIPInboundTrunk", get))[0] == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        (
            '{"trunk": {"numbers": ["+1"], "allowedNumbers": ["+2"], "krispEnabled": true,'
            ' "ringingTimeout": "5.500s", "includeHeaders": "SIP_X_HEADERS"}}'
        ),
        (
            '{"trunk": {"numbers": ["+1"], "allowed_numbers": ["+2"], "krisp_enabled": true,'
            ' "ringing_timeout": "5.500s", "include_headers": "SIP_X_HEADERS"}}'
        ),
    ],
)
async def test_json_is_read_in_both_cases_and_written_as_livekit_does(
    sip: SipApi, body: str
) -> None:
    answer = await sip.json("CreateSIPInboundTrunk", body)
    assert answer["allowed_numbers"] == ["+2"]
    assert answer["ringing_timeout"] == "5.500s"
    assert answer["include_headers"] == "SIP_X_HEADERS"
    assert answer["krisp_enabled"] is True


async def test_an_endless_timeout_does_not_break_the_lists_of_others(sip: SipApi) -> None:
    """JSON has no name for it, so one such trunk would fail every ListSIPInboundTrunk in JSON."""
    endless = Duration(seconds=2**62, nanos=999_999_999)
    await _create(sip, numbers=["+1"], ringing_timeout=endless, max_call_duration=endless)
    (item,) = (await sip.json("ListSIPInboundTrunk", "{}"))["items"]
    assert item["ringing_timeout"] == item["max_call_duration"] == "315576000000s"


async def test_a_status_of_tomorrow_is_refused_by_name(sip: SipApi) -> None:
    body = '{"trunk": {"numbers": ["+1"], "ringing_timeout_status": 699}}'
    answer = await sip.json("CreateSIPInboundTrunk", body)
    assert (answer["code"], answer["msg"]) == ("invalid_argument", "unknown SIP status 699")
