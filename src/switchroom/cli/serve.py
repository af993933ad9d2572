"""`switchroom serve`: a server for others, as its configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_FILE = "YAML file: LiveKit's own or ours; --print-config lists the settings"


def serve(
    config: Annotated[Path | None, typer.Option(help=_FILE)] = None,
    config_body: Annotated[
        str, typer.Option(help="the text of such a file; also in LIVEKIT_CONFIG")
    ] = "",
    sip_config: Annotated[
        Path | None, typer.Option(help="livekit-sip's file beside it; also in SIP_CONFIG_FILE")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port of HTTP and signalling")] = None,
    bind: Annotated[list[str] | None, typer.Option(help="address to listen on for HTTP")] = None,
    node_ip: Annotated[str, typer.Option(help="the address told to clients and carriers")] = "",
    udp_port: Annotated[str, typer.Option(help="the UDP port of all WebRTC clients")] = "",
    keys: Annotated[str, typer.Option(help='API keys, each as "key: secret"')] = "",
    key_file: Annotated[str, typer.Option(help="a file that holds them instead")] = "",
    disable_strict_config: Annotated[
        bool, typer.Option("--disable-strict-config", help="go on despite unknown settings")
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="print what is set, and where, and stop")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="say whether the configuration can be used, and stop")
    ] = False,
) -> None:
    """Run a server until it is told to stop (SIGTERM or Ctrl-C); running calls may drain."""
    # Here and not above, because the other commands need no server, and no configuration of one.
    from switchroom.base.config import Sources  # noqa: PLC0415

    from .serving import show_or_serve  # noqa: PLC0415

    show_or_serve(
        Sources(config, config_body, sip_config, strict=not disable_strict_config),
        {
            "port": port,
            "bind_addresses": bind,
            "rtc.node_ip": node_ip,
            "rtc.udp_port": udp_port,
            "keys": keys,
            "key_file": key_file,
        },
        print_config=print_config,
        check=check,
    )
