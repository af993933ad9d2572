"""`switchroom call`: which calls there were, and why one failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from switchroom.base.config_values import seconds

from .api_client import fetch
from .call_pages import call_list, call_page, ladder_page, message_pages
from .connection import Connection, connection_of
from .errors import Mistyped
from .options import AsJson, CreatedAsJson
from .output import print_json
from .terminal import print_lines, width_of_output

app = typer.Typer()

_PATH = "/v1/calls"
_MOST_AT_ONCE = 500
_MOST = 100_000
_WHEN = "how long ago, as 2h or 7d, or a local time, as '2026-11-22 09:30'"


@app.command("list")
def list_calls(
    context: typer.Context,
    room: Annotated[str, typer.Option("--room", "-r", help="only those of this room")] = "",
    number: Annotated[str, typer.Option(help="only those from or to this number")] = "",
    direction: Annotated[str, typer.Option(help="only inbound or outbound ones")] = "",
    trunk: Annotated[str, typer.Option(help="only those over this trunk, such as ST_…")] = "",
    cause: Annotated[
        str, typer.Option(help="only those that ended so: busy, no-answer, client-error-484, …")
    ] = "",
    failed: Annotated[bool, typer.Option("--failed", help="only those that went wrong")] = False,
    running: Annotated[
        bool | None,
        typer.Option("--running/--ended", help="only those that are up, or that are over"),
    ] = None,
    since: Annotated[str, typer.Option(help=f"only from then on: {_WHEN}")] = "",
    until: Annotated[str, typer.Option(help="only those that began before, in the same way")] = "",
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="how many at most")] = 20,
    as_json: AsJson = False,
) -> None:
    """List calls, the newest first, and how each ended."""
    now = datetime.now(UTC)
    wanted = {
        "room": room,
        "number": number,
        "direction": direction,
        "trunk": trunk,
        "cause": cause,
        "failed": "true" if failed else "",
        "running": "" if running is None else str(running).lower(),
        "since": _moment("--since", since, now),
        "until": _moment("--until", until, now),
    }
    query = {name: value for name, value in wanted.items() if value}
    calls, more = _fetch_calls(connection_of(context), query, limit)
    if as_json:
        print_json(calls)
        return
    if not calls:
        print_lines(["no such calls" if query else "no calls"])
        return
    print_lines(call_list(calls, width=width_of_output(), today=now))
    if more:
        print_lines(
            ["", f"The last {limit}; --limit shows more, --help says what else to ask for."]
        )


@app.command("show")
def show_call(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="its id or the beginning of it, or its SIP Call-ID"),
    ],
    messages: Annotated[
        bool, typer.Option("--messages", "-m", help="the SIP messages in full as well")
    ] = False,
    as_json: CreatedAsJson = False,
) -> None:
    """Show why a call ended as it did: how it went, its sound, its SIP messages."""
    call = fetch(connection_of(context), f"{_PATH}/{name}", {}, holds="ladder")
    if as_json:
        print_json(call)
        return
    print_lines(call_page(call))
    ladder = call["ladder"]
    print_lines(["", "SIP messages"])
    if not ladder:
        print_lines(["  none: the server keeps those of the last calls since its start"])
        return
    print_lines(ladder_page(ladder))
    if messages:
        print_lines(message_pages(ladder))


def _fetch_calls(
    connection: Connection, query: dict[str, str], limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Page after page; whether there are more."""
    calls: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = {"limit": str(min(_MOST_AT_ONCE, limit - len(calls))), **cursor}
        answer = fetch(connection, _PATH, {**query, **page}, holds="calls")
        calls += answer["calls"]
        if answer["next"] is None or len(calls) >= limit:
            return calls, answer["next"] is not None
        cursor = {"cursor": answer["next"]}


def _moment(option: str, written: str, now: datetime) -> str:
    """As the API takes it: what is typed is a time ago, or one of this machine's zone."""
    if not written:
        return ""
    try:
        if written[-1:].isalpha() and "T" not in written:
            at = now - timedelta(seconds=seconds(written))
        else:
            at = datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Mistyped(f"{option} must be {_WHEN}; not {written!r}") from None
    return at.isoformat().replace("+00:00", "Z")
