"""The workshop's own tools do what they say."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from architecture.project import ROOT

SHOW = 'echo "$SWITCHROOM_TEST_NETWORK"; cat /proc/net/route; exit 7'


def run(*command: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("SWITCH")}
    return subprocess.run(
        command, cwd=ROOT, env=outside, capture_output=True, text=True, check=False, timeout=120
    )


def in_test_network(*command: str) -> list[str]:
    """The lines that a command prints in there; its exit status must come through."""
    done = run("tools/test-network", *command)
    assert done.returncode == 7, done.stderr
    lines = done.stdout.splitlines()
    if lines[0] != "private":
        pytest.skip(done.stderr.strip())
    return lines


def test_the_test_network_has_one_cable_and_a_default_route() -> None:
    _, _, *routes = in_test_network("sh", "-c", SHOW)
    # Interface and destination, in hexadecimal and network order: 0.0.0.0 and 198.51.100.0.
    assert [route.split()[:2] for route in routes] == [
        ["near0", "00000000"],
        ["near0", "006433C6"],
    ]


def test_with_two_hosts_the_far_end_is_another_machine() -> None:
    at_the_far_end = 'nsenter --net="$SWITCHROOM_FAR_HOST" cat /proc/net/route'
    _, _, *routes = in_test_network(
        "--two-hosts", "sh", "-c", f'echo "$SWITCHROOM_TEST_NETWORK"; {at_the_far_end}; exit 7'
    )
    assert [route.split()[:2] for route in routes] == [["far0", "00000000"], ["far0", "006433C6"]]


def test_make_help_lists_every_target_with_what_it_does() -> None:
    shown = run("make", "help").stdout
    for target in ("demo", "test", "check", "bench", "wheel", "clean"):
        assert f"make {target}" in shown


def test_the_light_lane_names_files_that_exist_each_once() -> None:
    script = (ROOT / "tools/test-lanes").read_text(encoding="utf-8")
    (light,) = re.findall(r"^light=\(\n(.*?)^\)", script, re.MULTILINE | re.DOTALL)
    named = light.split()
    there = {path.stem.removeprefix("test_") for path in (ROOT / "tests/interop").glob("test_*.py")}
    assert len(named) == len(set(named))
    assert set(named) < there


def test_who_runs_politely_stands_back_and_tells_how_it_ended() -> None:
    done = run("tools/politely", "sh", "-c", "nice; exit 7")
    assert (done.stdout, done.returncode) == ("19\n", 7)
