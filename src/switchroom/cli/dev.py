"""`switchroom dev`: everything at once, to try things out on one machine, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dev(
    port: Annotated[
        int | None, typer.Option(help="TCP port of HTTP and signalling; if not given, 7880")
    ] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option(help="address to listen on for HTTP; if not given, 127.0.0.1"),
    ] = None,
    node_ip: Annotated[
        str, typer.Option(help="the address told to clients; if not given, the default route's")
    ] = "",
    data: Annotated[Path, typer.Option(help="folder for the database")] = Path(".switchroom"),
    as_json: Annotated[
        bool, typer.Option("--json", help="one JSON object a line: ready, then what phones do")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show the server's log")] = False,
) -> None:
    """Start a server with key [b]devkey[/b], secret [b]secret[/b] and phones that can be called."""
    # Here and not above, because the other commands need no server.
    from .dev_server import run_dev_server  # noqa: PLC0415

    given = {"port": port, "rtc.node_ip": node_ip, "bind_addresses": bind or ["127.0.0.1"]}
    run_dev_server(given, data, as_json=as_json, verbose=verbose)
