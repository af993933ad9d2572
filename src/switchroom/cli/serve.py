"""`switchroom serve`: a server for others, as its configuration says."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from switchroom.base import log
from switchroom.base.config import Config, ConfigError, Reading, Sources, read_config

from .errors import CommandFailed
from .printed_config import printed

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
    reading = _read(
        Sources(config, config_body, sip_config, strict=not disable_strict_config),
        {
            "port": port,
            "bind_addresses": bind,
            "rtc.node_ip": node_ip,
            "rtc.udp_port": udp_port,
            "keys": keys,
            "key_file": key_file,
        },
    )
    if print_config:
        sys.stdout.write(printed(reading))
        return
    if not reading.config.keys:
        raise CommandFailed(
            'no API keys: set keys in the configuration, or LIVEKIT_KEYS="key: secret"; '
            "to try things out, use: switchroom dev"
        )
    if check:
        for remark in reading.remarks:
            print(f"note: {remark}")
        print("The configuration can be used.")
        return
    settings = reading.config
    log.configure(settings.logging.level, json=settings.logging.json)
    for remark in reading.remarks:
        log.get_logger("config").warning(remark)
    uvloop.run(_serve(settings))


def read_settings(overrides: Mapping[str, Any]) -> Config:
    """Environment and those of ``overrides`` that were given; raises CommandFailed."""
    return _read(Sources(), overrides).config


def _read(sources: Sources, overrides: Mapping[str, Any]) -> Reading:
    given = {key: value for key, value in overrides.items() if value not in (None, "", [])}
    try:
        return read_config(sources, os.environ, given)
    except ConfigError as error:
        raise CommandFailed(str(error)) from None


async def _serve(settings: Config) -> None:
    # Here, because the other commands start much faster without a server behind them.
    from switchroom.app import StartFailed, Switchroom, with_known_address  # noqa: PLC0415

    try:
        server = Switchroom(await with_known_address(settings))
        await server.start()
    except StartFailed as failed:
        raise CommandFailed(str(failed)) from None
    try:
        await server.run_until_signal()
    finally:
        await server.stop()
