"""A server that can be called: its address for SIP, a trunk and a rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livekit import api

from interop.peer_process import free_port
from interop.server import Server, outward_address, server_here

NUMBER = "+15105550100"
ROOM = "inbound"


@dataclass(frozen=True)
class Desk:
    """Where callers reach the server, and its API."""

    server: Server
    lk: api.LiveKitAPI
    address: str
    """Host and port for SIP."""
    local: str
    """The same on loopback."""
    trunk_id: str
    rule_id: str


async def lay_trunk(lk: api.LiveKitAPI, **wishes: Any) -> str:
    """An inbound trunk for NUMBER; its id."""
    trunk = api.SIPInboundTrunkInfo(name="desk", numbers=[NUMBER], **wishes)
    request = api.CreateSIPInboundTrunkRequest(trunk=trunk)
    return (await lk.sip.create_inbound_trunk(request)).sip_trunk_id


async def lay_rule(lk: api.LiveKitAPI, trunk_id: str, *, pin: str = "", **wishes: Any) -> str:
    """A rule that leads the trunk's callers into ROOM; its id."""
    direct = api.SIPDispatchRuleDirect(room_name=ROOM, pin=pin)
    rule = api.SIPDispatchRuleInfo(
        rule=api.SIPDispatchRule(dispatch_rule_direct=direct), trunk_ids=[trunk_id], **wishes
    )
    request = api.CreateSIPDispatchRuleRequest(dispatch_rule=rule)
    return (await lk.sip.create_dispatch_rule(request)).sip_dispatch_rule_id


@asynccontextmanager
async def desk(data: Path, *, pin: str = "", port: int = 0, **settings: Any) -> AsyncIterator[Desk]:
    """A server in this process with a trunk for NUMBER and a rule that leads into ROOM."""
    port = port or free_port()
    async with server_here(data, sip__port=port, **settings) as server, server.api() as lk:
        trunk_id = await lay_trunk(lk)
        rule_id = await lay_rule(lk, trunk_id, pin=pin)
        outward = f"{outward_address()}:{port}"
        yield Desk(server, lk, outward, f"127.0.0.1:{port}", trunk_id, rule_id)
