"""What `switchroom dev` shows: first how to begin, then what the simulated phones do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.text import Text

from switchroom import __version__
from switchroom.phonenet import events

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


@dataclass(frozen=True, slots=True)
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
    first = next((phone["number"] for phone in running.carrier.numbers), "")
    call = (
        f"switchroom --dev sip participant create --trunk {running.trunk_id} "
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
    for label, value in (
        ("URL", f"{running.ws_url}  (API: {running.url})"),
        ("API key", running.api_key),
        ("API secret", running.api_secret),
        ("SIP trunk", f"{running.trunk_id}, to a simulated carrier at {running.carrier.address}"),
    ):
        console.print(f"  [dim]{label:<11}[/dim] {value}", highlight=False)
    console.print("\n[bold]Numbers to call[/bold]\n")
    for phone in running.carrier.numbers:
        console.print(f"  [cyan]{phone['number']:<14}[/cyan] {phone['does']}", highlight=False)
    console.print("\n[bold]Call one[/bold] from another terminal:\n")
    console.print(Text(f"  {call}"), soft_wrap=True)
    console.print("\nor from your own program (pip install livekit-api):\n")
    for line in example.splitlines():
        console.print(Text(f"  {line}"), soft_wrap=True)
    console.print("\nWhat the phones do appears below. Ctrl-C stops everything.\n")


class PhoneDiary:
    """Turns the carrier's events into lines for people; remembers which number a call is for."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}

    def line(self, event: events.Event) -> str | None:
        """One line about an event of a call; None for one that says nothing new to a person."""
        if not isinstance(event, events.CallEvent):
            return None
        if isinstance(event, events.Called):
            self._numbers[event.call] = event.number
        number = self._numbers.get(event.call, event.call)
        if isinstance(event, events.Ended):
            self._numbers.pop(event.call, None)
        told = "; ".join(_told(event))
        moment = datetime.fromtimestamp(event.time).astimezone().strftime("%H:%M:%S")
        return f"{moment}  {number:<14} {told}" if told else None


def _told(event: events.CallEvent) -> Iterator[str]:  # noqa: C901, PLR0912 - one branch an event
    match event:
        case events.Called():
            yield f"is called by {event.caller or 'a hidden number'}"
        case events.Ringing():
            yield "rings" if event.status == 180 else "speaks before it is answered"
        case events.Answered():
            yield f"is answered ({event.codec})"
        case events.Rejected():
            yield f"refuses: {event.status} {event.reason}"
        case events.Plays():
            yield f"says: {event.sound}"
        case events.Hears():
            yield f"hears {_sound(event.what, event.tone_hz)}{_level(event)}"
        case events.Listened():
            return
        case events.Digit():
            yield f"gets the key {event.digit}"
        case events.Held():
            yield f"media is now {event.direction}"
        case events.Noted():
            yield event.note
        case events.Failed():
            yield f"its script broke: {event.error}"
        case events.Ended():
            yield f"call ended by the {event.by}: {event.reason}"
            yield f"rang {event.ring_seconds:.1f} s, talked {event.talk_seconds:.1f} s"


def _sound(what: str, tone_hz: float | None) -> str:
    return f"a tone of {tone_hz:.0f} Hz" if tone_hz is not None else what


def _level(event: events.Hears) -> str:
    return "" if event.what == "silence" else f" at {event.level_dbov:.0f} dBov"
