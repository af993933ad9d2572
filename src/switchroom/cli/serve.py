"""`switchroom serve`: a server for others, as its configuration says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from switchroom.base import log
from switchroom.base.config import Config, ConfigError, load_config

from .errors import CommandFailed


def serve(
    config: Annotated[
        Path | None, typer.Option(help="YAML file; docs/configuration.md lists the settings")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port of HTTP and signalling")] = None,
    bind: Annotated[list[str] | None, typer.Option(help="address to listen on for HTTP")] = None,
    node_ip: Annotated[str, typer.Option(help="the address told to clients and carriers")] = "",
    keys: Annotated[str, typer.Option(help='API keys, each as "key: secret"')] = "",
) -> None:
    """Run a server until it is told to stop (SIGTERM or Ctrl-C); running calls may drain."""
    settings = read_settings(
        config, {"port": port, "bind_addresses": bind, "rtc.node_ip": node_ip, "keys": keys}
    )
    if not settings.keys:
        raise CommandFailed(
            'no API keys: set keys in the configuration, or LIVEKIT_KEYS="key: secret"; '
            "to try things out, use: switchroom dev"
        )
    log.configure(settings.logging.level, json=settings.logging.json)
    uvloop.run(_serve(settings))


def read_settings(path: Path | None, overrides: Mapping[str, Any]) -> Config:
    """File, environment and those of ``overrides`` that were given; raises CommandFailed."""
    given = {key: value for key, value in overrides.items() if value not in (None, "", [])}
    try:
        return load_config(path, os.environ, given)
    except ConfigError as error:
        raise CommandFailed(str(error)) from None


async def _serve(settings: Config) -> None:
    # Here, because the other commands start much faster without a server behind them.
    from switchroom.app import StartFailed, Switchroom  # noqa: PLC0415

    server = Switchroom(settings)
    try:
        await server.start()
    except StartFailed as failed:
        raise CommandFailed(str(failed)) from None
    try:
        await server.run_until_signal()
    finally:
        await server.stop()
