"""SIPp calls the server: what a caller meets on the wire, case by case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from livekit import api, rtc

from interop.inbound_desk import NUMBER, ROOM, Desk, desk
from interop.sipp_caller import (
    ACK,
    BYE,
    OFFER,
    RINGING,
    STRANGE,
    TRYING,
    VIDEO,
    expect,
    invite,
    request,
    sipp_calls,
)
from interop.sipp_phone import needs_sipp, receive, send

pytestmark = [pytest.mark.interop, needs_sipp]


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Desk]:
    """A server that can be called."""
    async with asyncio.timeout(180), desk(tmp_path) as running:
        yield running


@asynccontextmanager
async def somebody_there(front: Desk) -> AsyncIterator[rtc.Room]:
    """A client with a track is in the room, so that callers are answered."""
    room = rtc.Room()
    await room.connect(front.server.ws_url, front.server.token("person", ROOM))
    source = rtc.AudioSource(48_000, 1)
    await room.local_participant.publish_track(
        rtc.LocalAudioTrack.create_audio_track("voice", source)
    )
    try:
        yield room
    finally:
        await room.disconnect()


ANSWERED = [TRYING, RINGING, expect(200, holds="m=audio [1-9]")]
REFUSED = [ACK]

CASES = {
    "a whole call": [invite(), *ANSWERED, ACK, BYE, expect(200)],
    "an offer in our 200, an answer in the ACK": [
        invite(""), *ANSWERED, request("ACK", body=OFFER), BYE, expect(200),
    ],
    "a line of video is refused by port 0": [
        invite(VIDEO), TRYING, RINGING, expect(200, holds="m=video 0 "), ACK, BYE, expect(200),
    ],
    "hold is answered by its mirror": [
        invite(), *ANSWERED, ACK,
        request("INVITE", body=f"{OFFER}\n      a=sendonly", number=2, repeat=True),
        TRYING, expect(200, holds="a=recvonly"), request("ACK", number=2),
        request("BYE", number=3, repeat=True), expect(200),
    ],
}  # fmt: skip

UNWANTED = {
    "nothing in common": [invite(STRANGE), TRYING, expect(488, holds="Warning: 30"), *REFUSED],
    "nonsense for SDP": [invite("nonsense"), TRYING, expect(400), *REFUSED],
    "an extension that nobody knows": [
        invite(OFFER, "Require: nosuch"), expect(420, holds="Unsupported: nosuch"), *REFUSED,
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_an_answered_call_goes_as_rfc_3261_has_it(
    front: Desk, tmp_path: Path, case: str
) -> None:
    async with somebody_there(front):
        assert not await sipp_calls(tmp_path, NUMBER, front.local, CASES[case])


@pytest.mark.parametrize("case", UNWANTED)
async def test_what_cannot_be_is_refused_by_the_right_status(
    front: Desk, tmp_path: Path, case: str
) -> None:
    assert not await sipp_calls(tmp_path, NUMBER, front.local, UNWANTED[case])


@pytest.mark.parametrize(("number", "phrase"), [("+19995550000", "Does not match any SIP Trunks")])
async def test_a_number_of_nobody_gets_404_and_no_ringing(
    front: Desk, tmp_path: Path, number: str, phrase: str
) -> None:
    steps = [invite(), expect(404, holds=phrase), *REFUSED]
    assert not await sipp_calls(tmp_path, number, front.local, steps)


async def test_a_deleted_rule_is_404_too_and_no_silence(front: Desk, tmp_path: Path) -> None:
    gone = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=front.rule_id)
    await front.lk.sip.delete_dispatch_rule(gone)
    steps = [invite(), expect(404, holds="Does not match any Dispatch Rules"), *REFUSED]
    assert not await sipp_calls(tmp_path, NUMBER, front.local, steps)


async def test_a_caller_who_gives_up_gets_200_and_487(front: Desk, tmp_path: Path) -> None:
    steps = [
        invite(), TRYING, RINGING, CANCEL, expect(200), expect(487), *REFUSED,
    ]  # fmt: skip
    assert not await sipp_calls(tmp_path, NUMBER, front.local, steps)
    listed = await front.lk.room.list_participants(api.ListParticipantsRequest(room=ROOM))
    assert not listed.participants


CANCEL = """<send><![CDATA[
      CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      [last_Via:]
      [last_From:]
      To: <sip:[service]@[remote_ip]>
      [last_Call-ID:]
      CSeq: 1 CANCEL
      Max-Forwards: 70
      Content-Length: 0

    ]]></send>"""


async def test_a_stopped_server_hangs_up(tmp_path: Path) -> None:
    async with asyncio.timeout(180):
        async with desk(tmp_path) as front:
            steps: Sequence[str] = [
                invite(), *ANSWERED, ACK, receive("BYE"), send("200 OK"),
            ]  # fmt: skip
            async with somebody_there(front) as room:
                active = asyncio.Event()

                def changed(changes: dict[str, str], _: rtc.Participant) -> None:
                    if changes.get("sip.callStatus") == "active":
                        active.set()

                room.on("participant_attributes_changed", changed)
                calling = asyncio.create_task(sipp_calls(tmp_path, NUMBER, front.local, steps))
                await active.wait()
        assert not await calling
