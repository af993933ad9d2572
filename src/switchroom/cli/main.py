"""The `switchroom` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from switchroom import __version__

from . import dev, generate_keys, serve
from .connection import Connection
from .errors import CommandFailed, Mistyped
from .noun import noun
from .terminal import print_failure, stop_printing

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
# In the order in which somebody needs them who begins.
app.command(name="dev")(dev.dev)
app.command(name="serve", epilog="Example: switchroom serve --config switchroom.yaml --check")(
    serve.serve
)
app.command(name="generate-keys", epilog="Example: switchroom generate-keys --line >> keys.yaml")(
    generate_keys.generate_keys
)
app.add_typer(
    noun(
        "sip",
        purpose="Trunks, dispatch rules, and phones in rooms.",
        epilog="Example: switchroom sip inbound create --name Office --numbers +15105550100",
    ),
    name="sip",
)
app.add_typer(
    noun(
        "calls",
        purpose="Which calls there were, and why one failed.",
        epilog="Example: switchroom --dev call list --failed",
    ),
    name="call",
)
app.add_typer(
    noun(
        "room",
        purpose="List, create, change and delete rooms, and see who is in them.",
        epilog="Example: switchroom --dev room create hello --empty-timeout 600",
    ),
    name="room",
)
app.add_typer(
    noun(
        "token",
        purpose="Make access tokens.",
        epilog="Example: switchroom --dev token create --join --room hello --identity ada",
    ),
    name="token",
)
app.add_typer(
    noun(
        "dispatch",
        purpose="Ask for agents in rooms, and see what became of it.",
        epilog="Example: switchroom --dev dispatch create --new-room --agent-name clerk",
    ),
    name="dispatch",
)
app.add_typer(
    noun(
        "phone",
        purpose="Simulated phones that call the server.",
        epilog="Example: switchroom --dev phone call --as ada",
    ),
    name="phone",
)
app.add_typer(
    noun(
        "offline",
        purpose="Run agents without keys or network: local speech and a model driven by a script. "
        "For tests and demos, not for production.",
        epilog="Begin with: switchroom offline serve --script FILE.yaml",
    ),
    name="offline",
)


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
        raise Mistyped("--api-key and --api-secret belong together; only one is given")
    if dev_server or not api_key:
        api_key, api_secret = _DEV_KEY
    if dev_server:
        url = "http://localhost:7880"
    context.obj = Connection(url, api_key, api_secret, show_curl=curl)


def main() -> None:
    """Run the command line; what the user can mend is said in one line."""
    sys.exit(_run())


def _run() -> int:
    """Do what was typed; the exit status."""
    try:
        _expect_text(sys.argv[1:])
        # An Exit is returned as its status, what a command returns is nothing.
        status: int | None = app(prog_name="switchroom", standalone_mode=False)
    except typer.TyperException as mistyped:
        _explain(mistyped)
        return mistyped.exit_code
    except CommandFailed as failed:
        print_failure(str(failed))
        return failed.status
    except BrokenPipeError:
        stop_printing()
        return 1
    return status or 0


def _expect_text(words: Sequence[str]) -> None:
    """Bytes that are no UTF-8 arrive as lone surrogates, which no request can carry."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise Mistyped(f"{word!a} is not UTF-8 text") from None


def _explain(mistyped: typer.TyperException) -> None:
    """In a line what typer could not read; nothing if it has shown the help instead."""
    problem = " ".join(mistyped.format_message().split()).rstrip(".")
    if not problem:
        return
    context: typer.Context | None = getattr(mistyped, "ctx", None)
    said = problem[0].lower() + problem[1:]
    if context is not None:
        said += "" if said.endswith("?") else ";"
        said += f" see: {context.command_path} --help"
    print_failure(said)


if __name__ == "__main__":
    main()
