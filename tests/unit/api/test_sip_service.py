"""livekit.SIP as the SDKs speak it: who may ask, what is taken, and what failures look like."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2  # type: ignore[import-untyped]  # generated, without stubs
from livekit.protocol import models, sip as wire

from scenarios.house import House
from switchroom.api.convert_sip_calls import request_from_wire
from switchroom.api.convert_sip_failures import failure_to_wire
from switchroom.api.sip_service import SipService
from switchroom.auth.grants import Claims, SipGrants
from switchroom.auth.tokens import mint
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.sip_status import STATUSES
from switchroom.telephony.calls.termination import Cause, Termination, of_response
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound.outbound_request import (
    CreateSipParticipant,
    Destination,
    InlineTrunk,
    NamedAddress,
    SipAddress,
)
from switchroom.telephony.routing.headers import HeaderOptions
from switchroom.telephony.routing.media_config import Encryption, ListedCodec, MediaConfig
from switchroom.telephony.routing.trunks import Transport

from .conftest import KEY, SECRET, Client
from .sip_api import ADMIN, CALL, SipApi


@pytest.fixture
async def service(serve: Callable[..., Client]) -> AsyncIterator[SipApi]:
    house = House()
    await house.start()
    yield SipApi(serve(SipService(house.telephony)), house)
    await house.stop()


# ── grants ───────────────────────────────────────────────────────────────────

_METHODS_OF_ADMINS: list[tuple[str, Message]] = [
    ("CreateSIPOutboundTrunk", wire.CreateSIPOutboundTrunkRequest()),
    ("GetSIPOutboundTrunk", wire.GetSIPOutboundTrunkRequest()),
    ("ListSIPOutboundTrunk", wire.ListSIPOutboundTrunkRequest()),
    ("UpdateSIPOutboundTrunk", wire.UpdateSIPOutboundTrunkRequest()),
    ("DeleteSIPTrunk", wire.DeleteSIPTrunkRequest()),
    ("ListSIPTrunk", wire.ListSIPTrunkRequest()),
    ("ListSIPInboundTrunk", wire.ListSIPInboundTrunkRequest()),
    ("ListSIPDispatchRule", wire.ListSIPDispatchRuleRequest()),
    ("CreateSIPInboundTrunk", wire.CreateSIPInboundTrunkRequest()),
    ("GetSIPInboundTrunk", wire.GetSIPInboundTrunkRequest()),
    ("UpdateSIPInboundTrunk", wire.UpdateSIPInboundTrunkRequest()),
    ("CreateSIPDispatchRule", wire.CreateSIPDispatchRuleRequest()),
    ("UpdateSIPDispatchRule", wire.UpdateSIPDispatchRuleRequest()),
    ("DeleteSIPDispatchRule", wire.DeleteSIPDispatchRuleRequest()),
]


@pytest.mark.parametrize(("method", "request_"), _METHODS_OF_ADMINS, ids=lambda row: str(row)[:30])
@pytest.mark.parametrize("grants", [None, CALL, SipGrants()])
async def test_trunks_and_rules_need_the_admin_grant(
    service: SipApi, method: str, request_: Message, grants: SipGrants | None
) -> None:
    refusal = await service.refusal(method, request_, grants)
    assert refusal == ("unauthenticated", "permissions denied")


@pytest.mark.parametrize("grants", [None, ADMIN])
async def test_calls_need_the_call_grant(service: SipApi, grants: SipGrants | None) -> None:
    request = wire.CreateSIPParticipantRequest()
    assert await service.refusal("CreateSIPParticipant", request, grants) == (
        "unauthenticated",
        "permissions denied",
    )


async def test_transfers_name_their_room_before_the_grants_are_looked_at(
    service: SipApi,
) -> None:
    request = wire.TransferSIPParticipantRequest()
    refusal = await service.refusal("TransferSIPParticipant", request, None)
    assert refusal == ("invalid_argument", "Missing room name")
    request.room_name = "r"
    refusal = await service.refusal("TransferSIPParticipant", request, None)
    assert refusal == ("invalid_argument", "Missing participant identity")
    request.participant_identity = "p"
    refusal = await service.refusal("TransferSIPParticipant", request, CALL)
    assert refusal == ("unauthenticated", "permissions denied")


def test_every_method_of_the_public_service_is_known() -> None:
    known = set(SipService(House().telephony).methods)
    public = {name.removesuffix("Request") for name in dir(wire) if name.endswith("Request")} - {
        "CreateSIPTrunk"
    }  # gone from LiveKit's service too; only its message is left
    assert known == public


# ── trunks ───────────────────────────────────────────────────────────────────


async def test_a_trunk_comes_back_as_it_was_given(service: SipApi) -> None:
    given = {
        "metadata": "m",
        "transport": wire.SIPTransport.SIP_TRANSPORT_TCP,
        "destination_country": "DE",
        "auth_username": "u",
        "auth_password": "p",
        "headers": {"X-A": "a"},
        "headers_to_attributes": {"X-B": "b"},
        "attributes_to_headers": {"c": "X-C"},
        "include_headers": wire.SIPHeaderOptions.SIP_ALL_HEADERS,
        "from_host": "pbx.example.com",
        "media": wire.SIPMediaConfig(
            only_listed_codecs=True,
            codecs=[wire.SIPCodec(name="PCMA", rate=8000)],
            encryption=wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW,
        ),
    }
    trunk = await service.trunk(**given)
    assert trunk.sip_trunk_id.startswith("ST_")
    assert trunk.created_at.seconds > 0
    for name, value in given.items():
        assert getattr(trunk, name) == value, name
    assert trunk.media_encryption == wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW
    request = wire.GetSIPOutboundTrunkRequest(sip_trunk_id=trunk.sip_trunk_id)
    got = await service.call("GetSIPOutboundTrunk", request, wire.GetSIPOutboundTrunkResponse)
    assert got.trunk == trunk


async def test_the_old_encryption_field_becomes_the_new_one(service: SipApi) -> None:
    trunk = await service.trunk(media_encryption=wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE)
    assert trunk.media.encryption == wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE


@pytest.mark.parametrize(
    ("method", "request_", "refusal"),
    [
        ("CreateSIPOutboundTrunk", wire.CreateSIPOutboundTrunkRequest(), "missing trunk"),
        ("GetSIPOutboundTrunk", wire.GetSIPOutboundTrunkRequest(), "trunk ID is required"),
        ("DeleteSIPTrunk", wire.DeleteSIPTrunkRequest(), "trunk ID is required"),
        ("UpdateSIPOutboundTrunk", wire.UpdateSIPOutboundTrunkRequest(), "trunk id must be set"),
        (
            "UpdateSIPOutboundTrunk",
            wire.UpdateSIPOutboundTrunkRequest(sip_trunk_id="ST_x"),
            "missing or unsupported update action",
        ),
        (
            "CreateSIPOutboundTrunk",
            wire.CreateSIPOutboundTrunkRequest(
                trunk=wire.SIPOutboundTrunkInfo(sip_trunk_id="ST_x", address="a", numbers=["1"])
            ),
            "trunk id must not be set",
        ),
        (
            "CreateSIPOutboundTrunk",
            wire.CreateSIPOutboundTrunkRequest(trunk=wire.SIPOutboundTrunkInfo(address="a")),
            "no trunk numbers specified",
        ),
    ],
)
async def test_a_trunk_request_in_disorder_is_refused(
    service: SipApi, method: str, request_: Message, refusal: str
) -> None:
    assert await service.refusal(method, request_) == ("invalid_argument", refusal)


async def test_an_enumeration_value_of_tomorrow_is_refused_by_name(service: SipApi) -> None:
    body = b'{"trunk": {"address": "a", "numbers": ["1"], "transport": 9}}'
    claims = Claims(KEY, "ann", sip=ADMIN, expires_at=4e9)
    reply = await service.client.send(
        "POST",
        "/twirp/livekit.SIP/CreateSIPOutboundTrunk",
        body,
        headers={
            "content-type": "application/json",
            "authorization": "Bearer " + mint(claims, SECRET),
        },
    )
    assert json.loads(reply.body)["msg"] == "unknown SIP transport 9"


async def test_an_unknown_trunk_is_not_found(service: SipApi) -> None:
    for method, request in (
        ("GetSIPOutboundTrunk", wire.GetSIPOutboundTrunkRequest(sip_trunk_id="ST_x")),
        (
            "UpdateSIPOutboundTrunk",
            wire.UpdateSIPOutboundTrunkRequest(
                sip_trunk_id="ST_x", update=wire.SIPOutboundTrunkUpdate()
            ),
        ),
    ):
        refusal = await service.refusal(method, request)
        assert refusal == ("not_found", "requested sip trunk does not exist")


async def test_a_trunk_is_updated_in_parts(service: SipApi) -> None:
    trunk = await service.trunk(auth_username="u")
    update = wire.SIPOutboundTrunkUpdate(
        numbers=models.ListUpdate(add=["+2"]), name="new", auth_username=""
    )
    request = wire.UpdateSIPOutboundTrunkRequest(sip_trunk_id=trunk.sip_trunk_id, update=update)
    changed = await service.call("UpdateSIPOutboundTrunk", request, wire.SIPOutboundTrunkInfo)
    assert list(changed.numbers) == ["+15105550100", "+2"]
    assert (changed.name, changed.auth_username, changed.address) == ("new", "", trunk.address)


async def test_a_trunk_is_replaced_whole(service: SipApi) -> None:
    trunk = await service.trunk(metadata="old")
    request = wire.UpdateSIPOutboundTrunkRequest(
        sip_trunk_id=trunk.sip_trunk_id,
        replace=wire.SIPOutboundTrunkInfo(address="sip:b.example.com", numbers=["1"]),
    )
    new = await service.call("UpdateSIPOutboundTrunk", request, wire.SIPOutboundTrunkInfo)
    assert (new.sip_trunk_id, new.address, new.metadata) == (
        trunk.sip_trunk_id,
        "b.example.com",
        "",
    )


async def test_trunks_are_listed_by_page_number_and_id(service: SipApi) -> None:
    mine = [await service.trunk(name=str(n)) for n in range(2)]
    ids = sorted(trunk.sip_trunk_id for trunk in [*mine])

    async def listed(**wishes: Any) -> list[str]:
        request = wire.ListSIPOutboundTrunkRequest(**wishes)
        answer = wire.ListSIPOutboundTrunkResponse
        found = await service.call("ListSIPOutboundTrunk", request, answer)
        return [trunk.sip_trunk_id for trunk in found.items]

    assert set(ids) < set(await listed())
    assert await listed(trunk_ids=ids) == ids
    assert await listed(trunk_ids=ids, page=models.Pagination(limit=1)) == ids[:1]
    assert await listed(trunk_ids=ids, page=models.Pagination(after_id=ids[0])) == ids[1:]
    assert await listed(trunk_ids=ids, numbers=["+999"]) == []


async def test_the_deprecated_list_has_the_deprecated_form(service: SipApi) -> None:
    trunk = await service.trunk(auth_username="u", auth_password="p")
    found = await service.call(
        "ListSIPTrunk", wire.ListSIPTrunkRequest(), wire.ListSIPTrunkResponse
    )
    old = next(item for item in found.items if item.sip_trunk_id == trunk.sip_trunk_id)
    assert old.kind == wire.SIPTrunkInfo.TRUNK_OUTBOUND
    assert (old.outbound_address, old.outbound_number) == ("sip.example.com", "+15105550100")
    assert (old.outbound_username, old.outbound_password) == ("u", "p")


async def test_deleting_gives_back_the_id_alone(service: SipApi) -> None:
    trunk = await service.trunk()
    request = wire.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id)
    for _ in range(2):
        gone = await service.call("DeleteSIPTrunk", request, wire.SIPTrunkInfo)
        assert gone == wire.SIPTrunkInfo(sip_trunk_id=trunk.sip_trunk_id)


# ── calls ────────────────────────────────────────────────────────────────────


def _request(house: House, **wishes: Any) -> wire.CreateSIPParticipantRequest:
    return wire.CreateSIPParticipantRequest(
        sip_trunk_id=house.trunk_id, sip_call_to="+15105550123", room_name="room", **wishes
    )


async def test_a_call_is_answered_with_its_identifiers(service: SipApi) -> None:
    request = _request(service.house)
    info = await service.call("CreateSIPParticipant", request, wire.SIPParticipantInfo, CALL)
    assert info.participant_id.startswith("PA_")
    assert info.sip_call_id.startswith("SCL_")
    assert (info.participant_identity, info.room_name) == ("sip_+15105550123", "room")


async def test_a_refused_call_carries_the_status_three_times(service: SipApi) -> None:
    request = _request(service.house, wait_until_answered=True)
    waiting = asyncio.ensure_future(service.post("CreateSIPParticipant", request, CALL))
    await service.house.calm()
    service.house.carrier.call.refuses(486, "Busy Here")
    error = json.loads((await waiting).body)
    assert (error["code"], error["msg"]) == ("resource_exhausted", "sip status 486: Busy Here")
    assert error["meta"]["sip_call_id"] == service.house.calls.last.call_id
    assert error["meta"]["sip_status_code"] == "486"
    assert error["meta"]["sip_status"] == "Busy Here"
    outer = status_pb2.Status.FromString(base64.b64decode(error["meta"]["error_details"]))
    assert (outer.code, outer.message) == (8, "sip status 486: Busy Here")
    inner = wire.SIPStatus()
    assert outer.details[0].Unpack(inner)
    assert outer.details[0].type_url == "type.googleapis.com/livekit.SIPStatus"
    assert (inner.code, inner.status) == (wire.SIPStatusCode.SIP_STATUS_BUSY_HERE, "Busy Here")


async def test_a_client_that_hangs_up_stops_the_ringing(service: SipApi) -> None:
    request = _request(service.house, wait_until_answered=True)
    waiting = asyncio.ensure_future(service.post("CreateSIPParticipant", request, CALL))
    await service.house.calm()
    service.client.hang_up.set()
    await waiting
    await service.house.calm()
    assert "cancel" in service.house.timeline


async def test_the_same_key_and_request_are_one_call_whatever_header_it_came_in(
    service: SipApi,
) -> None:
    request = _request(service.house, participant_identity="a")

    async def info(**headers: str) -> bytes:
        return (await service.post("CreateSIPParticipant", request, CALL, extra=headers)).body

    first = await info(**{"idempotency-key": "k", "x-livekit-request-id": "r1"})
    assert service.house.calls.last.request_key
    service.house.carrier.call.refuses(486, "Busy")
    await service.house.calm()
    assert await info(**{"idempotency-key": "k", "x-livekit-request-id": "r2"}) == first
    second = await info(**{"x-livekit-request-id": "r3"})
    assert second != first
    assert not service.house.calls.last.request_key


async def test_a_key_for_another_request_is_refused(service: SipApi) -> None:
    headers = {"idempotency-key": "k"}
    await service.post("CreateSIPParticipant", _request(service.house), CALL, extra=headers)
    other = _request(service.house, participant_identity="b")
    reply = await service.post("CreateSIPParticipant", other, CALL, extra=headers)
    assert json.loads(reply.body) == {
        "code": "invalid_argument",
        "msg": "this idempotency key was used for a different request",
    }


# ── conversion ───────────────────────────────────────────────────────────────


def _full_request() -> wire.CreateSIPParticipantRequest:
    request = wire.CreateSIPParticipantRequest(
        sip_trunk_id="ST_1",
        trunk=wire.SIPOutboundConfig(
            hostname="h",
            destination_country="DE",
            transport=wire.SIPTransport.SIP_TRANSPORT_UDP,
            auth_username="u",
            auth_password="p",
            headers_to_attributes={"X-A": "a"},
            attributes_to_headers={"b": "X-B"},
            from_host="f",
        ),
        sip_request_uri=wire.SIPRequestDest(raw="sip:a@b"),
        sip_from_header=wire.SIPNamedDest(
            display_name="Desk",
            values=wire.SIPUri(user="desk", port=5, transport=wire.SIPTransport.SIP_TRANSPORT_TCP),
        ),
        sip_to_header=wire.SIPNamedDest(raw="sip:x@y"),
        sip_call_to="+1",
        to_user_override="o",
        sip_number="+2",
        room_name="r",
        participant_identity="i",
        participant_name="n",
        participant_metadata="m",
        participant_attributes={"k": "v"},
        dtmf="1w",
        play_ringtone=True,
        hide_phone_number=True,
        headers={"X-C": "c"},
        include_headers=wire.SIPHeaderOptions.SIP_X_HEADERS,
        media=wire.SIPMediaConfig(codecs=[wire.SIPCodec(name="PCMA")]),
        media_encryption=wire.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW,
        wait_until_answered=True,
        display_name="",
        destination=wire.Destination(city="c", country="DE", region="r"),
    )
    request.ringing_timeout.FromMilliseconds(1500)
    request.max_call_duration.FromSeconds(60)
    request.media.media_timeout.FromSeconds(5)
    return request


def test_every_field_of_a_request_is_read() -> None:
    request = _full_request()
    assert {name.name for name, _ in request.ListFields()} >= {
        field.name for field in request.DESCRIPTOR.fields
    } - {"play_dialtone", "krisp_enabled"}
    assert request_from_wire(request) == CreateSipParticipant(
        room_name="r",
        call_to="+1",
        trunk_id="ST_1",
        trunk=InlineTrunk("h", "DE", Transport.UDP, "u", "p", {"X-A": "a"}, {"b": "X-B"}, "f"),
        number="+2",
        request_uri=SipAddress(raw="sip:a@b"),
        from_header=NamedAddress("Desk", SipAddress(user="desk", port=5, transport=Transport.TCP)),
        has_to_header=True,
        to_user_override="o",
        identity="i",
        name="n",
        metadata="m",
        attributes={"k": "v"},
        dtmf="1w",
        play_dialtone=True,
        hide_phone_number=True,
        headers={"X-C": "c"},
        include_headers=HeaderOptions.X_HEADERS,
        ringing_timeout=1.5,
        max_call_duration=60.0,
        media=MediaConfig(False, (ListedCodec("PCMA"),), Encryption.ALLOW, 5.0),
        wait_until_answered=True,
        display_name="",
        destination=Destination("c", "DE", "r"),
    )


def test_a_display_name_that_was_not_given_is_not_an_empty_one() -> None:
    assert request_from_wire(wire.CreateSIPParticipantRequest()).display_name is None
    assert request_from_wire(wire.CreateSIPParticipantRequest(display_name="")).display_name == ""


def test_unknown_enumeration_values_are_refused() -> None:
    for field in ("include_headers", "media_encryption"):
        request = wire.CreateSIPParticipantRequest(**{field: 9})  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="unknown SIP"):
            request_from_wire(request)


@pytest.mark.parametrize("status", STATUSES)
def test_livekits_names_of_statuses_are_livekits(status: int) -> None:
    assert wire.SIPStatusCode.Name(status) == f"SIP_STATUS_{STATUSES[status][0]}"


def test_a_status_without_a_name_still_has_details() -> None:
    failure = failure_to_wire(CallFailedError(of_response(499, "Client Gone")))
    outer = status_pb2.Status.FromString(base64.b64decode(failure.meta["error_details"]))
    inner = wire.SIPStatus()
    assert outer.details[0].Unpack(inner)
    assert (inner.code, inner.status) == (0, "Client Gone")


def test_a_failure_without_a_status_has_no_metadata() -> None:
    assert failure_to_wire(CallFailedError(Termination(Cause.NO_ANSWER))).meta == {}


# ── the papers ───────────────────────────────────────────────────────────────

_COMPATIBILITY = (Path(__file__).parents[3] / "docs" / "livekit-compatibility.md").read_text()


@pytest.mark.parametrize(
    "message",
    [wire.CreateSIPParticipantRequest, wire.SIPOutboundTrunkInfo, wire.SIPOutboundConfig],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_every_field_of_a_message_is_in_its_table(message: type[Message]) -> None:
    heading = f"### {message.DESCRIPTOR.name}\n"
    section = _COMPATIBILITY.partition(heading)[2].partition("\n### ")[0]
    listed = {
        name
        for line in section.splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].replace("`", "").replace(" ", "").split(",")
    }
    assert listed == {field.name for field in message.DESCRIPTOR.fields}


def test_every_method_is_in_the_table() -> None:
    table = _COMPATIBILITY.partition("## SIP service")[2].partition("\n### ")[0]
    listed = {
        name.strip()
        for line in table.splitlines()
        if line.startswith("| ") and "SIP" in line
        for name in line.split("|")[1].split(",")
    }
    assert listed == set(SipService(House().telephony).methods)
