"""A server as its configuration says: read, shown, checked, run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import uvloop

from switchroom.base import log
from switchroom.base.config import Config, ConfigError, Reading, Sources, read_config

from .errors import CommandFailed
from .printed_config import printed


def show_or_serve(
    sources: Sources, overrides: Mapping[str, Any], *, print_config: bool, check: bool
) -> None:
    """Run a server until it is told to stop, or say what it would be; raises CommandFailed."""
    reading = _read(sources, overrides)
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
