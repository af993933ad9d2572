"""Which server the commands talk to, and as whom."""

from __future__ import annotations

import typer

from switchroom.base.records import record


@record
class Connection:
    """Which server, and as whom. ``url`` may be http(s) or ws(s)."""

    url: str
    api_key: str
    api_secret: str
    show_curl: bool = False


def connection_of(context: typer.Context) -> Connection:
    """What the options before the command said; `main` has put it there."""
    connection: Connection = context.obj
    return connection
