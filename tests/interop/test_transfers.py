"""Transfers with phones that are not ours: REFER from us, REFER from them, and Replaces.

The requests are made with LiveKit's own Python SDK.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from interop.inbound_desk import ROOM, Desk, desk
from interop.phones import BARESIP, PJSIP, Phone, PhoneKind, Wishes, each_of
from interop.sipp_phone import ANSWER, RINGING, needs_sipp, receive, send, sipp_phone

pytestmark = pytest.mark.interop


async def _call(front: Desk, address: str, identity: str) -> api.SIPParticipantInfo:
    return await front.lk.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            trunk=api.SIPOutboundConfig(hostname=address),
            sip_number="+15105550111",
            sip_call_to="phone",
            room_name=ROOM,
            participant_identity=identity,
            wait_until_answered=True,
        )
    )


def _transfer(front: Desk, target: str, identity: str = "phone", **wishes: Any) -> Any:
    request = api.TransferSIPParticipantRequest(
        room_name=ROOM, participant_identity=identity, transfer_to=target, **wishes
    )
    return front.lk.sip.transfer_sip_participant(request)


@asynccontextmanager
async def _two(folder: Path, kind: PhoneKind) -> AsyncIterator[tuple[Desk, Phone, Phone]]:
    """A server and two phones of one kind."""
    async with (
        desk(folder) as front,
        kind.start(folder / "one", front.address, Wishes()) as one,
        kind.start(folder / "other", front.address, Wishes(hz=700)) as other,
    ):
        yield front, one, other


async def _has_left(front: Desk, identity: str) -> None:
    """Until the room does not have it any more."""
    found = api.ListParticipantsRequest(room=ROOM)
    async with asyncio.timeout(180):
        while True:
            people = (await front.lk.room.list_participants(found)).participants
            if identity not in {person.identity for person in people}:
                return
            await asyncio.sleep(0)


async def _meets(kind: PhoneKind, phone: Phone) -> None:
    """Until it has been called and has answered."""
    if kind is PJSIP:
        await phone.is_called()
    await phone.is_up()


@each_of(BARESIP, PJSIP)
async def test_a_phone_calls_whom_it_is_sent_to_and_leaves_us(
    tmp_path: Path, kind: PhoneKind
) -> None:
    async with _two(tmp_path, kind) as (front, one, other):
        await _call(front, one.address, "phone")
        await _meets(kind, one)
        result = await _transfer(front, f"sip:phone@{other.address}", play_dialtone=True)
        assert result.transfer_id.startswith("STR_")
        await _meets(kind, other)
        await _has_left(front, "phone")


@each_of(PJSIP)
async def test_one_phone_takes_our_place_in_the_call_of_another(
    tmp_path: Path, kind: PhoneKind
) -> None:
    """Attended transfer: both calls end here, and the two phones talk with each other."""
    async with _two(tmp_path, kind) as (front, one, other):
        await _call(front, one.address, "phone")
        await _meets(kind, one)
        second = await _call(front, other.address, "second")
        await _meets(kind, other)
        await _transfer(front, f"call:{second.sip_call_id}")
        await _has_left(front, "phone")
        await _has_left(front, "second")


@each_of(PJSIP)  # baresip hangs up by itself when it is refused
async def test_a_phone_that_sends_itself_elsewhere_is_refused_and_the_call_goes_on(
    tmp_path: Path, kind: PhoneKind
) -> None:
    async with _two(tmp_path, kind) as (front, one, other):
        info = await _call(front, one.address, "phone")
        await _meets(kind, one)
        await one.transfer(f"sip:phone@{other.address}")
        people = await front.lk.room.list_participants(api.ListParticipantsRequest(room=ROOM))
        (phone,) = people.participants
        assert phone.attributes["sip.callID"] == info.sip_call_id
        assert phone.attributes["sip.callStatus"] == "active"
        await one.hang_up()
        await _has_left(front, "phone")


#: The INVITE, whose From and To are needed again.
_INVITE_KEPT = """<recv request="INVITE" crlf="true"><action>
      <ereg regexp=".*" search_in="hdr" header="From" assign_to="1"/>
      <ereg regexp=".*" search_in="hdr" header="To" assign_to="2"/>
    </action></recv>"""

#: The phone hangs up in the dialog that we began: our From is its To.
_BYE = """<send retrans="500"><![CDATA[
      BYE sip:us@127.0.0.1 SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From[$2];tag=[pid]SIPp[call_number]
      To[$1]
      Call-ID: [call_id]
      CSeq: 1 BYE
      Max-Forwards: 70
      Content-Length: 0

    ]]></send>"""


@needs_sipp
async def test_a_phone_that_refuses_is_told_with_its_status(tmp_path: Path) -> None:
    steps = [
        receive("INVITE"), RINGING, ANSWER, receive("ACK"),
        receive("REFER"), send("603 Decline"),
        receive("BYE"), send("200 OK"),
    ]  # fmt: skip
    async with desk(tmp_path) as front, sipp_phone(tmp_path, steps) as phone:
        await _call(front, phone.address, "phone")
        with pytest.raises(api.SipCallError) as failure:
            await _transfer(front, "tel:+15105550142")
        assert failure.value.sip_status_code == 603
        assert failure.value.metadata["sip_transfer_reason"] == "STR_REJECTED"
        await front.lk.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        assert await phone.finished() == 0


@needs_sipp
async def test_a_bye_instead_of_news_is_success(tmp_path: Path) -> None:
    steps = [
        _INVITE_KEPT, RINGING, ANSWER, receive("ACK"),
        receive("REFER"), send("202 Accepted"),
        _BYE, '<recv response="200" crlf="true"></recv>',
    ]  # fmt: skip
    async with desk(tmp_path) as front, sipp_phone(tmp_path, steps) as phone:
        await _call(front, phone.address, "phone")
        await _transfer(front, "tel:+15105550142")
        await _has_left(front, "phone")
        assert await phone.finished() == 0
