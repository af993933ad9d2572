"""`switchroom phone`: simulated phones that call the server."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer
import uvloop

from switchroom.phonenet import events
from switchroom.phonenet.orders import CallOrder, OrderError, read_order
from switchroom.phonenet.pretty import pretty

from .connection import connection_of
from .errors import CommandFailed, Mistyped
from .options import AsJson
from .output import print_table
from .simulated_carrier import SimulatedCarrier, simulated_carrier
from .sip_options import pair
from .terminal import Page, stop_printing
from .way_in import NUMBER, lay_way_in

app = typer.Typer()

_SERVER = "127.0.0.1:5060"

_PATIENCE = 5.0
_HINT = (
    "It rings until somebody in its room can be heard: start an agent, or join the room "
    "(switchroom room list) and open a microphone."
)


@app.command("list")
def list_phones(as_json: AsJson = False) -> None:
    """List the phones that can be called, and can call."""
    # Here, because other commands need no phones.
    from switchroom.phonenet.directory import Directory  # noqa: PLC0415
    from switchroom.phonenet.phones import PHONES  # noqa: PLC0415

    phones = list(Directory(PHONES))
    if as_json:
        shown = [
            {"number": phone.number, "name": phone.name, "does": phone.does} for phone in phones
        ]
        print(json.dumps(shown, indent=2))
        return
    rows = [(phone.number, phone.name, phone.does) for phone in phones]
    print_table(("Number", "Name", "Does"), rows, empty="no phones")


@app.command("call")
def call_in(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="the number to dial")] = NUMBER,
    as_: Annotated[
        str, typer.Option("--as", help="the phone that calls, by name or number")
    ] = "ada",
    to: Annotated[
        str,
        typer.Option(
            help="the server's SIP address; if not given, 127.0.0.1:5060, "
            "with a trunk and a rule made there"
        ),
    ] = "",
    press: Annotated[
        str, typer.Option(help="keys to press a second after the answer, such as 1234#")
    ] = "",
    header: Annotated[
        list[str] | None, typer.Option(help="SIP header Name:Value, as often as needed")
    ] = None,
    auth_user: Annotated[str, typer.Option(help="name to log in with")] = "",
    auth_pass: Annotated[str, typer.Option(help="password of that name")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Let a simulated phone call the server, and show what it hears."""
    order = CallOrder(
        call=number,
        to=to or _SERVER,
        as_=as_,
        press=press,
        headers=dict(pair(given, "--header") for given in header or ()),
        username=auth_user,
        password=auth_pass,
    )
    try:
        read_order(order.as_line())
    except OrderError as error:
        raise Mistyped(str(error)) from None
    if not to:
        lay_way_in(connection_of(context))
    refusal = uvloop.run(_call(order, as_json=as_json))
    if refusal:
        raise CommandFailed(refusal)


async def _call(order: CallOrder, *, as_json: bool) -> str:
    """Place the call and tell what happens; why it did not come about, empty if it did."""
    async with simulated_carrier("--port", "0") as carrier:
        await carrier.ready()
        carrier.place(order)
        try:
            return await _tell(carrier, as_json=as_json)
        except BrokenPipeError:
            stop_printing()
            return ""


async def _tell(carrier: SimulatedCarrier, *, as_json: bool) -> str:
    page = Page()
    failure = "nobody answered"
    hint = asyncio.get_running_loop().call_later(_PATIENCE, page.print, _HINT)
    async for line in carrier.lines():
        event = events.from_line(line)
        if as_json:
            print(line, flush=True)
        else:
            page.print(pretty(event), highlight=False, markup=False, soft_wrap=True)
        if as_json or not isinstance(event, events.Dials | events.Ringing):
            hint.cancel()
        match event:
            case events.Misunderstood(error=error):
                return error
            case events.Rejected(status=status, reason=reason):
                failure = f"the server refused the call: {status} {reason}".rstrip()
            case events.Answered():
                failure = ""
            case events.Ended(by="network", reason=reason):
                return failure and f"the call did not come about: {reason}"
            case events.Ended():
                return failure
            case _:
                pass
    return failure
