"""`switchroom sip outbound`: the trunks that calls go out through.

`switchroom sip trunk …` takes the forms that many tutorials print; `lk` itself never had them.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from livekit.protocol import sip as proto

from .api_client import call, connection_of
from .errors import CommandFailed
from .output import print_messages, print_table
from .request_file import read_request

outbound = typer.Typer(help="The trunks that calls go out through.", no_args_is_help=True)
trunk = typer.Typer(help="The same, in the words of older tutorials.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", "-j", help="print JSON instead of a table")]
Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="the request as JSON: a file, - or the text itself"),
]
Name = Annotated[str, typer.Option(help="a name for people")]
Address = Annotated[str, typer.Option(help="host or host:port of the carrier")]
Numbers = Annotated[
    list[str] | None, typer.Option(help="caller numbers, repeated or separated by commas")
]
AuthUser = Annotated[
    str, typer.Option("--auth-user", "--auth-username", help="user name for the carrier")
]
AuthPass = Annotated[
    str, typer.Option("--auth-pass", "--auth-password", help="password for the carrier")
]
Transport = Annotated[str, typer.Option(help="auto, udp, tcp or tls")]
Country = Annotated[str, typer.Option(help="country most calls go to, such as US")]


@trunk.command("list")
@trunk.command("list-outbound", hidden=True)
@outbound.command("list")
def list_trunks(context: typer.Context, as_json: AsJson = False) -> None:
    """List the outbound trunks; passwords are not shown."""
    answer = call(
        connection_of(context),
        "SIP/ListSIPOutboundTrunk",
        proto.ListSIPOutboundTrunkRequest(),
        proto.ListSIPOutboundTrunkResponse,
    )
    if as_json:
        print_messages(answer.items)
        return
    print_table(
        ("SipTrunkID", "Name", "Address", "Transport", "Numbers", "Authentication"),
        (
            (
                one.sip_trunk_id,
                one.name,
                one.address,
                _transport_name(one.transport),
                ", ".join(one.numbers),
                f"{one.auth_username} / ****" if one.auth_username else "",
            )
            for one in answer.items
        ),
        empty="no outbound trunks",
    )


@trunk.command("create-outbound")
@outbound.command("create")
def create_trunks(
    context: typer.Context,
    files: Files = None,
    name: Name = "",
    address: Address = "",
    numbers: Numbers = None,
    auth_user: AuthUser = "",
    auth_pass: AuthPass = "",
    transport: Transport = "",
    destination_country: Country = "",
) -> None:
    """Create trunks from JSON files (CreateSIPOutboundTrunkRequest), from options, or both."""
    written = _written(name, address, numbers, auth_user, auth_pass, transport, destination_country)
    requests = [read_request(file, proto.CreateSIPOutboundTrunkRequest) for file in files or ()]
    if not requests and not written:
        raise CommandFailed("say what the trunk is: a JSON file, or --name --address --numbers")
    for request in requests or [proto.CreateSIPOutboundTrunkRequest()]:
        request.trunk.MergeFrom(proto.SIPOutboundTrunkInfo(**written))
        created = call(
            connection_of(context),
            "SIP/CreateSIPOutboundTrunk",
            request,
            proto.SIPOutboundTrunkInfo,
        )
        print(f"SIPTrunkID: {created.sip_trunk_id}")


@outbound.command("update")
def update_trunk(
    context: typer.Context,
    files: Files = None,
    trunk_id: Annotated[str, typer.Option("--id", help="the trunk; needed with options")] = "",
    name: Name = "",
    address: Address = "",
    numbers: Numbers = None,
    auth_user: AuthUser = "",
    auth_pass: AuthPass = "",
    transport: Transport = "",
    destination_country: Country = "",
) -> None:
    """Replace trunks by JSON files (SIPOutboundTrunkInfo), or change single fields by options."""
    requests = [
        proto.UpdateSIPOutboundTrunkRequest(
            sip_trunk_id=trunk_id or info.sip_trunk_id, replace=info
        )
        for info in (read_request(file, proto.SIPOutboundTrunkInfo) for file in files or ())
    ]
    written = _written(name, address, numbers, auth_user, auth_pass, transport, destination_country)
    if written:
        requests.append(_partial_update(trunk_id, written))
    if not requests:
        raise CommandFailed("say what to change: a JSON file, or --id and the fields to change")
    for request in requests:
        call(
            connection_of(context),
            "SIP/UpdateSIPOutboundTrunk",
            request,
            proto.SIPOutboundTrunkInfo,
        )
        print(f"SIPTrunkID: {request.sip_trunk_id}")


@trunk.command("delete")
@outbound.command("delete")
def delete_trunks(
    context: typer.Context,
    trunk_ids: Annotated[list[str], typer.Argument(help="trunks to delete, such as ST_…")],
) -> None:
    """Delete trunks. Calls that run through them go on."""
    for trunk_id in trunk_ids:
        call(
            connection_of(context),
            "SIP/DeleteSIPTrunk",
            proto.DeleteSIPTrunkRequest(sip_trunk_id=trunk_id),
            proto.SIPTrunkInfo,
        )
        print(f"SIP Trunk {trunk_id} deleted")


def _written(
    name: str,
    address: str,
    numbers: list[str] | None,
    auth_user: str,
    auth_pass: str,
    transport: str,
    country: str,
) -> dict[str, Any]:
    """The fields that options gave, under their names in SIPOutboundTrunkInfo."""
    fields: dict[str, Any] = {
        "name": name,
        "address": address,
        "numbers": [one.strip() for given in numbers or () for one in given.split(",")],
        "auth_username": auth_user,
        "auth_password": auth_pass,
        "transport": _transport(transport) if transport else None,
        "destination_country": country,
    }
    return {field: value for field, value in fields.items() if value}


def _partial_update(trunk_id: str, written: dict[str, Any]) -> proto.UpdateSIPOutboundTrunkRequest:
    if not trunk_id:
        raise CommandFailed("--id is needed to say which trunk to change")
    fields = dict(written)
    update = proto.SIPOutboundTrunkUpdate()
    if "numbers" in fields:
        update.numbers.set.extend(fields.pop("numbers"))
    for field, value in fields.items():
        setattr(update, field, value)
    return proto.UpdateSIPOutboundTrunkRequest(sip_trunk_id=trunk_id, update=update)


def _transport(word: str) -> int:
    try:
        return proto.SIPTransport.Value(f"SIP_TRANSPORT_{word.upper()}")
    except ValueError:
        raise CommandFailed(f"--transport must be auto, udp, tcp or tls, not {word!r}") from None


def _transport_name(transport: int) -> str:
    return proto.SIPTransport.Name(transport).removeprefix("SIP_TRANSPORT_").lower()
