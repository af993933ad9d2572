"""A phone as an agent of the official SDK meets it: states, methods and endings in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit import api, rtc
from livekit.api.twirp_client import SipCallError
from livekit.protocol import models

from interop.server import Server
from interop.sipp_phone import RINGING, needs_sipp, receive, refusal, send, sipp_phone

pytestmark = [pytest.mark.interop, needs_sipp]

_PATIENCE = 120.0
_ANSWER = send(
    "200 OK",
    headers=("X-Greeting: hello", "X-Queue: 7", "Server: sipp"),
    codecs="0 101",
    repeat=True,
)


class _Agent:
    """Somebody in the room who writes down what becomes of the phone."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.seen: list[str] = []
        self.phone: rtc.RemoteParticipant | None = None
        self.left = asyncio.Event()
        self._news = asyncio.Event()
        self.room.on("participant_connected", self._came)
        self.room.on("participant_attributes_changed", self._changed)
        self.room.on("participant_disconnected", self._went)

    async def until_seen(self, status: str) -> None:
        """Until the phone has reached that status."""
        while status not in self.seen:
            self._news.clear()
            await self._news.wait()

    async def method(self, name: str, payload: dict[str, Any]) -> Any:
        """Call a method of the phone."""
        me = self.room.local_participant
        text = json.dumps(payload)
        answer = await me.perform_rpc(destination_identity="phone", method=name, payload=text)
        return json.loads(answer)

    def _came(self, participant: rtc.RemoteParticipant) -> None:
        self.phone = participant
        kind = models.ParticipantInfo.Kind.Name(int(participant.kind))
        self.seen.append(f"{kind} {participant.attributes['sip.callStatus']}")

    def _changed(self, changes: dict[str, str], _participant: rtc.Participant) -> None:
        if "sip.callStatus" in changes:
            self.seen.append(changes["sip.callStatus"])
            self._news.set()

    def _went(self, participant: rtc.RemoteParticipant) -> None:
        reason = int(participant.disconnect_reason or 0)
        self.seen.append(models.DisconnectReason.Name(reason))
        self.left.set()


@asynccontextmanager
async def _agent(server: Server) -> AsyncIterator[_Agent]:
    agent = _Agent()
    async with asyncio.timeout(_PATIENCE):
        await agent.room.connect(server.ws_url, server.token("agent", "room"))
        try:
            yield agent
        finally:
            await agent.room.disconnect()


def _dial(address: str) -> api.CreateSIPParticipantRequest:
    return api.CreateSIPParticipantRequest(
        trunk=api.SIPOutboundConfig(hostname=address, headers_to_attributes={"X-Queue": "queue"}),
        sip_number="+15105550100",
        sip_call_to="+15105550123",
        room_name="room",
        participant_identity="phone",
        include_headers=api.SIPHeaderOptions.SIP_X_HEADERS,
        dtmf="1",
        wait_until_answered=True,
    )


async def test_a_phone_tells_its_states_offers_its_methods_and_hangs_up_as_asked(
    server: Server, tmp_path: Path
) -> None:
    told = receive("BYE").replace("</recv>", "")
    bye = (
        f'{told}<action><ereg regexp="X-Bye: thanks" search_in="msg" check_it="true" '
        'assign_to="bye"/><log message="[$bye]"/></action></recv>'
    )
    steps = [receive("INVITE"), RINGING, _ANSWER, receive("ACK"), bye, send("200 OK")]
    async with (
        sipp_phone(tmp_path, steps) as phone,
        _agent(server) as agent,
        server.api() as lk,
    ):
        await lk.sip.create_sip_participant(_dial(phone.address))
        await agent.until_seen("active")
        assert agent.phone is not None
        attributes = agent.phone.attributes
        assert (attributes["sip.h.x-greeting"], attributes["queue"]) == ("hello", "7")
        assert "sip.ruleID" not in attributes
        headers = await agent.method("lk.sip.GetRemoteHeaders", {"include": ["X-Greeting"]})
        assert headers == {"headers": {"X-Greeting": "hello"}}
        headers = await agent.method("lk.sip.GetRemoteHeaders", {"exclude": ["x-queue"]})
        assert set(headers["headers"]) >= {"X-Greeting", "Server"}
        assert "X-Queue" not in headers["headers"]
        await agent.method("lk.sip.EndCall", {"headers": {"X-Bye": "thanks"}})
        await agent.left.wait()
        assert await phone.finished() == 0
    assert agent.seen == [
        "SIP dialing",
        "ringing",
        "automation",
        "active",
        "hangup",
        "CLIENT_INITIATED",
    ]


async def test_a_refused_phone_leaves_for_the_true_reason(server: Server, tmp_path: Path) -> None:
    async with (
        sipp_phone(tmp_path, refusal("486 Busy Here")) as phone,
        _agent(server) as agent,
        server.api() as lk,
    ):
        with pytest.raises(SipCallError) as refused:
            await lk.sip.create_sip_participant(_dial(phone.address))
        await agent.left.wait()
    assert refused.value.sip_status_code == 486
    # What SDKs try again are 5xx answers: a phone must not ring twice for one request.
    assert refused.value.status < 500
    assert agent.seen == ["SIP dialing", "ringing", "USER_REJECTED"]
