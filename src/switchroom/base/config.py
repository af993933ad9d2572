"""Settings: the only reader of configuration files and of the environment.

Keys are LiveKit's wherever LiveKit has one; the files of livekit-server and livekit-sip are read as
they are, one of them or both. Later sources win: the files, the environment, then what the command
line says. An unknown key is refused, as livekit-server does; a key of LiveKit's that means nothing
here becomes a remark (see :mod:`config_livekit`).

Environment: ``LIVEKIT_CONFIG`` and ``SIP_CONFIG_BODY`` (the text of a whole file),
``SIP_CONFIG_FILE`` (its path), ``LIVEKIT_KEYS`` (``key: secret`` pairs), ``LIVEKIT_API_KEY`` and
``LIVEKIT_API_SECRET`` (where there are no keys otherwise), ``NODE_IP``, ``UDP_PORT``; and for every
setting ``SWITCHROOM_`` plus its path in capitals, such as ``SWITCHROOM_SIP_PORT`` for ``sip.port``.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import Field, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from switchroom.base.records import record

from .config_files import (
    ConfigError,
    Document,
    Written,
    is_nothing,
    is_section,
    read_file,
    read_text,
)
from .config_livekit import (
    ENVIRONMENT,
    ENVIRONMENT_NOT_HONOURED,
    FOLDED,
    NOT_HONOURED,
    RENAMED,
)
from .config_settings import Config, RoomSettings, WebhookFilter, WebhookSettings

__all__ = [
    "Config",
    "ConfigError",
    "Reading",
    "RoomSettings",
    "Sources",
    "WebhookFilter",
    "WebhookSettings",
    "load_config",
    "read_config",
    "setting_paths",
    "settings_with_origin",
]

_Section = TypeVar("_Section")
_NO_ENV: Mapping[str, str] = MappingProxyType({})
_NOTHING: Mapping[str, Any] = MappingProxyType({})

_COMMAND_LINE = "the command line"
_SERVICE = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
"""Kubernetes tells each container where every Service is: for one that is called `switchroom`, in
`SWITCHROOM_PORT`. Nobody has written that as a setting."""
_SHORTEST_SECRET = 32
"""Bytes; HS256 wants a key as long as its hash (RFC 7518 section 3.2), and LiveKit warns below."""


@record
class Sources:
    """Where settings are written."""

    path: Path | None = None
    body: str = ""
    """The text of a file, instead of one."""
    sip_path: Path | None = None
    """A second file: livekit-sip's. What both set, the first decides."""
    strict: bool = True
    """Whether an unknown key is refused; else it is a remark."""


@record
class Reading:
    """The settings of one server, and what its operator should know of them."""

    config: Config
    remarks: tuple[str, ...] = ()
    """A sentence for each thing that was written and is not honoured."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each setting was written that has not its default."""


def load_config(
    path: Path | None = None,
    env: Mapping[str, str] = _NO_ENV,
    overrides: Mapping[str, Any] = _NOTHING,
) -> Config:
    """The settings of one server, without its remarks; see :func:`read_config`."""
    return read_config(Sources(path), env, overrides).config


def read_config(
    sources: Sources,
    env: Mapping[str, str] = _NO_ENV,
    overrides: Mapping[str, Any] = _NOTHING,
) -> Reading:
    """The settings of one server.

    ``env`` is the process environment; ``overrides`` maps dotted paths such as ``rtc.node_ip`` to
    values (the command line). Raises :class:`ConfigError`.
    """
    collected = _Collected(strict=sources.strict)
    for document in _documents(sources, env):
        collected.add(document)
    found = collected.found
    found.update(_from_environment(env))
    found.update({key: Written(value, _COMMAND_LINE) for key, value in overrides.items()})
    settings = {path: _read_setting(path, written) for path, written in found.items()}
    _fold(settings, env)
    config = _build(Config, "", settings)
    _check(config)
    told = [
        f"{name} is not used: {why}"
        for name, why in ENVIRONMENT_NOT_HONOURED.items()
        if env.get(name)
    ]
    remarks = (*collected.remarks, *told, *_weak_secrets(config))
    origins = {path: found[path].source for path in found if path in _SETTINGS}
    return Reading(config, remarks, origins)


