"""Settings: the only reader of the configuration file and of the environment.

Keys are LiveKit's wherever LiveKit has one. Later sources win: the file, the environment, then what
the command line says.

Environment: ``LIVEKIT_CONFIG`` (the text of a whole file), ``LIVEKIT_KEYS`` (``key: secret``
pairs), ``NODE_IP`` and ``UDP_PORT`` as ``livekit-server`` reads them; and for every setting
``SWITCHROOM_`` plus its path in capitals, such as ``SWITCHROOM_SIP_PORT`` for ``sip.port``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from .config_settings import Config, WebhookSettings

__all__ = ["Config", "ConfigError", "WebhookSettings", "load_config", "setting_paths"]

_Section = TypeVar("_Section")


class ConfigError(Exception):
    """A setting that can't be used; the message names it and says what would do."""


# Keys of LiveKit's own files that have no meaning here: what to do about each.
_NOT_NEEDED: Mapping[str, str] = {
    "redis": "Switchroom needs no Redis; leave it out",
    "turn": "clients reach Switchroom on rtc.udp_port; leave it out",
    "rtc.tcp_port": "media over TCP is not supported; leave it out",
    "rtc.port_range_start": "one port serves every client; set rtc.udp_port",
    "rtc.port_range_end": "one port serves every client; set rtc.udp_port",
    "rtc.use_external_ip": "no STUN lookup is made; set rtc.node_ip to the public address",
    "log": "the section is called logging",
    "log_level": "set logging.level",
    "sip_port": "set sip.port",
    "rtp_port": "set sip.rtp_port",
    "media_timeout": "set sip.media_timeout",
    "api_key": 'set keys to "<key>: <secret>"',
    "api_secret": 'set keys to "<key>: <secret>"',
}

_ENVIRONMENT: Mapping[str, str] = {
    "LIVEKIT_KEYS": "keys",
    "NODE_IP": "rtc.node_ip",
    "UDP_PORT": "rtc.udp_port",
}


def load_config(
    path: Path | None = None,
    env: Mapping[str, str] = MappingProxyType({}),
    overrides: Mapping[str, Any] = MappingProxyType({}),
) -> Config:
    """The settings of one server.

    ``path`` is a YAML file; ``env`` the process environment; ``overrides`` maps dotted paths such
    as ``rtc.node_ip`` to values (the command line). Raises :class:`ConfigError`.
    """
    written = (
        _read_file(path) if path else _read_yaml(env.get("LIVEKIT_CONFIG", ""), "LIVEKIT_CONFIG")
    )
    source = _flatten(written, str(path or "LIVEKIT_CONFIG"))
    found = {**source, **_from_environment(env)}
    found.update({key: (value, "the command line") for key, value in overrides.items()})
    settings = {key: _read_setting(key, *place) for key, place in found.items()}
    config = _build(Config, "", settings)
    key = config.webhook.api_key
    if config.webhook.urls and not config.keys:
        raise ConfigError("webhook.urls needs an API key in keys that signs what is sent")
    if key and key not in config.keys:
        raise ConfigError("webhook.api_key must be one of keys: it signs what is sent")
    return config


def setting_paths() -> tuple[str, ...]:
    """The dotted path of every setting, in the order of the documentation."""
    return tuple(_SETTINGS)


def _settings_of(section: type[Any], prefix: str) -> dict[str, Field[Any]]:
    found: dict[str, Field[Any]] = {}
    for entry in fields(section):
        inner = entry.metadata.get("section")
        if inner is None:
            found[prefix + entry.name] = entry
        else:
            found.update(_settings_of(inner, f"{prefix}{entry.name}."))
    return found


_SETTINGS = _settings_of(Config, "")
_SECTIONS = {path.rpartition(".")[0] for path in _SETTINGS} - {""}


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        return _read_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ConfigError(f"can't read the configuration file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None


def _read_yaml(content: str, name: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise ConfigError(f"{name}{where} is not valid YAML: {problem}") from None
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise ConfigError(f"{name} must hold settings such as `port: 7880`")
    return document


def _flatten(
    written: Mapping[str, Any], source: str, prefix: str = ""
) -> dict[str, tuple[Any, str]]:
    """From nested sections to ``{"sip.port": (5060, source)}``; unknown keys are refused here."""
    flat: dict[str, tuple[Any, str]] = {}
    for key, value in written.items():
        path = f"{prefix}{key}"
        if path in _SETTINGS:
            flat[path] = (value, source)
        elif path in _SECTIONS and (value is None or isinstance(value, Mapping)):
            flat.update(_flatten(value or {}, source, f"{path}."))
        elif path in _SECTIONS:
            raise ConfigError(f"{path} in {source} must be a section with settings of its own")
        else:
            raise ConfigError(_unknown(path, source))
    return flat


def _unknown(path: str, source: str) -> str:
    advice = _NOT_NEEDED.get(path)
    if advice is None:
        known = [*_SETTINGS, *_SECTIONS]
        near = get_close_matches(path, known, n=1, cutoff=0.6)
        near = near or [full for full in known if full.endswith(f".{path}")]
        advice = f"did you mean {near[0]}?" if near else "see docs/configuration.md for the list"
    return f"unknown setting {path} in {source}: {advice}"


def _from_environment(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names = {f"SWITCHROOM_{path.upper().replace('.', '_')}": path for path in _SETTINGS}
    names.update(_ENVIRONMENT)
    return {path: (env[name], name) for name, path in names.items() if env.get(name)}


def _read_setting(path: str, value: Any, source: str) -> Any:
    setting = _SETTINGS.get(path)
    if setting is None:
        raise ConfigError(_unknown(path, source))
    try:
        return setting.metadata["read"](value)
    except ValueError as error:
        shown = "" if path == "keys" else f", not {value!r}"
        raise ConfigError(f"{path} in {source} must be {error}{shown}") from None


def _build(section: type[_Section], prefix: str, settings: Mapping[str, Any]) -> _Section:
    chosen: dict[str, Any] = {}
    for entry in fields(section):  # type: ignore[arg-type]  # always one of the dataclasses above
        inner = entry.metadata.get("section")
        if inner is not None:
            chosen[entry.name] = _build(inner, f"{prefix}{entry.name}.", settings)
        elif prefix + entry.name in settings:
            chosen[entry.name] = settings[prefix + entry.name]
    return section(**chosen)
