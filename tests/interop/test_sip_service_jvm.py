"""livekit.SIP through the official SDK for the JVM: trunks, a rule, a call."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from interop.server import KEY, SECRET, Server
from interop.sipp_phone import ANSWER, RINGING, needs_sipp, receive, send, sipp_phone

_PROGRAM = Path(__file__).with_name("jvm") / "PlaceCall.java"
_JARS = Path(__file__).parents[2] / ".peers" / "jvm"

pytestmark = [
    pytest.mark.interop,
    needs_sipp,
    pytest.mark.skipif(
        shutil.which("java") is None or not any(_JARS.glob("livekit-server-*.jar")),
        reason="LiveKit's SDK for the JVM is missing: tools/set-up jvm",
    ),
]

_STEPS = [receive("INVITE"), RINGING, ANSWER, receive("ACK"), receive("BYE"), send("200 OK")]


async def _run(server: Server, carrier: str, number: str) -> list[dict[str, Any]]:
    """What the program was told, line by line; it is compiled as it is started."""
    process = await asyncio.create_subprocess_exec(
        *("java", "-XX:TieredStopAtLevel=1", "-cp", f"{_JARS}/*", str(_PROGRAM)),
        *(server.url, KEY, SECRET, carrier, number),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(180):
            written, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode()
    return [json.loads(line) for line in written.decode().splitlines()]


async def test_the_jvm_makes_trunks_and_a_rule_and_places_a_call(
    server: Server, tmp_path: Path
) -> None:
    async with sipp_phone(tmp_path, _STEPS) as phone:
        told = await _run(server, phone.address, "+15105550123")
    inbound, twice, rule, outbound, call, transfer, gone_rule, gone_trunk = told
    trunk_id = inbound["said"]["sipTrunkId"]
    assert inbound["said"]["allowedAddresses"] == ["192.0.2.0/24"]
    assert (twice["status"], twice["refused"]["code"]) == (400, "invalid_argument")
    assert twice["refused"]["msg"].startswith("Conflicting inbound SIP Trunks")
    assert rule["said"]["trunkIds"] == [trunk_id]
    assert rule["said"]["rule"]["dispatchRuleIndividual"] == {"roomPrefix": "call", "pin": "12"}
    assert outbound["said"]["address"].startswith("127.0.0.1:")
    assert call["said"]["participantIdentity"] == "phone"
    assert call["said"]["sipCallId"].startswith("SCL_")
    assert (transfer["status"], transfer["refused"]["code"]) == (404, "not_found")
    assert gone_rule["said"] == rule["said"]
    assert gone_trunk["said"] == {"sipTrunkId": trunk_id}
