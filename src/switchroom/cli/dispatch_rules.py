"""`switchroom sip dispatch`: which room callers are led to."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from livekit.protocol import agent_dispatch, sip as proto

from switchroom.base.records import record

from .api_client import call
from .connection import connection_of
from .errors import Mistyped
from .output import print_answers, print_messages, print_table
from .request_file import read_request
from .sip_changes import DISPATCH_RULE
from .sip_options import AsJson, CreatedAsJson, Files, Name, separated

app = typer.Typer(
    help="Which room callers are led to.",
    epilog="Example: switchroom sip dispatch create --name Reception --individual call- "
    "--agent receptionist",
    no_args_is_help=True,
)

Trunks = Annotated[
    list[str] | None,
    typer.Option("--trunks", "--trunk", help="trunks it is for; all if none is given"),
]
Numbers = Annotated[
    list[str] | None,
    typer.Option(help="called numbers it is for, repeated or with commas; +1510* takes a range"),
]
Callers = Annotated[list[str] | None, typer.Option("--inbound-numbers", help="callers it is for")]
Direct = Annotated[str | None, typer.Option(help="everybody into this room")]
Individual = Annotated[
    str | None,
    typer.Option("--caller", "--individual", help="a room per call, its name begins so"),
]
Callee = Annotated[str | None, typer.Option(help="a room per called number, its name begins so")]
Pin = Annotated[str, typer.Option(help="what callers must type first")]
Randomize = Annotated[bool, typer.Option("--randomize", help="with --callee: a room per call")]
Agents = Annotated[
    list[str] | None,
    typer.Option("--agent", "--agents", help="agents to send into new rooms, by name"),
]
Metadata = Annotated[str, typer.Option(help="metadata of the participant")]

_COLUMNS = (
    "SipDispatchRuleID",
    "Name",
    "SipTrunks",
    "Called",
    "Callers",
    "Room",
    "Pin",
    "Agents",
)


@app.command("list")
def list_rules(context: typer.Context, as_json: AsJson = False) -> None:
    """List the dispatch rules."""
    answer = call(
        connection_of(context),
        "SIP/ListSIPDispatchRule",
        proto.ListSIPDispatchRuleRequest(),
        proto.ListSIPDispatchRuleResponse,
    )
    if as_json:
        print_messages(answer.items)
        return
    print_table(_COLUMNS, (_row(one) for one in answer.items), empty="no dispatch rules")


@app.command("create")
def create_rules(
    context: typer.Context,
    files: Files = None,
    name: Name = "",
    trunks: Trunks = None,
    numbers: Numbers = None,
    inbound_numbers: Callers = None,
    direct: Direct = None,
    individual: Individual = None,
    callee: Callee = None,
    pin: Pin = "",
    randomize: Randomize = False,
    agents: Agents = None,
    metadata: Metadata = "",
    as_json: CreatedAsJson = False,
) -> None:
    """Create rules from JSON files (CreateSIPDispatchRuleRequest), from options, or both."""
    rule = _Room(direct, individual, callee, pin, randomize=randomize).rule()
    fields = _fields(name, trunks, numbers, inbound_numbers, agents, metadata)
    requests = [read_request(file, proto.CreateSIPDispatchRuleRequest) for file in files or ()]
    if not requests and rule is None:
        raise Mistyped(
            "say where callers go: a JSON file, --direct ROOM, --caller PREFIX or --callee PREFIX"
        )
    requests = requests or [proto.CreateSIPDispatchRuleRequest()]
    for request in requests:
        if rule is not None or fields:
            _overlay(request, rule, fields)
    DISPATCH_RULE.create(context, requests, as_json=as_json)


@app.command("update")
def update_rule(
    context: typer.Context,
    files: Files = None,
    rule_id: Annotated[str, typer.Option("--id", help="the rule; needed with options")] = "",
    name: Name = "",
    trunks: Trunks = None,
    direct: Direct = None,
    individual: Individual = None,
    callee: Callee = None,
    pin: Pin = "",
    randomize: Randomize = False,
    metadata: Metadata = "",
    as_json: CreatedAsJson = False,
) -> None:
    """Replace rules by JSON files (SIPDispatchRuleInfo), or change single fields by options."""
    rule = _Room(direct, individual, callee, pin, randomize=randomize).rule()
    written = _fields(name, trunks, None, None, None, metadata)
    if rule is not None:
        written["rule"] = rule
    DISPATCH_RULE.change_each(context, files or (), rule_id, written, as_json=as_json)


@app.command("delete")
def delete_rules(
    context: typer.Context,
    rule_ids: Annotated[
        list[str], typer.Argument(metavar="RULE_ID", help="rules to delete, such as SDR_…")
    ],
    as_json: CreatedAsJson = False,
) -> None:
    """Delete rules. Calls that followed them go on."""
    deleted = []
    for rule_id in rule_ids:
        request = proto.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id)
        answer = call(
            connection_of(context), "SIP/DeleteSIPDispatchRule", request, proto.SIPDispatchRuleInfo
        )
        deleted.append(answer)
        if not as_json:
            print(f"SIP Dispatch Rule {rule_id} deleted")
    if as_json:
        print_answers(deleted)


@record
class _Room:
    """What options say of the room; None where one was not given."""

    direct: str | None
    individual: str | None
    callee: str | None
    pin: str
    randomize: bool

    def rule(self) -> proto.SIPDispatchRule | None:
        """The rule, None if no option spoke of it. Raises Mistyped."""
        given = [one for one in (self.direct, self.individual, self.callee) if one is not None]
        if len(given) > 1:
            raise Mistyped("give one of --direct, --caller and --callee")
        if self.randomize and self.callee is None:
            raise Mistyped("--randomize belongs to --callee")
        if not given:
            if self.pin:
                raise Mistyped("--pin belongs to --direct, --caller or --callee")
            return None
        return self._rule()

    def _rule(self) -> proto.SIPDispatchRule:
        if self.direct is not None:
            direct = proto.SIPDispatchRuleDirect(room_name=self.direct, pin=self.pin)
            return proto.SIPDispatchRule(dispatch_rule_direct=direct)
        if self.individual is not None:
            own = proto.SIPDispatchRuleIndividual(room_prefix=self.individual, pin=self.pin)
            return proto.SIPDispatchRule(dispatch_rule_individual=own)
        callee = proto.SIPDispatchRuleCallee(
            room_prefix=self.callee or "", pin=self.pin, randomize=self.randomize
        )
        return proto.SIPDispatchRule(dispatch_rule_callee=callee)


def _fields(
    name: str,
    trunks: list[str] | None,
    numbers: list[str] | None,
    callers: list[str] | None,
    agents: list[str] | None,
    metadata: str,
) -> dict[str, Any]:
    """The fields that options gave, under their names in SIPDispatchRuleInfo."""
    asked = [agent_dispatch.RoomAgentDispatch(agent_name=agent) for agent in separated(agents)]
    fields: dict[str, Any] = {
        "name": name,
        "trunk_ids": separated(trunks),
        "numbers": separated(numbers),
        "inbound_numbers": separated(callers),
        "room_config": {"agents": asked} if asked else None,
        "metadata": metadata,
    }
    return {field: value for field, value in fields.items() if value}


def _overlay(
    request: proto.CreateSIPDispatchRuleRequest,
    rule: proto.SIPDispatchRule | None,
    fields: dict[str, Any],
) -> None:
    """Options over a file in the new form; files in the old one are brought into it first."""
    for old, value in request.ListFields():
        if old.name != "dispatch_rule":
            request.dispatch_rule.MergeFrom(proto.SIPDispatchRuleInfo(**{old.name: value}))
            request.ClearField(old.name)
    if rule is not None:
        request.dispatch_rule.rule.CopyFrom(rule)
    request.dispatch_rule.MergeFrom(proto.SIPDispatchRuleInfo(**fields))


def _row(info: proto.SIPDispatchRuleInfo) -> tuple[str, ...]:
    room, pin = _room(info.rule)
    return (
        info.sip_dispatch_rule_id,
        info.name,
        ", ".join(one or "(none)" for one in info.trunk_ids) or "any",
        ", ".join(info.numbers) or "any",
        ", ".join(info.inbound_numbers) or "any",
        room,
        "****" if pin else "",
        ", ".join(agent.agent_name or "(unnamed)" for agent in info.room_config.agents),
    )


def _room(rule: proto.SIPDispatchRule) -> tuple[str, str]:
    """The room as a table shows it, and the PIN."""
    match rule.WhichOneof("rule"):
        case "dispatch_rule_direct":
            return rule.dispatch_rule_direct.room_name, rule.dispatch_rule_direct.pin
        case "dispatch_rule_individual":
            own = rule.dispatch_rule_individual
            tail = "<caller>" if own.no_randomness else "<caller>_*"
            return _joined(own.room_prefix, tail), own.pin
        case _:
            callee = rule.dispatch_rule_callee
            tail = "<called>_*" if callee.randomize else "<called>"
            return _joined(callee.room_prefix, tail), callee.pin


def _joined(prefix: str, tail: str) -> str:
    return f"{prefix}_{tail}" if prefix else tail
