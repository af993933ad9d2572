"""The way in for simulated phones: an inbound trunk, and a rule while nobody has made another."""

from __future__ import annotations

from livekit.protocol import sip as proto

from .api_client import call
from .connection import Connection

NAME = "simulated phones"
NUMBER = "+15550000000"
"""The number that the server answers, in the range that is kept free for fiction."""

_ADDRESSES = ("127.0.0.0/8", "::1")


def lay_way_in(connection: Connection) -> str:
    """The id of the trunk; made now or by an earlier run, and nobody else's rule is touched.

    A rule of ours leads callers into rooms ``call_…``. It gives way to any other that takes their
    calls, so that whoever makes one finds it at work.
    """
    trunk_id = _trunk(connection)
    known = call(
        connection,
        "SIP/ListSIPDispatchRule",
        proto.ListSIPDispatchRuleRequest(),
        proto.ListSIPDispatchRuleResponse,
    )
    ours = [rule for rule in known.items if rule.name == NAME]
    others = [rule for rule in known.items if rule.name != NAME and _takes(rule, trunk_id)]
    stale = [rule for rule in ours if others or list(rule.trunk_ids) != [trunk_id]]
    for rule in stale:
        request = proto.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule.sip_dispatch_rule_id)
        call(connection, "SIP/DeleteSIPDispatchRule", request, proto.SIPDispatchRuleInfo)
    if not others and len(stale) == len(ours):
        _make_rule(connection, trunk_id)
    return trunk_id


def _takes(rule: proto.SIPDispatchRuleInfo, trunk_id: str) -> bool:
    return not rule.trunk_ids or trunk_id in rule.trunk_ids


def _trunk(connection: Connection) -> str:
    known = call(
        connection,
        "SIP/ListSIPInboundTrunk",
        proto.ListSIPInboundTrunkRequest(),
        proto.ListSIPInboundTrunkResponse,
    )
    for trunk in known.items:
        if trunk.name == NAME:
            return trunk.sip_trunk_id
    wanted = proto.SIPInboundTrunkInfo(
        name=NAME, numbers=[NUMBER], allowed_addresses=list(_ADDRESSES)
    )
    made = call(
        connection,
        "SIP/CreateSIPInboundTrunk",
        proto.CreateSIPInboundTrunkRequest(trunk=wanted),
        proto.SIPInboundTrunkInfo,
    )
    return made.sip_trunk_id


def _make_rule(connection: Connection, trunk_id: str) -> None:
    rule = proto.SIPDispatchRuleInfo(
        name=NAME,
        trunk_ids=[trunk_id],
        rule=proto.SIPDispatchRule(
            dispatch_rule_individual=proto.SIPDispatchRuleIndividual(room_prefix="call")
        ),
    )
    request = proto.CreateSIPDispatchRuleRequest(dispatch_rule=rule)
    call(connection, "SIP/CreateSIPDispatchRule", request, proto.SIPDispatchRuleInfo)