def setting_paths() -> tuple[str, ...]:
    """The dotted path of every setting, in the order of the documentation."""
    return tuple(_SETTINGS)


def settings_with_origin(reading: Reading) -> list[tuple[str, Any, str]]:
    """Path, value and origin of every setting; secrets are not shown."""
    shown: list[tuple[str, Any, str]] = []
    for path, setting in _SETTINGS.items():
        value: Any = reading.config
        for name in path.split("."):
            value = getattr(value, name)
        if setting.metadata.get("secret") and value:
            value = dict.fromkeys(value, "***") if isinstance(value, Mapping) else "***"
        elif "shown" in setting.metadata:
            value = setting.metadata["shown"](value)
        shown.append((path, value, reading.origins.get(path, "")))
    return shown


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
_SECTIONS = {
    ".".join(names[:length])
    for names in (path.split(".") for path in _SETTINGS)
    for length in range(1, len(names))
}


def _documents(sources: Sources, env: Mapping[str, str]) -> list[Document]:
    if sources.path and sources.body:
        raise ConfigError("give a configuration file or its text, not both")
    documents = []
    if sources.path:
        documents.append(read_file(sources.path))
    elif sources.body:
        documents.append(read_text(sources.body, "--config-body"))
    elif env.get("LIVEKIT_CONFIG"):
        documents.append(read_text(env["LIVEKIT_CONFIG"], "LIVEKIT_CONFIG"))
    sip_path = sources.sip_path or (
        Path(env["SIP_CONFIG_FILE"]) if env.get("SIP_CONFIG_FILE") else None
    )
    if sip_path:
        documents.append(read_file(sip_path))
    elif env.get("SIP_CONFIG_BODY"):
        documents.append(read_text(env["SIP_CONFIG_BODY"], "SIP_CONFIG_BODY"))
    return documents


class _Collected:
    """What the files say, by our paths; the first file wins, and its own names over aliases."""

    def __init__(self, *, strict: bool) -> None:
        self.found: dict[str, Written] = {}
        self.remarks: list[str] = []
        self._strict = strict

    def add(self, document: Document) -> None:
        """Take a file into account. Raises :class:`ConfigError`."""
        self._section(document, None, "")

    def _section(self, document: Document, section: yaml.Node | None, prefix: str) -> None:
        for key, node, where in document.entries(section):
            path = f"{prefix}{key}"
            ours = RENAMED.get(path, path)
            if is_nothing(node) and (ours in _SETTINGS or ours in _SECTIONS):
                continue
            if ours in _SETTINGS or ours in FOLDED:
                self._setting(path, ours, Written(document.value(node), where))
            elif path in NOT_HONOURED:
                self._not_honoured(path, document.value(node), where)
            elif ours in _SECTIONS and is_section(node):
                self._section(document, node, f"{ours}.")
            elif ours in _SECTIONS:
                raise ConfigError(f"{path} in {where} must be a section with settings of its own")
            elif self._strict:
                raise ConfigError(_unknown(path, where))
            else:
                self.remarks.append(_unknown(path, where) + "; not used")

    def _setting(self, path: str, ours: str, written: Written) -> None:
        known = self.found.get(ours)
        if known is None:
            self.found[ours] = written
        elif ours == "keys" and isinstance(known.value, Mapping):
            more = written.value if isinstance(written.value, Mapping) else {}
            self.found[ours] = Written({**more, **known.value}, known.source)
        elif known.value != written.value:
            self.remarks.append(
                f"{path} in {written.source} is not used: {known.source} sets it already"
            )

    def _not_honoured(self, path: str, value: Any, where: str) -> None:
        off = isinstance(value, Mapping) and value.get("enabled") is False
        if value and not off:
            self.remarks.append(f"{path} in {where} is not used: {NOT_HONOURED[path]}")


def _unknown(path: str, source: str) -> str:
    known = [*_SETTINGS, *_SECTIONS, *RENAMED, *FOLDED, *NOT_HONOURED]
    near = get_close_matches(path, known, n=1, cutoff=0.6)
    near = near or [full for full in known if full.endswith(f".{path}")]
    advice = f"did you mean {near[0]}?" if near else "see docs/configuration.md for the list"
    return f"unknown setting {path} in {source}: {advice}"


