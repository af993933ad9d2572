from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import MISSING
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from switchroom.base import config as config_module
from switchroom.base.config import (
    Config,
    ConfigError,
    Sources,
    load_config,
    read_config,
    setting_paths,
    settings_with_origin,
)
from switchroom.base.config_values import PortRange


def write(folder: Path, text: str) -> Path:
    path = folder / "switchroom.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


def test_without_any_source_every_setting_has_its_default() -> None:
    assert load_config() == Config()
    assert load_config().sip.rtp_port == PortRange(10000, 20000)


def test_every_default_is_a_value_that_could_have_been_written() -> None:
    for path, setting in config_module._SETTINGS.items():
        default = {} if setting.default is MISSING else setting.default
        written = str(default) if isinstance(default, PortRange) else default
        assert setting.metadata["read"](written) == default, path


def test_a_livekit_file_is_read_with_livekits_keys(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
            port: 7000
            bind_addresses: ["", "::1"]
            keys:
              devkey: secret
            rtc: {udp_port: 7001, node_ip: 203.0.113.7}
            room: {auto_create: false, empty_timeout: 60, max_participants: 4}
            sip: {port: 5070, rtp_port: 20000-20100, media_timeout: 1m30s}
            logging: {level: DEBUG, json: true}
            """,
        )
    )
    assert config.bind_addresses == ("0.0.0.0", "::1")
    assert config.keys == {"devkey": "secret"}
    assert config.rtc.node_ip == "203.0.113.7"
    assert (config.room.auto_create, config.room.empty_timeout) == (False, 60.0)
    assert config.sip.rtp_port == PortRange(20000, 20100)
    assert config.sip.media_timeout == 90.0
    assert (config.logging.level, config.logging.json) == ("debug", True)


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    path = write(tmp_path, "port: 1000\nsip: {port: 1001}\nrtc: {udp_port: 1002}")
    config = load_config(
        path,
        env={"SWITCHROOM_SIP_PORT": "2001", "UDP_PORT": "2002", "LIVEKIT_KEYS": "k: s"},
        overrides={"rtc.udp_port": 3002},
    )
    assert (config.port, config.sip.port, config.rtc.udp_port) == (1000, 2001, 3002)
    assert config.keys == {"k": "s"}


def test_a_whole_file_can_come_through_the_environment_as_with_livekit() -> None:
    assert load_config(env={"LIVEKIT_CONFIG": "port: 7001"}).port == 7001


def test_webhooks_are_set_with_livekits_keys(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
            keys: {devkey: secret}
            webhook:
              api_key: devkey
              urls: [https://hooks.example.com/livekit]
              filter_params: {include_events: [room_started]}
            """,
        )
    )
    assert config.webhook.urls == ("https://hooks.example.com/livekit",)
    assert config.webhook.filter_params.include_events == ("room_started",)


def test_a_webhook_key_without_a_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"webhook\.api_key must be one of keys"):
        load_config(env={"LIVEKIT_KEYS": "devkey: secret", "SWITCHROOM_WEBHOOK_API_KEY": "other"})


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("prot: 1", "unknown setting prot in {file}, line 1: did you mean port?"),
        (
            "sip:\n  rtp_prot: 1-2",
            "unknown setting sip.rtp_prot in {file}, line 2: did you mean sip.rtp_port?",
        ),
        (
            "node_ip: 1.2.3.4",
            "unknown setting node_ip in {file}, line 1: did you mean rtc.node_ip?",
        ),
        ("zzz: 1", "unknown setting zzz in {file}, line 1: see docs/configuration.md for the list"),
        ("port: many", "port in {file}, line 1 must be a port between 0 and 65535, not 'many'"),
        ("port: true", "port in {file}, line 1 must be a port between 0 and 65535, not True"),
        ("sip: 5060", "sip in {file}, line 1 must be a section with settings of its own"),
        (
            "room: {auto_create: perhaps}",
            "room.auto_create in {file}, line 1 must be true or false, not 'perhaps'",
        ),
        ("port: 1\nport: 2", "port in {file}, line 2 is there already ({file}, line 1)"),
        ("port: 2001-99-99", "{file}, line 1 is not valid YAML: "),
        ("port: [", "{file}, line 1 is not valid YAML: "),
        ("- a", "{file} must hold settings such as `port: 7880`"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, text: str, hint: str) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(hint.format(file=path))
    assert "\n" not in message


def test_a_refused_key_pair_is_not_printed(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(write(tmp_path, "keys: {devkey: [hunter2]}"))


def test_a_missing_file_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.yaml").endswith("absent.yaml: No such file or directory")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert refusal(binary).endswith("is not UTF-8 text")


def test_an_unknown_override_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting sip\.prot in the command line"):
        load_config(overrides={"sip.prot": 1})


def test_paths_of_settings_name_sections_and_leaves() -> None:
    assert {"port", "rtc.node_ip", "sip.rtp_port", "shutdown.drain"} <= set(setting_paths())
    assert "sip" not in setting_paths()


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(ConfigError):
        load_config(env={"LIVEKIT_CONFIG": text})


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    assert "hunter2" not in repr(load_config(env={"LIVEKIT_KEYS": "devkey: hunter2"}))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://switchroom:hunter2@db.example.com/switchroom",
        "postgresql:///switchroom?host=/run/postgresql&password=hunter2&user=switchroom",
    ],
)
def test_the_password_of_the_database_does_not_show_either(url: str) -> None:
    reading = read_config(Sources(), {"SWITCHROOM_STORAGE_URL": url})
    shown = {path: value for path, value, _ in settings_with_origin(reading)}
    assert reading.config.storage.url == url
    assert shown["storage.url"] == url.replace("hunter2", "***")
    assert "hunter2" not in repr(reading.config)


def test_where_kubernetes_finds_a_service_is_no_setting() -> None:
    services = {
        "SWITCHROOM_PORT": "tcp://10.96.0.7:7880",
        "SWITCHROOM_SIP_PORT": "udp://10.96.0.8:5060",
        "SWITCHROOM_HEALTH_PORT": "tcp://[fd00::7]:8080",
    }
    assert load_config(env=services) == load_config()
    with pytest.raises(ConfigError, match="SWITCHROOM_PORT must be a port"):
        load_config(env={"SWITCHROOM_PORT": "seven"})


IN_WORDS = {
    "bind_addresses",
    "rtc.node_ip",
    "webhook.api_key",
    "sip.nat_1_to_1_ip",
    "sip.media_nat_1_to_1_ip",
}
"""Settings whose default the paper describes instead of writing it."""


def test_the_paper_gives_every_default_as_it_could_be_written() -> None:
    paper = Path(__file__).resolve().parents[3] / "docs/configuration.md"
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \| ([^|]*) \|", paper.read_text(), re.MULTILINE)
    told = {path: default.strip().strip("`") for path, default in rows}
    for path, setting in config_module._SETTINGS.items():
        if path in IN_WORDS:
            continue
        default = {} if setting.default is MISSING else setting.default
        if told[path] == "–":
            assert not default, path
        else:
            assert setting.metadata["read"](told[path]) == default, path


def test_the_paper_on_webhooks_shows_settings_that_are_read() -> None:
    paper = Path(__file__).resolve().parents[3] / "docs/webhooks.md"
    (shown,) = re.findall(r"```yaml\n(.*?)```", paper.read_text(encoding="utf-8"), re.DOTALL)
    webhook = read_config(Sources(body=f"keys: {{my-key: {'s' * 32}}}\n{shown}")).config.webhook
    assert (webhook.api_key, webhook.urls) == ("my-key", ("https://example.com/livekit",))
