from __future__ import annotations

import re
import shlex
from configparser import ConfigParser
from pathlib import Path

import pytest

from switchroom.base import config_values as read_values
from switchroom.base.config import ConfigError, Reading, Sources, read_config
from switchroom.base.config_livekit import NOT_HONOURED, RENAMED
from switchroom.base.config_values import Certificate, PortRange

SERVER = """
port: 7880
bind_addresses: ["10.0.0.5"]
prometheus_port: 6789
redis:
  address: 127.0.0.1:6379
rtc:
  port_range_start: 50000
  port_range_end: 60000
  tcp_port: 7881
  use_external_ip: true
  stun_servers: ["stun.example.com:3478"]
  congestion_control: {enabled: true, allow_pause: true}
keys:
  APIfirst: a-secret-of-the-first-key-that-is-long
room:
  auto_create: true
  empty_timeout: 300
  departure_timeout: 20
  max_participants: 50
  enabled_codecs: [{mime: audio/opus}]
webhook:
  api_key: APIfirst
  urls: ["https://hooks.example.com/livekit"]
turn:
  enabled: false
  tls_port: 5349
logging:
  level: info
  json: true
  pion_level: error
limit: {num_tracks: -1}
"""

SIP = """
log_level: debug
api_key: APIfirst
api_secret: a-secret-of-the-first-key-that-is-long
ws_url: ws://localhost:7880
redis: {address: 127.0.0.1:6379}
health_port: 8080
prometheus_port: 9090
sip_port: 5060
sip_hostname: sip.example.com
rtp_port: 10000-20000
tls:
  port: 5061
  certs:
    - {cert_file: /etc/sip/tls.crt, key_file: /etc/sip/tls.key}
media_timeout: 20s
codecs: {"G722/8000": false}
enable_opus: true
max_active_calls: 40
hide_inbound_port: true
symmetric_rtp: true
"""


def read(tmp_path: Path, server: str = "", sip: str = "", **env: str) -> Reading:
    paths = []
    for name, text in (("livekit.yaml", server), ("sip.yaml", sip)):
        path = tmp_path / name
        path.write_text(text)
        paths.append(path if text else None)
    return read_config(Sources(path=paths[0], sip_path=paths[1]), env)


def told(reading: Reading, tmp_path: Path) -> list[str]:
    return [remark.replace(f"{tmp_path}/", "") for remark in reading.remarks]


def test_the_servers_file_is_read_as_it_is(tmp_path: Path) -> None:
    config = read(tmp_path, SERVER).config
    assert config.bind_addresses == ("10.0.0.5",)
    assert config.prometheus.port == 6789
    assert config.rtc.use_external_ip
    assert config.rtc.stun_servers == ("stun.example.com:3478",)
    assert (config.room.max_participants, config.logging.json) == (50, True)
    assert config.webhook.api_key == "APIfirst"


def test_what_the_servers_file_asks_in_vain_is_said_once_each_with_its_place(
    tmp_path: Path,
) -> None:
    remarks = told(read(tmp_path, SERVER), tmp_path)
    assert [remark.split(" is not used: ")[0] for remark in remarks] == [
        "redis in livekit.yaml, line 5",
        "rtc.port_range_start in livekit.yaml, line 8",
        "rtc.port_range_end in livekit.yaml, line 9",
        "rtc.tcp_port in livekit.yaml, line 10",
        "rtc.congestion_control in livekit.yaml, line 13",
        "room.enabled_codecs in livekit.yaml, line 21",
        "logging.pion_level in livekit.yaml, line 31",
        "limit in livekit.yaml, line 32",
    ]
    assert "turn" not in " ".join(remarks), "a section that is switched off asks for nothing"


def test_the_sip_services_file_is_read_as_it_is(tmp_path: Path) -> None:
    config = read(tmp_path, sip=SIP).config
    assert config.keys == {"APIfirst": "a-secret-of-the-first-key-that-is-long"}
    assert (config.health_port, config.logging.level) == (8080, "debug")
    sip = config.sip
    assert (sip.port, sip.hostname, sip.rtp_port) == (
        5060,
        "sip.example.com",
        PortRange(10000, 20000),
    )
    assert sip.tls.certs == (Certificate("/etc/sip/tls.crt", "/etc/sip/tls.key"),)
    assert (sip.media_timeout, sip.max_active_calls, sip.hide_inbound_port) == (20.0, 40, True)
    assert sip.codecs == {"opus": True, "G722/8000": False}


