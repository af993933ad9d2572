"""`switchroom sip inbound`: the trunks that calls come in by."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from livekit.protocol import sip as proto

from .api_client import call
from .connection import connection_of
from .errors import Mistyped
from .output import print_messages, print_table
from .request_file import read_request
from .sip_changes import INBOUND_TRUNK, delete_trunks as delete_each
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

app = typer.Typer(
    help="The trunks that calls come in by.",
    epilog="Example: switchroom sip inbound create --name Office --numbers +15105550100 "
    "--address 203.0.113.0/24",
    no_args_is_help=True,
)

Numbers = Annotated[
    list[str] | None,
    typer.Option(help="numbers that are called, repeated or with commas; +1510* takes a range"),
]
Addresses = Annotated[
    list[str] | None,
    typer.Option("--allowed-addresses", "--address", help="IPs, networks or names that may call"),
]
Callers = Annotated[
    list[str] | None, typer.Option("--allowed-numbers", help="numbers that may call")
]
Realm = Annotated[str, typer.Option("--auth-realm", help="realm of the password")]


@app.command("list")
def list_trunks(context: typer.Context, as_json: AsJson = False) -> None:
    """List the inbound trunks; the table shows no passwords."""
    found = inbound_trunks(context)
    if as_json:
        print_messages(found)
        return
    print_table(
        ("SipTrunkID", "Name", "Numbers", "AllowedAddresses", "AllowedNumbers", "Authentication"),
        (
            (
                one.sip_trunk_id,
                one.name,
                ", ".join(one.numbers) or "any",
                ", ".join(one.allowed_addresses) or "any",
                ", ".join(one.allowed_numbers) or "any",
                authentication(one.auth_username),
            )
            for one in found
        ),
        empty="no inbound trunks",
    )


def inbound_trunks(context: typer.Context) -> list[proto.SIPInboundTrunkInfo]:
    """All of them, by id."""
    answer = call(
        connection_of(context),
        "SIP/ListSIPInboundTrunk",
        proto.ListSIPInboundTrunkRequest(),
        proto.ListSIPInboundTrunkResponse,
    )
    return list(answer.items)


@app.command("create")
def create_trunks(
    context: typer.Context,
    files: Files = None,
    name: Name = "",
    numbers: Numbers = None,
    allowed_addresses: Addresses = None,
    allowed_numbers: Callers = None,
    auth_user: AuthUser = "",
    auth_pass: AuthPass = "",
    auth_realm: Realm = "",
    as_json: CreatedAsJson = False,
) -> None:
    """Create trunks from JSON files (CreateSIPInboundTrunkRequest), from options, or both."""
    written = _written(
        name, numbers, allowed_addresses, allowed_numbers, (auth_user, auth_pass, auth_realm)
    )
    requests = [
        read_request(file, proto.CreateSIPInboundTrunkRequest, wrapper="trunk")
        for file in files or ()
    ]
    if not requests and not written:
        raise Mistyped("say whom the trunk takes calls from: a JSON file, or --numbers …")
    requests = requests or [proto.CreateSIPInboundTrunkRequest()]
    for request in requests:
        request.trunk.MergeFrom(proto.SIPInboundTrunkInfo(**written))
    INBOUND_TRUNK.create(context, requests, as_json=as_json)


@app.command("update")
def update_trunk(
    context: typer.Context,
    files: Files = None,
    trunk_id: Annotated[str, typer.Option("--id", help="the trunk; needed with options")] = "",
    name: Name = "",
    numbers: Numbers = None,
    allowed_addresses: Addresses = None,
    allowed_numbers: Callers = None,
    auth_user: AuthUser = "",
    auth_pass: AuthPass = "",
    auth_realm: Realm = "",
    as_json: CreatedAsJson = False,
) -> None:
    """Replace trunks by JSON files (SIPInboundTrunkInfo), or change single fields by options."""
    written = _written(
        name, numbers, allowed_addresses, allowed_numbers, (auth_user, auth_pass, auth_realm)
    )
    INBOUND_TRUNK.change_each(context, files or (), trunk_id, written, as_json=as_json)


@app.command("delete")
def delete_trunks(
    context: typer.Context,
    trunk_ids: Annotated[
        list[str], typer.Argument(metavar="TRUNK_ID", help="trunks to delete, such as ST_…")
    ],
    as_json: CreatedAsJson = False,
) -> None:
    """Delete trunks. Calls that came in by them go on."""
    delete_each(context, trunk_ids, as_json=as_json)


def _written(
    name: str,
    numbers: list[str] | None,
    addresses: list[str] | None,
    callers: list[str] | None,
    login: tuple[str, str, str],
) -> dict[str, Any]:
    """The fields that options gave, under their names in SIPInboundTrunkInfo."""
    user, password, realm = login
    fields: dict[str, Any] = {
        "name": name,
        "numbers": separated(numbers),
        "allowed_addresses": separated(addresses),
        "allowed_numbers": separated(callers),
        "auth_username": user,
        "auth_password": password,
        "auth_realm": realm,
    }
    return {field: value for field, value in fields.items() if value}
