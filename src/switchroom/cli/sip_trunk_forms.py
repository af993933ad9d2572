"""`switchroom sip trunk`: trunks in the words of tutorials; `lk` itself never had them."""

from __future__ import annotations

import typer

from . import sip_inbound_trunks, trunks
from .output import print_messages, print_table
from .sip_options import AsJson, authentication

app = typer.Typer(
    help="Trunks of both directions, in the words of tutorials.", no_args_is_help=True
)

app.command("create-outbound")(trunks.create_trunks)
app.command("create-inbound")(sip_inbound_trunks.create_trunks)
app.command("list-outbound")(trunks.list_trunks)
app.command("list-inbound")(sip_inbound_trunks.list_trunks)
app.command("delete")(trunks.delete_trunks)


@app.command("list")
def list_trunks(context: typer.Context, as_json: AsJson = False) -> None:
    """List the trunks of both directions; the table shows no passwords."""
    out, into = trunks.outbound_trunks(context), sip_inbound_trunks.inbound_trunks(context)
    if as_json:
        print_messages([*out, *into])
        return
    print_table(
        ("SipTrunkID", "Direction", "Name", "Address", "Numbers", "Authentication"),
        [
            *(
                (
                    one.sip_trunk_id,
                    "outbound",
                    one.name,
                    one.address,
                    ", ".join(one.numbers),
                    authentication(one.auth_username),
                )
                for one in out
            ),
            *(
                (
                    one.sip_trunk_id,
                    "inbound",
                    one.name,
                    ", ".join(one.allowed_addresses) or "any",
                    ", ".join(one.numbers) or "any",
                    authentication(one.auth_username),
                )
                for one in into
            ),
        ],
        empty="no trunks",
    )
