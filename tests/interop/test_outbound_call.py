"""LiveKit's unmodified SDK calls a phone that is SIPp: each outcome as LiveKit documents it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]  # generated, without stubs
from livekit import api
from livekit.api.twirp_client import SipCallError
from livekit.protocol import models, sip

from interop.server import Server
from interop.sipp_phone import (
    ANSWER,
    RINGING,
    cancelled,
    needs_sipp,
    receive,
    refusal,
    send,
    sipp_phone,
)

pytestmark = [pytest.mark.interop, needs_sipp]

_CHALLENGE = 'Proxy-Authenticate: Digest realm="carrier", nonce="abc{0}", algorithm=MD5'


@pytest.fixture
async def lk(server: Server) -> AsyncIterator[api.LiveKitAPI]:
    client = server.api()
    yield client
    await client.aclose()


async def _trunk(lk: api.LiveKitAPI, address: str, password: str = "") -> str:
    trunk = api.SIPOutboundTrunkInfo(name="t", address=address, numbers=["+15105550100"])
    if password:
        trunk.auth_username, trunk.auth_password = "user", password
    request = api.CreateSIPOutboundTrunkRequest(trunk=trunk)
    return (await lk.sip.create_outbound_trunk(request)).sip_trunk_id


async def _call(
    lk: api.LiveKitAPI, address: str, *, ringing_timeout: float = 0, password: str = ""
) -> api.SIPParticipantInfo:
    request = api.CreateSIPParticipantRequest(
        sip_trunk_id=await _trunk(lk, address, password),
        sip_call_to="+15105550123",
        room_name="room",
        wait_until_answered=True,
    )
    if ringing_timeout:
        request.ringing_timeout.FromMilliseconds(round(ringing_timeout * 1000))
    return await lk.sip.create_sip_participant(request)


def _sip_status(error: api.TwirpError) -> sip.SIPStatus:
    """What ``error_details`` holds."""
    outer = status_pb2.Status.FromString(base64.b64decode(error.metadata["error_details"]))
    assert outer.message == error.message
    details: any_pb2.Any = outer.details[0]
    status = sip.SIPStatus()
    assert details.Unpack(status)
    return status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("486 Busy Here", "resource_exhausted"),
        ("603 Decline", "permission_denied"),
        ("404 Not Found", "not_found"),
        ("480 Temporarily Unavailable", "resource_exhausted"),
        ("503 Service Unavailable", "failed_precondition"),
        ("403 Forbidden", "permission_denied"),
        ("302 Moved Temporarily", "not_found"),
    ],
)
async def test_a_refusal_is_the_documented_exception(
    lk: api.LiveKitAPI, tmp_path: Path, status: str, code: str
) -> None:
    number, _, reason = status.partition(" ")
    async with sipp_phone(tmp_path, refusal(status)) as phone:
        with pytest.raises(SipCallError) as failure:
            await _call(lk, phone.address)
        assert await phone.finished() == 0
    error = failure.value
    assert (error.code, error.message) == (code, f"sip status {number}: {reason}")
    assert (error.sip_status_code, error.sip_status) == (int(number), reason)
    details = _sip_status(error)
    assert (details.code, details.status) == (int(number), reason)


async def test_a_reason_in_a_header_of_twilios_is_told(lk: api.LiveKitAPI, tmp_path: Path) -> None:
    steps = refusal("404 Not Found", "X-Twilio-Error: 21211 Invalid 'To' Phone Number")
    async with sipp_phone(tmp_path, steps) as phone:
        with pytest.raises(SipCallError) as failure:
            await _call(lk, phone.address)
    assert failure.value.sip_status == "21211 Invalid 'To' Phone Number"


def _challenged(answers: Sequence[str]) -> list[str]:
    """Each INVITE gets the next answer."""
    return [step for answer in answers for step in (receive("INVITE"), answer, receive("ACK"))]


def _challenge(number: int) -> str:
    return send(
        "407 Proxy Authentication Required", headers=[_CHALLENGE.format(number)], repeat=True
    )


async def test_wrong_credentials_are_the_carriers_407(lk: api.LiveKitAPI, tmp_path: Path) -> None:
    async with sipp_phone(tmp_path, _challenged([_challenge(1), _challenge(2)])) as phone:
        with pytest.raises(SipCallError) as failure:
            await _call(lk, phone.address, password="wrong")
        assert await phone.finished() == 0
    error = failure.value
    assert error.code == "unauthenticated"
    assert error.message == "sip status 407: Proxy Authentication Required"
    assert error.sip_status_code == 407


async def test_missing_credentials_are_said(lk: api.LiveKitAPI, tmp_path: Path) -> None:
    async with sipp_phone(tmp_path, _challenged([_challenge(1)])) as phone:
        with pytest.raises(api.TwirpError) as failure:
            await _call(lk, phone.address)
        assert await phone.finished() == 0
    error = failure.value
    assert error.code == "failed_precondition"
    assert error.message == "sip server required auth, but no username or password was provided"


async def test_a_phone_that_nobody_answers_is_cancelled(lk: api.LiveKitAPI, tmp_path: Path) -> None:
    steps = [receive("INVITE"), RINGING, *cancelled()]
    async with sipp_phone(tmp_path, steps) as phone:
        with pytest.raises(api.TwirpError) as failure:
            await _call(lk, phone.address, ringing_timeout=3)
        assert await phone.finished() == 0
    assert (failure.value.code, failure.value.message) == ("canceled", "sip request timed out")
    assert "sip_status_code" not in failure.value.metadata


async def test_an_address_that_nobody_listens_on_is_said(lk: api.LiveKitAPI) -> None:
    with pytest.raises(api.TwirpError) as failure:
        await _call(lk, "127.0.0.1:9")
    assert failure.value.code == "failed_precondition"
    assert failure.value.message.startswith("network error")


async def test_a_name_that_does_not_exist_is_said(lk: api.LiveKitAPI) -> None:
    with pytest.raises(api.TwirpError) as failure:
        await _call(lk, "no-such-host.invalid")
    assert failure.value.code == "invalid_argument"
    assert failure.value.message.startswith("address could not be resolved")


async def test_an_answer_without_a_common_codec_is_hung_up(
    lk: api.LiveKitAPI, tmp_path: Path
) -> None:
    answer = send("200 OK", codecs="18", repeat=True)
    steps = [receive("INVITE"), answer, receive("ACK"), receive("BYE"), send("200 OK")]
    async with sipp_phone(tmp_path, steps) as phone:
        with pytest.raises(api.TwirpError) as failure:
            await _call(lk, phone.address)
        assert await phone.finished() == 0
    assert failure.value.code == "failed_precondition"
    assert failure.value.message.startswith("no common codec")


def _answered_until_bye() -> list[str]:
    return [receive("INVITE"), RINGING, ANSWER, receive("ACK"), receive("BYE"), send("200 OK")]


async def _attributes(lk: api.LiveKitAPI, info: api.SIPParticipantInfo) -> dict[str, str]:
    who = api.RoomParticipantIdentity(room="room", identity=info.participant_identity)
    return dict((await lk.room.get_participant(who)).attributes)


async def test_an_answered_call_shows_what_livekit_documents(
    lk: api.LiveKitAPI, tmp_path: Path
) -> None:
    async with sipp_phone(tmp_path, _answered_until_bye()) as phone:
        info = await _call(lk, phone.address)
        assert info.sip_call_id.startswith("SCL_")
        assert info.participant_id.startswith("PA_")
        attributes = await _attributes(lk, info)
        assert attributes["sip.callStatus"] == "active"
        assert attributes["sip.callID"] == info.sip_call_id
        assert attributes["sip.phoneNumber"] == "+15105550123"
        assert attributes["sip.trunkPhoneNumber"] == "+15105550100"
        assert attributes["sip.hostname"] == phone.address
        assert "SIPp" in attributes["sip.callTag"]
        who = api.RoomParticipantIdentity(room="room", identity=info.participant_identity)
        participant = await lk.room.get_participant(who)
        assert participant.kind == models.ParticipantInfo.Kind.SIP
        assert participant.state == models.ParticipantInfo.State.ACTIVE
        assert [track.type for track in participant.tracks] == [models.TrackType.AUDIO]
        await lk.room.delete_room(api.DeleteRoomRequest(room="room"))
        assert await phone.finished() == 0


async def test_a_removed_participants_phone_gets_its_bye(
    lk: api.LiveKitAPI, tmp_path: Path
) -> None:
    async with sipp_phone(tmp_path, _answered_until_bye()) as phone:
        info = await _call(lk, phone.address)
        who = api.RoomParticipantIdentity(room="room", identity=info.participant_identity)
        await lk.room.remove_participant(who)
        assert await phone.finished() == 0


async def test_over_tcp_it_is_the_same_call(lk: api.LiveKitAPI, tmp_path: Path) -> None:
    async with sipp_phone(tmp_path, _answered_until_bye(), "-t", "t1") as phone:
        await _call(lk, f"sip:{phone.address};transport=tcp")
        await lk.room.delete_room(api.DeleteRoomRequest(room="room"))
        assert await phone.finished() == 0


async def test_a_dial_whose_room_is_deleted_is_cancelled(
    lk: api.LiveKitAPI, tmp_path: Path
) -> None:
    steps = [receive("INVITE"), RINGING, *cancelled()]
    async with sipp_phone(tmp_path, steps) as phone:
        dialling = asyncio.ensure_future(_call(lk, phone.address))
        async with asyncio.timeout(180):
            while not (await lk.room.list_rooms(api.ListRoomsRequest())).rooms:
                pass  # each look is a request of its own
        await lk.room.delete_room(api.DeleteRoomRequest(room="room"))
        with pytest.raises(api.TwirpError) as failure:
            await dialling
        assert failure.value.code == "canceled"
        assert await phone.finished() == 0


async def test_two_equal_requests_ring_the_phone_once(lk: api.LiveKitAPI, tmp_path: Path) -> None:
    async with sipp_phone(tmp_path, _answered_until_bye()) as phone:
        trunk = await _trunk(lk, phone.address)
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk,
            sip_call_to="+15105550123",
            room_name="room",
            wait_until_answered=True,
        )
        first, second = await asyncio.gather(
            lk.sip.create_sip_participant(request), lk.sip.create_sip_participant(request)
        )
        assert first == second
        await lk.room.delete_room(api.DeleteRoomRequest(room="room"))
        assert await phone.finished() == 0
