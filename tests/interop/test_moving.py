"""Moving over: what the paper has people run, between two servers."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import copy_trunks
import pytest
from livekit import api

from interop.server import KEY, SECRET, Server, server_here
from interop.test_documented_commands import run
from interop.test_serve import blocks, served

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples/copy_trunks.py"
PAPER = (ROOT / "docs/moving.md").read_text(encoding="utf-8")


async def furnish(livekit: api.LiveKitAPI) -> None:
    """A trunk each way and a rule that names one of them."""
    inbound = await livekit.sip.create_inbound_trunk(
        api.CreateSIPInboundTrunkRequest(
            trunk=api.SIPInboundTrunkInfo(
                numbers=["+15550000000"], auth_username="u", auth_password="hunter2"
            )
        )
    )
    await livekit.sip.create_outbound_trunk(
        api.CreateSIPOutboundTrunkRequest(
            trunk=api.SIPOutboundTrunkInfo(
                name="out", address="sip.example.com", numbers=["+15550000001"]
            )
        )
    )
    rule = api.SIPDispatchRuleInfo(name="rule", trunk_ids=[inbound.sip_trunk_id])
    rule.rule.dispatch_rule_individual.room_prefix = "call-"
    rule.room_config.agents.add(agent_name="clerk")
    await livekit.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=rule))


@asynccontextmanager
async def moving_house(folder: Path) -> AsyncIterator[tuple[Server, Server]]:
    """The old server, furnished, and the new one."""
    folders = [folder / name for name in ("old", "new")]
    for own in folders:
        own.mkdir()
    async with server_here(folders[0]) as old, server_here(folders[1]) as new:
        async with old.api() as livekit:
            await furnish(livekit)
        yield old, new


async def move(old: Server, new: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in {
        "OLD_URL": old.url,
        "OLD_KEY": KEY,
        "OLD_SECRET": SECRET,
        "LIVEKIT_URL": new.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    told = await run(sys.executable, str(SCRIPT))
    return dict(line.split(" -> ") for line in told.splitlines() if " -> " in line)


async def test_trunks_and_rules_are_copied_once_however_often_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with moving_house(tmp_path) as (old, new), new.api() as after:
        copied = await move(old, new, monkeypatch)
        assert len(copied) == 3
        assert await move(old, new, monkeypatch) == copied
        (inbound,) = (await after.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items
        (rule,) = (await after.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items
        outbound = await after.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
    assert inbound.auth_password == "hunter2"
    assert list(rule.trunk_ids) == [inbound.sip_trunk_id]
    assert rule.rule.dispatch_rule_individual.room_prefix == "call-"
    assert rule.room_config.agents[0].agent_name == "clerk"
    assert [trunk.name for trunk in outbound.items] == ["out"]


async def test_what_the_new_server_refuses_is_told_and_the_rest_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with moving_house(tmp_path) as (old, new), new.api() as after:
        taken = api.SIPInboundTrunkInfo(name="there already", numbers=["+15550000000"])
        await after.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=taken))
        copied = await move(old, new, monkeypatch)
        (outbound,) = (await after.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())).items
    assert outbound.sip_trunk_id in copied.values()
    assert len([was for was in copied if was.startswith("ST_")]) == 1


@pytest.mark.parametrize(
    ("set_here", "said"),
    [
        ({}, "Say which servers: OLD_URL, OLD_KEY, OLD_SECRET, LIVEKIT_URL, "),
        (dict.fromkeys(copy_trunks.NEEDED, "http://127.0.0.1:1"), "nothing more is copied: Cannot"),
    ],
)
def test_what_is_missing_is_said_without_a_traceback(set_here: dict[str, str], said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **set_here},
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(said)
    assert "Traceback" not in ran.stderr


def livekits_files(folder: Path) -> None:
    """As they stand beside each other where both of LiveKit's services run."""
    (folder / "livekit.yaml").write_text(
        "port: 7880\nrtc: {udp_port: 7882}\nprometheus: {port: 6789}\n"
        f"keys: {{{KEY}: {SECRET}}}\nlogging: {{json: true}}\n"
    )
    (folder / "sip.yaml").write_text(
        f"api_key: {KEY}\napi_secret: {SECRET}\nsip_port: 5060\nhealth_port: 8080\n"
    )


async def test_the_papers_ports_keep_two_servers_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with the ports of LiveKit's files, in their place, and the one beside it."""
    monkeypatch.chdir(tmp_path)
    livekits_files(tmp_path)
    _, beside = (shlex.split(block)[2:] for block in blocks("docs/moving.md", "sh"))
    variables = dict(re.findall(r"`(SWITCHROOM_\w+)=([\d-]+)`", PAPER))
    assert len(variables) == 4
    path = {"PATH": "/usr/bin:/bin"}
    first = path | {"SWITCHROOM_STORAGE_URL": f"sqlite:///{tmp_path / 'first.db'}"}
    second = path | {"SWITCHROOM_STORAGE_URL": f"sqlite:///{tmp_path / 'second.db'}"} | variables
    async with served(*beside[:4], env=first) as one, served(*beside, env=second) as other:
        assert str((await one.until("ready"))["url"]).endswith(":7880")
        assert str((await other.until("ready"))["url"]).endswith(":7890")