def test_with_both_files_the_servers_wins_and_the_difference_is_said(tmp_path: Path) -> None:
    reading = read(tmp_path, SERVER, SIP)
    assert (reading.config.prometheus.port, reading.config.logging.level) == (6789, "info")
    assert reading.config.sip.port == 5060
    remarks = told(reading, tmp_path)
    assert (
        "prometheus_port in sip.yaml, line 8 is not used: livekit.yaml, line 4 sets it already"
        in remarks
    )
    assert any(remark.startswith("log_level in sip.yaml, line 2") for remark in remarks)


def test_a_secret_that_differs_between_the_files_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="APIfirst") as refused:
        read(tmp_path, SERVER, SIP.replace("a-secret-of", "hunter2-of"))
    assert "hunter2" not in str(refused.value)


def test_livekits_variables_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, LIVEKIT_API_KEY="k", LIVEKIT_API_SECRET="s").config.keys == {"k": "s"}
    assert read(tmp_path, SERVER, LIVEKIT_API_KEY="k", LIVEKIT_API_SECRET="s").config.keys == {
        "APIfirst": "a-secret-of-the-first-key-that-is-long"
    }
    assert read(tmp_path, SIP_CONFIG_BODY="sip_port: 5090").config.sip.port == 5090
    path = tmp_path / "node.yaml"
    path.write_text("sip_port: 5091")
    assert read(tmp_path, SIP_CONFIG_FILE=str(path)).config.sip.port == 5091
    assert "REDIS_HOST is not used" in read(tmp_path, REDIS_HOST="r:6379").remarks[0]


def test_an_unknown_key_is_refused_unless_asked_otherwise(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sip_prot .*, line 1: did you mean sip_port"):
        read(tmp_path, sip="sip_prot: 5060")
    reading = read_config(Sources(body="future_key: 1\nport: 7000", strict=False))
    assert reading.config.port == 7000
    assert "unknown setting future_key" in reading.remarks[0]


def test_keys_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("first: secret-one\nsecond: secret-two\n")
    keys.chmod(0o600)
    assert read(tmp_path, f"key_file: {keys}").config.keys == {
        "first": "secret-one",
        "second": "secret-two",
    }
    keys.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read(tmp_path, f"key_file: {keys}")
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path, f"key_file: {tmp_path}/absent")


def test_a_key_without_a_value_leaves_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, "port:\nsip:\nlogging:\n  level:\n").config.port == 7880


def test_anchors_and_merges_of_yaml_work(tmp_path: Path) -> None:
    text = "room: &quick {empty_timeout: 5, max_participants: 2}\nsip: {}\n"
    merged = text + "logging:\n  <<: {level: debug, json: true}\n  json: false\n"
    config = read(tmp_path, merged).config
    assert (config.logging.level, config.logging.json) == ("debug", False)


def test_a_short_secret_is_told(tmp_path: Path) -> None:
    remark = read(tmp_path, "keys: {k: short}").remarks[0]
    assert "key k" in remark
    assert "short:" not in remark.replace("shorter", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https: {cert_file: a.pem}", "belong together"),
        ("https: {port: 443}", "needs https.cert_file"),
        ("prometheus: {username: u}", "belong together"),
        ("api_key: k", "belong together"),
        ("use_external_ip: true\nnat_1_to_1_ip: 203.0.113.7", "both"),
    ],
)
def test_halves_of_a_setting_are_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read(tmp_path, text)


def test_advice_is_a_sentence_and_no_key_is_told_and_honoured_at_once() -> None:
    assert set(NOT_HONOURED).isdisjoint(RENAMED)
    for path, advice in NOT_HONOURED.items():
        assert not advice.endswith("."), path
        assert len(advice) > 20, path


def test_the_paper_on_moving_lists_every_key_that_is_not_used() -> None:
    paper = Path(__file__).resolve().parents[3] / "docs/moving.md"
    listed = re.findall(r"^\| `([a-z0-9_.]+)` \| (.*) \|$", paper.read_text(), re.MULTILINE)
    assert dict(listed[-len(NOT_HONOURED) :]) == dict(NOT_HONOURED)


def test_the_production_example_can_be_used(tmp_path: Path) -> None:
    folder = Path(__file__).resolve().parents[3] / "examples/production"
    keys = tmp_path / "keys.yaml"
    keys.write_text("APIone: a-secret-of-the-first-key-that-is-long")
    keys.chmod(0o600)
    text = (folder / "switchroom.yaml").read_text().replace("/etc/switchroom/keys.yaml", str(keys))
    reading = read_config(Sources(body=text))
    assert reading.remarks == ()
    drain = reading.config.shutdown.drain
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have capitals
    unit.read(folder / "switchroom.service")
    command = shlex.split(unit["Service"]["ExecStart"])
    assert command[1:] == ["serve", "--config", "/etc/switchroom/switchroom.yaml"]
    assert read_values.seconds(unit["Service"]["TimeoutStopSec"].removesuffix("in")) > drain
