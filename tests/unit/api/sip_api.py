"""Calls `livekit.SIP` over HTTP, as an SDK does with protobuf."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message
from livekit.protocol import sip as wire

from scenarios.house import House
from switchroom.auth.grants import Claims, SipGrants, VideoGrants
from switchroom.auth.tokens import mint

from .conftest import KEY, SECRET, Client, Reply

Answer = TypeVar("Answer", bound=Message)
ADMIN = SipGrants(admin=True)
CALL = SipGrants(call=True)
TRUNK = wire.SIPOutboundTrunkInfo(name="t", address="sip.example.com", numbers=["+15105550100"])


class SipApi:
    """Calls the service over HTTP."""

    def __init__(self, client: Client, house: House) -> None:
        self.client = client
        self.house = house

    async def call(
        self, method: str, request: Message, answer: type[Answer], grants: SipGrants = ADMIN
    ) -> Answer:
        reply = await self.post(method, request, grants)
        assert reply.status == 200, reply.text
        return answer.FromString(reply.body)

    async def refusal(
        self, method: str, request: Message, grants: SipGrants | None = ADMIN
    ) -> tuple[str, str]:
        error = json.loads((await self.post(method, request, grants)).body)
        return error["code"], error["msg"]

    async def post(
        self,
        method: str,
        request: Message,
        grants: SipGrants | None,
        *,
        video: VideoGrants | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Reply:
        body = request.SerializeToString()
        return await self.send(method, body, grants, video=video, extra=extra)

    async def send(
        self,
        method: str,
        body: bytes,
        grants: SipGrants | None = ADMIN,
        *,
        video: VideoGrants | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Reply:
        """Any body; with an extra content-type it need not be protobuf."""
        headers = {"content-type": "application/protobuf", **(extra or {})}
        if grants is not None:
            claims = Claims(KEY, "ann", sip=grants, video=video, expires_at=4e9)
            headers["authorization"] = "Bearer " + mint(claims, SECRET)
        path = f"/twirp/livekit.SIP/{method}"
        return await self.client.send("POST", path, body, headers=headers)

    async def trunk(self, **changes: Any) -> wire.SIPOutboundTrunkInfo:
        trunk = wire.SIPOutboundTrunkInfo()
        trunk.CopyFrom(TRUNK)
        trunk.MergeFrom(wire.SIPOutboundTrunkInfo(**changes))
        request = wire.CreateSIPOutboundTrunkRequest(trunk=trunk)
        return await self.call("CreateSIPOutboundTrunk", request, wire.SIPOutboundTrunkInfo)

    async def json(self, method: str, body: str, grants: SipGrants = ADMIN) -> dict[str, Any]:
        """Call with JSON and get JSON, also for a refusal."""
        extra = {"content-type": "application/json"}
        reply = await self.send(method, body.encode(), grants, extra=extra)
        answer: dict[str, Any] = json.loads(reply.body)
        return answer
