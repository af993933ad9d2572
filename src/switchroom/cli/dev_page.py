"""What `switchroom dev` shows first: what is running, and how to place a call."""

from __future__ import annotations

import json

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from switchroom import __version__
from switchroom.base.records import record
from switchroom.phonenet import events

from .way_in import NUMBER

EXAMPLE = """\
import asyncio
from livekit import api

async def main():
    async with api.LiveKitAPI("{url}", "{api_key}", "{api_secret}") as livekit:
        phone = await livekit.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                sip_trunk_id="{trunk_id}",
                sip_call_to="{number}",
                room_name="hello",
                participant_identity="phone",
                wait_until_answered=True,
            )
        )
        print("answered:", phone.sip_call_id)

asyncio.run(main())"""

_USUAL_URL = "http://127.0.0.1:7880"


@record
class Running:
    """Everything that somebody needs who wants to use the server that has just started."""

    url: str
    api_key: str
    api_secret: str
    trunk_id: str
    carrier: events.Ready

    @property
    def ws_url(self) -> str:
        return "ws" + self.url.removeprefix("http")

    def as_json(self) -> str:
        """The ``ready`` event of ``switchroom dev --json``, one line."""
        return json.dumps(
            {
                "event": "ready",
                "url": self.url,
                "ws_url": self.ws_url,
                "api_key": self.api_key,
                "api_secret": self.api_secret,
                "trunk_id": self.trunk_id,
                "carrier": self.carrier.address,
                "numbers": self.carrier.numbers,
            }
        )


def show_welcome(running: Running, console: Console) -> None:
    """The page that says what is running and what to do next."""
    carrier = running.carrier
    first = next((phone["number"] for phone in carrier.numbers), "")
    server = "--dev" if running.url == _USUAL_URL else f"--url {running.url}"
    call = (
        f"switchroom {server} sip participant create --trunk {running.trunk_id} "
        f"--room hello --call {first} --wait"
    )
    example = EXAMPLE.format(
        url=running.url,
        api_key=running.api_key,
        api_secret=running.api_secret,
        trunk_id=running.trunk_id,
        number=first,
    )
    console.print(f"\n[bold]Switchroom {__version__}[/bold] is running.\n")
    console.print(
        _columns(
            ("URL", f"{running.ws_url}  (API: {running.url})"),
            ("API key", running.api_key),
            ("API secret", running.api_secret),
            ("SIP trunk", f"{running.trunk_id}, to a carrier simulated at {carrier.address}"),
        )
    )
    console.print("\n[bold]Numbers to call[/bold]\n")
    console.print(_columns(*((phone["number"], phone["does"]) for phone in carrier.numbers)))
    console.print(f"\n[bold]Be called[/bold] at {NUMBER}, once an agent or a person can answer:\n")
    console.print(Text(f"  switchroom {server} phone call --as ada"), soft_wrap=True)
    console.print("\n[bold]Call one[/bold] from another terminal:\n")
    console.print(Text(f"  {call}"), soft_wrap=True)
    console.print("\nor from your own program (pip install livekit-api):\n")
    for line in example.splitlines():
        console.print(Text(f"  {line}"), soft_wrap=True)
    console.print("\nWhat the phones do appears below. Ctrl-C stops everything.\n")


def _columns(*rows: tuple[str, str]) -> Padding:
    """What on the left, the rest on the right, also where a line is too long for the window."""
    grid = Table.grid(padding=(0, 2))
    for left, right in rows:
        grid.add_row(Text(left, style="cyan"), Text(right))
    return Padding(grid, (0, 0, 0, 2))
