"""Settings: the only reader of the configuration file and of the environment.

Keys are LiveKit's wherever LiveKit has one. Later sources win: the file, the environment, then what
the command line says.

Environment: ``LIVEKIT_CONFIG`` (the text of a whole file), ``LIVEKIT_KEYS`` (``key: secret``
pairs), ``NODE_IP`` and ``UDP_PORT`` as ``livekit-server`` reads them; and for every setting
``SWITCHROOM_`` plus its path in capitals, such as ``SWITCHROOM_SIP_PORT`` for ``sip.port``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from . import config_values as read
from .config_values import PortRange

_Section = TypeVar("_Section")


class ConfigError(Exception):
    """A setting that can't be used; the message names it and says what would do."""


def _setting(default: Any, reader: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"read": reader})


def _section(section: type[Any]) -> Any:
    return field(default_factory=section, metadata={"section": section})


@dataclass(frozen=True, slots=True)
class RtcSettings:
    """WebRTC: one UDP port for every client."""

    udp_port: int = _setting(7882, read.port)
    node_ip: str = _setting("", read.ip_address)
    """The address told to clients and carriers; empty: the source address of the default route."""


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What a room is like unless its creator says otherwise."""

    auto_create: bool = _setting(True, read.flag)
    """Whether joining a room that does not exist creates it."""
    empty_timeout: float = _setting(300.0, read.seconds)
    """Seconds after which a room that nobody ever joined is closed."""
    departure_timeout: float = _setting(20.0, read.seconds)
    """Seconds after which a room that everybody left is closed."""
    max_participants: int = _setting(0, read.count)
    """0: no limit."""
    enable_remote_unmute: bool = _setting(False, read.flag)
    """Whether the server API may open a microphone that was muted."""
    room_configurations: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict, metadata={"read": read.sections}
    )
    """RoomConfiguration by name, for `room_preset` of CreateRoom and `roomPreset` of tokens."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Agent workers and their jobs."""

    dispatch_wait: float = _setting(10.0, read.seconds)
    """Seconds that a dispatch waits for a worker that takes it."""


@dataclass(frozen=True, slots=True)
class WebhookFilter:
    """Which events are told; without either list, all of them."""

    include_events: tuple[str, ...] = _setting((), read.words)
    exclude_events: tuple[str, ...] = _setting((), read.words)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Who is told of rooms, participants and tracks."""

    api_key: str = _setting("", read.text)
    """The key that signs; empty: the first of `keys`."""
    urls: tuple[str, ...] = _setting((), read.urls)
    keep: float = _setting(24 * 3600.0, read.seconds)
    """Seconds after which an event that could not be delivered is dropped."""
    filter_params: WebhookFilter = _section(WebhookFilter)


@dataclass(frozen=True, slots=True)
class SipSettings:
    """The side of the carriers."""

    port: int = _setting(5060, read.port)
    """UDP and TCP."""
    rtp_port: PortRange = _setting(PortRange(10000, 20000), read.port_range)
    """Ports for call audio: two a call (RTP and RTCP)."""
    media_timeout_initial: float = _setting(30.0, read.seconds)
    """Seconds without a first audio packet after which an answered call is ended."""
    media_timeout: float = _setting(15.0, read.seconds)
    """Seconds of silence on the wire after which a call is ended."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """What outlives the process."""

    url: str = _setting("sqlite:///.switchroom/switchroom.db", read.text)
    """An SQLAlchemy URL; a relative SQLite path is taken from the working directory."""
    keep_calls: float = _setting(90 * 86400.0, read.seconds)
    """Seconds after which the record of an ended call is deleted; 0: never."""


@dataclass(frozen=True, slots=True)
class ShutdownSettings:
    """A planned stop."""

    drain: float = _setting(30.0, read.seconds)
    """Seconds that running calls get to end by themselves; 0: end them now."""


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """What is written to standard error."""

    level: str = _setting("info", read.log_level)
    json: bool = _setting(False, read.flag)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set. Made by :func:`load_config`."""

    port: int = _setting(7880, read.port)
    """TCP port of HTTP and signalling."""
    bind_addresses: tuple[str, ...] = _setting(("0.0.0.0",), read.ip_addresses)
    """Addresses that the HTTP port listens on."""
    keys: Mapping[str, str] = field(
        default_factory=dict, repr=False, metadata={"read": read.key_pairs}
    )
    """API keys and their secrets. A server without any refuses every request, so one is needed."""
    rtc: RtcSettings = _section(RtcSettings)
    room: RoomSettings = _section(RoomSettings)
    agents: AgentSettings = _section(AgentSettings)
    webhook: WebhookSettings = _section(WebhookSettings)
    sip: SipSettings = _section(SipSettings)
    storage: StorageSettings = _section(StorageSettings)
    shutdown: ShutdownSettings = _section(ShutdownSettings)
    logging: LoggingSettings = _section(LoggingSettings)


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
