from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from switchroom import __version__

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi, Run


def test_help_names_the_commands_and_where_to_begin(run: Run) -> None:
    shown = run("--help").out
    assert all(command in shown for command in ("dev", "serve", "room", "sip", "token"))
    assert "switchroom dev" in shown


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").out == f"switchroom {__version__}\n"


def test_without_keys_the_development_key_is_used(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/ListRooms", {})
    assert run("--url", api.url, "room", "list").out == "no rooms\n"
    assert api.received[0].claims.api_key == "devkey"


def test_keys_and_url_may_come_from_livekits_environment(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer("RoomService/ListRooms", {})
    monkeypatch.setenv("LIVEKIT_URL", api.url.replace("http", "ws"))
    monkeypatch.setenv("LIVEKIT_API_KEY", "k")
    monkeypatch.setenv("LIVEKIT_API_SECRET", "s")
    assert run("room", "list").status == 0
    assert api.received[0].claims.api_key == "k"


def test_half_a_key_is_refused(run: Run) -> None:
    outcome = run("--api-key", "k", "room", "list")
    assert outcome.status == 2
    assert outcome.err == "error: --api-key and --api-secret belong together; only one is given\n"


def test_a_server_that_is_not_there_is_one_line_with_a_remedy(run: Run, api: FakeApi) -> None:
    outcome = run("--url", "http://127.0.0.1:1", "room", "list")
    assert outcome.status == 1
    assert outcome.err.startswith("error: can't reach http://127.0.0.1:1 (")
    assert outcome.err.endswith("Start one with: switchroom dev\n")


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://", "http://x:port", ""])
def test_what_is_no_url_is_refused(run: Run, url: str) -> None:
    outcome = run("--url", url, "room", "list")
    assert outcome.status == 2
    assert "is no URL of a server" in outcome.err


def test_a_request_can_be_shown_as_curl(run: Run, api: FakeApi) -> None:
    api.answer("RoomService/ListRooms", {})
    shown = run("--url", api.url, "--curl", "room", "list").err
    assert shown.startswith(f"curl -X POST {api.url}/twirp/livekit.RoomService/ListRooms -H ")


def test_a_server_without_keys_is_not_started(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "switchroom.yaml"
    config.write_text("port: 0", encoding="utf-8")
    outcome = run("serve", "--config", str(config))
    assert outcome.status == 1
    assert outcome.err.startswith("error: no API keys: ")


def test_a_bad_configuration_is_one_line(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "switchroom.yaml"
    config.write_text("prot: 1", encoding="utf-8")
    outcome = run("serve", "--config", str(config))
    assert outcome.status == 1
    assert outcome.err == f"error: unknown setting prot in {config}, line 1: did you mean port?\n"


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("generate-keys",)])
def test_what_needs_no_server_imports_none_of_what_the_others_need(words: tuple[str, ...]) -> None:
    """Half a second is a long time to wait for a page of help."""
    typed = f"import sys; sys.argv = ['switchroom', *{words!r}]\n"
    program = f"{typed}from switchroom.cli.main import _run; _run(); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert "switchroom.cli.main" in loaded
    heavy = {"asyncio", "google.protobuf", "http.client", "jwt", "structlog", "uvloop", "yaml"}
    assert loaded & heavy == set()