def variable_of(path: str) -> str:
    """The name of the environment variable that holds a setting."""
    return f"SWITCHROOM_{path.upper().replace('.', '_')}"


def _from_environment(env: Mapping[str, str]) -> dict[str, Written]:
    names = {variable_of(path): path for path in _SETTINGS}
    names.update(ENVIRONMENT)
    return {
        path: Written(env[name], name)
        for name, path in names.items()
        if env.get(name) and not (name.endswith("_PORT") and _SERVICE.fullmatch(env[name]))
    }


def _read_setting(path: str, written: Written) -> Any:
    setting = _SETTINGS.get(path)
    if setting is None and path not in FOLDED:
        raise ConfigError(_unknown(path, written.source))
    reader = FOLDED[path] if setting is None else setting.metadata["read"]
    secret = path == "api_secret" if setting is None else setting.metadata.get("secret")
    try:
        return reader(written.value)
    except ValueError as error:
        shown = "" if secret else f", not {written.value!r}"
        raise ConfigError(f"{path} in {written.source} must be {error}{shown}") from None


def _fold(settings: dict[str, Any], env: Mapping[str, str]) -> None:
    """What is a part of another setting goes there."""
    keys = dict(settings.get("keys", {}))
    if settings.get("key_file"):
        keys = {**_key_file(Path(settings["key_file"])), **keys}
    key, secret = settings.pop("api_key", ""), settings.pop("api_secret", "")
    if bool(key) != bool(secret):
        raise ConfigError("api_key and api_secret belong together; only one is set")
    if key and keys.get(key, secret) != secret:
        raise ConfigError(f"api_secret is not the secret that keys has for {key}")
    if key:
        keys[key] = secret
    if not keys and env.get("LIVEKIT_API_KEY") and env.get("LIVEKIT_API_SECRET"):
        keys = {env["LIVEKIT_API_KEY"]: env["LIVEKIT_API_SECRET"]}
    if keys:
        settings["keys"] = MappingProxyType(keys)
    if settings.pop("enable_opus", False):
        settings["sip.codecs"] = MappingProxyType({"opus": True, **settings.get("sip.codecs", {})})


def _key_file(path: Path) -> Mapping[str, str]:
    try:
        open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"can't read key_file {path}: {reason}") from None
    if open_to_others:
        raise ConfigError(f"key_file {path} must be its owner's alone: chmod 600 {path}")
    pairs: Mapping[str, str] = _read_setting("keys", Written(text, str(path)))
    return pairs


def _check(config: Config) -> None:
    """What must fit together does."""
    key = config.webhook.api_key
    if config.webhook.urls and not config.keys:
        raise ConfigError("webhook.urls needs an API key in keys that signs what is sent")
    if key and key not in config.keys:
        raise ConfigError("webhook.api_key must be one of keys: it signs what is sent")
    if bool(config.https.cert_file) != bool(config.https.key_file):
        raise ConfigError("https.cert_file and https.key_file belong together; only one is set")
    if config.https.port and not config.https.cert_file:
        raise ConfigError("https.port needs https.cert_file and https.key_file")
    if bool(config.prometheus.username) != bool(config.prometheus.password):
        raise ConfigError("prometheus.username and prometheus.password belong together")
    if config.rtc.use_external_ip and config.sip.nat_1_to_1_ip:
        raise ConfigError("use_external_ip and nat_1_to_1_ip can't both be set")


def _weak_secrets(config: Config) -> list[str]:
    return [
        f"the secret of key {key} is shorter than {_SHORTEST_SECRET} characters: "
        "tokens can be forged by guessing it"
        for key, secret in config.keys.items()
        if len(secret) < _SHORTEST_SECRET
    ]


def _build(section: type[_Section], prefix: str, settings: Mapping[str, Any]) -> _Section:
    chosen: dict[str, Any] = {}
    for entry in fields(section):  # type: ignore[arg-type]  # always one of the dataclasses above
        inner = entry.metadata.get("section")
        if inner is not None:
            chosen[entry.name] = _build(inner, f"{prefix}{entry.name}.", settings)
        elif prefix + entry.name in settings:
            chosen[entry.name] = settings[prefix + entry.name]
    return section(**chosen)
