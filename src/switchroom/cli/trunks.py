"""`switchroom sip outbound`: the trunks that calls go out through."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from livekit.protocol import sip as proto

from .api_client import call
from .connection import connection_of
from .errors import Mistyped
from .output import print_messages, print_table
from .request_file import read_request
from .sip_changes import OUTBOUND_TRUNK, delete_trunks as delete_each
from .sip_options import (
    AsJson,
    AuthPass,
    AuthUser,
    CreatedAsJson,
    Files,
    Name,
    authentication,
    separated,
)

outbound = typer.Typer(
    help="The trunks that calls go out through.",
    epilog="Example: switchroom sip outbound create --name Carrier --address sip.carrier.example "
    "--numbers +15105550100 --auth-user alice --auth-pass secret",
    no_args_is_help=True,
)

Address = Annotated[str, typer.Option(help="host or host:port of the carrier")]
Numbers = Annotated[
    list[str] | None, typer.Option(help="caller numbers, repeated or separated by commas")
]
Transport = Annotated[str, typer.Option(help="auto, udp, tcp or tls")]
Country = Annotated[str, typer.Option(help="country most calls go to, such as US")]


@outbound.command("list")
def list_trunks(context: typer.Context, as_json: AsJson = False) -> None:
    """List the outbound trunks; the table shows no passwords."""
    found = outbound_trunks(context)
    if as_json:
        print_messages(found)
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
                authentication(one.auth_username),
            )
            for one in found
        ),
        empty="no outbound trunks",
    )


def outbound_trunks(context: typer.Context) -> list[proto.SIPOutboundTrunkInfo]:
    """All of them, by id."""
    answer = call(
        connection_of(context),
        "SIP/ListSIPOutboundTrunk",
        proto.ListSIPOutboundTrunkRequest(),
        proto.ListSIPOutboundTrunkResponse,
    )
    return list(answer.items)


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
    as_json: CreatedAsJson = False,
) -> None:
    """Create trunks from JSON files (CreateSIPOutboundTrunkRequest), from options, or both."""
    written = _written(name, address, numbers, auth_user, auth_pass, transport, destination_country)
    requests = [
        read_request(file, proto.CreateSIPOutboundTrunkRequest, wrapper="trunk")
        for file in files or ()
    ]
    if not requests and not written:
        raise Mistyped("say what the trunk is: a JSON file, or --name --address --numbers")
    requests = requests or [proto.CreateSIPOutboundTrunkRequest()]
    for request in requests:
        request.trunk.MergeFrom(proto.SIPOutboundTrunkInfo(**written))
    OUTBOUND_TRUNK.create(context, requests, as_json=as_json)


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
    as_json: CreatedAsJson = False,
) -> None:
    """Replace trunks by JSON files (SIPOutboundTrunkInfo), or change single fields by options."""
    written = _written(name, address, numbers, auth_user, auth_pass, transport, destination_country)
    OUTBOUND_TRUNK.change_each(context, files or (), trunk_id, written, as_json=as_json)


@outbound.command("delete")
def delete_trunks(
    context: typer.Context,
    trunk_ids: Annotated[
        list[str], typer.Argument(metavar="TRUNK_ID", help="trunks to delete, such as ST_…")
    ],
    as_json: CreatedAsJson = False,
) -> None:
    """Delete trunks. Calls that run through them go on."""
    delete_each(context, trunk_ids, as_json=as_json)


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
        "numbers": separated(numbers),
        "auth_username": auth_user,
        "auth_password": auth_pass,
        "transport": _transport(transport) if transport else None,
        "destination_country": country,
    }
    return {field: value for field, value in fields.items() if value}


def _transport(word: str) -> int:
    try:
        return proto.SIPTransport.Value(f"SIP_TRANSPORT_{word.upper()}")
    except ValueError:
        raise Mistyped(f"--transport must be auto, udp, tcp or tls, not {word!r}") from None


def _transport_name(transport: int) -> str:
    return proto.SIPTransport.Name(transport).removeprefix("SIP_TRANSPORT_").lower()
