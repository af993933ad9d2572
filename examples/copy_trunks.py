"""Copies trunks and dispatch rules from one server to another, with LiveKit's own SDK.

    OLD_URL=https://old.example.com OLD_KEY=… OLD_SECRET=… \
    LIVEKIT_URL=https://new.example.com LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… \
    python copy_trunks.py

Prints the old and the new identifier of each. What is there already (a trunk with that name and
those numbers, a rule with that name for the same) is left alone, so that it can be run again. What
the new server refuses is printed with its reason, and the rest goes on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable
from typing import TypeVar

from livekit import api

Made = TypeVar("Made")

NEEDED = (
    *("OLD_URL", "OLD_KEY", "OLD_SECRET"),
    *("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"),
)


async def copy(old: api.LiveKitAPI, new: api.LiveKitAPI) -> dict[str, str]:
    """The new identifier of everything, by the old one."""
    known = await inbound_trunks(old, new) | await outbound_trunks(old, new)
    return known | await dispatch_rules(old, new, known)


async def inbound_trunks(old: api.LiveKitAPI, new: api.LiveKitAPI) -> dict[str, str]:
    request = api.ListSIPInboundTrunkRequest()
    there = {face(trunk): trunk for trunk in (await new.sip.list_inbound_trunk(request)).items}
    copied = {}
    for trunk in (await old.sip.list_inbound_trunk(request)).items:
        was, trunk.sip_trunk_id = trunk.sip_trunk_id, ""
        create = api.CreateSIPInboundTrunkRequest(trunk=trunk)
        made = there.get(face(trunk)) or await tried(was, new.sip.create_inbound_trunk(create))
        if made is not None:
            copied[was] = made.sip_trunk_id
    return copied


async def outbound_trunks(old: api.LiveKitAPI, new: api.LiveKitAPI) -> dict[str, str]:
    request = api.ListSIPOutboundTrunkRequest()
    there = {face(trunk): trunk for trunk in (await new.sip.list_outbound_trunk(request)).items}
    copied = {}
    for trunk in (await old.sip.list_outbound_trunk(request)).items:
        was, trunk.sip_trunk_id = trunk.sip_trunk_id, ""
        create = api.CreateSIPOutboundTrunkRequest(trunk=trunk)
        made = there.get(face(trunk)) or await tried(was, new.sip.create_outbound_trunk(create))
        if made is not None:
            copied[was] = made.sip_trunk_id
    return copied


async def dispatch_rules(
    old: api.LiveKitAPI, new: api.LiveKitAPI, known: dict[str, str]
) -> dict[str, str]:
    """Rules name trunks by their identifiers, which are new."""
    request = api.ListSIPDispatchRuleRequest()
    there = {aim(rule): rule for rule in (await new.sip.list_dispatch_rule(request)).items}
    copied = {}
    for rule in (await old.sip.list_dispatch_rule(request)).items:
        was, rule.sip_dispatch_rule_id = rule.sip_dispatch_rule_id, ""
        rule.trunk_ids[:] = [known.get(trunk, trunk) for trunk in rule.trunk_ids]
        create = api.CreateSIPDispatchRuleRequest(dispatch_rule=rule)
        made = there.get(aim(rule)) or await tried(was, new.sip.create_dispatch_rule(create))
        if made is not None:
            copied[was] = made.sip_dispatch_rule_id
    return copied


def face(trunk: api.SIPInboundTrunkInfo | api.SIPOutboundTrunkInfo) -> tuple[str, ...]:
    """What tells a trunk from others."""
    return (trunk.name, *trunk.numbers)


def aim(rule: api.SIPDispatchRuleInfo) -> tuple[str, ...]:
    """What tells a rule from others."""
    return (rule.name, str(rule.rule), *rule.trunk_ids, *rule.numbers, *rule.inbound_numbers)


async def tried(was: str, creation: Awaitable[Made]) -> Made | None:
    try:
        return await creation
    except api.TwirpError as refusal:
        print(f"{was} is refused: {refusal.message}")
        return None


async def main() -> None:
    old = api.LiveKitAPI(os.environ["OLD_URL"], os.environ["OLD_KEY"], os.environ["OLD_SECRET"])
    async with old, api.LiveKitAPI() as new:
        for was, became in (await copy(old, new)).items():
            print(f"{was} -> {became}")


if __name__ == "__main__":
    if not all(os.environ.get(name) for name in NEEDED):
        sys.exit(f"Say which servers: {', '.join(NEEDED)}\n\n{__doc__}")
    try:
        asyncio.run(main())
    except (api.TwirpError, OSError) as failed:
        sys.exit(f"nothing more is copied: {failed}")
