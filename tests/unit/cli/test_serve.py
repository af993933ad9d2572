from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from switchroom.base.config import Sources, read_config
from switchroom.cli.printed_config import printed

from .conftest import Run

SECRET = "a-secret-of-forty-characters-or-a-few-more"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "livekit.yaml"
    path.write_text(
        f"port: 7001\nkeys: {{one: {SECRET}}}\nredis: {{address: r:6379}}\n"
        "sip: {rtp_port: 20000-20100}\n"
    )
    return str(path)


def test_what_is_set_is_printed_with_its_place_and_without_secrets(run: Run, config: str) -> None:
    outcome = run("serve", "--config", config, "--print-config")
    assert outcome.status == 0
    assert f"port: 7001  # {config}, line 1" in outcome.out
    assert SECRET not in outcome.out
    assert yaml.safe_load(outcome.out)["sip"]["rtp_port"] == "20000-20100"


def test_what_is_printed_could_be_the_configuration(config: str) -> None:
    reading = read_config(Sources(path=Path(config)))
    again = read_config(Sources(body=printed(reading).replace("'***'", SECRET)))
    assert again.config == reading.config


def test_a_check_says_what_is_not_honoured_and_starts_nothing(run: Run, config: str) -> None:
    outcome = run("serve", "--config", config, "--check")
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"note: redis in {config}, line 3 is not used: ")
    assert lines[-1] == "The configuration can be used."


def test_a_check_of_what_cannot_be_used_fails(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("sip:\n  port: many\n")
    outcome = run("serve", "--config", str(path), "--check")
    assert outcome.status == 1
    assert (
        outcome.err
        == f"error: sip.port in {path}, line 2 must be a port between 0 and 65535, not 'many'\n"
    )


def test_a_file_may_come_as_text_and_unknown_settings_be_let_be(run: Run) -> None:
    body = f"keys: {{one: {SECRET}}}\nfuture: 1"
    assert run("serve", "--config-body", body, "--check").status == 1
    outcome = run("serve", "--config-body", body, "--check", "--disable-strict-config")
    assert outcome.status == 0
    assert "unknown setting future in --config-body, line 2" in outcome.out


def test_keys_that_are_made_up_can_be_used(run: Run) -> None:
    first, second = (json.loads(run("generate-keys", "--json").out) for _ in range(2))
    assert first != second
    body = f"keys: {{{first['api_key']}: {first['api_secret']}}}"
    outcome = run("serve", "--config-body", body, "--check")
    assert outcome.out == "The configuration can be used.\n"
    assert run("generate-keys").out.startswith("API Key:  API")
