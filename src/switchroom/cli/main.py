"""The `switchroom` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from switchroom import __version__

from . import dev, dispatch, generate_keys, offline, phone, room, serve, sip, token
from .api_client import Connection
from .errors import CommandFailed
from .output import print_failure, stop_printing

_DEV_KEY = ("devkey", "secret")

app = typer.Typer(
    name="switchroom",
    help="The phone system for AI agents: a LiveKit-compatible room server with telephony inside.",
    epilog="Begin with: switchroom dev",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="dev")(dev.dev)
app.command(name="serve")(serve.serve)
app.command(name="generate-keys")(generate_keys.generate_keys)
app.add_typer(offline.app, name="offline")
app.add_typer(dispatch.app, name="dispatch")
app.add_typer(phone.app, name="phone")
app.add_typer(room.app, name="room")
app.add_typer(sip.app, name="sip")
app.add_typer(token.app, name="token")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"switchroom {__version__}")
        raise typer.Exit


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="LIVEKIT_URL", help="the server, for commands that ask one")
    ] = "http://localhost:7880",
    api_key: Annotated[str, typer.Option(envvar="LIVEKIT_API_KEY", help="its API key")] = "",
    api_secret: Annotated[
        str, typer.Option(envvar="LIVEKIT_API_SECRET", help="and the secret of that key")
    ] = "",
    dev_server: Annotated[
        bool, typer.Option("--dev", help="the server that `switchroom dev` starts, with its key")
    ] = False,
    curl: Annotated[
        bool, typer.Option("--curl", help="also print each request as a curl command")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="print the version and stop"
        ),
    ] = False,
) -> None:
    """Decide which server the commands talk to, and as whom."""
    if bool(api_key) != bool(api_secret):
        raise CommandFailed("--api-key and --api-secret belong together; only one is given")
    if dev_server or not api_key:
        api_key, api_secret = _DEV_KEY
    if dev_server:
        url = "http://localhost:7880"
    context.obj = Connection(url, api_key, api_secret, show_curl=curl)


def main() -> None:
    """Run the command line; what the user can mend is said in one line."""
    try:
        app()
    except CommandFailed as failed:
        print_failure(str(failed))
        sys.exit(1)
    except BrokenPipeError:
        stop_printing()
        sys.exit(1)


if __name__ == "__main__":
    main()
