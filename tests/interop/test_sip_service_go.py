"""livekit.SIP through the official SDK for Go, which speaks protobuf: trunks, a rule, calls."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from interop.server import KEY, SECRET, Server
from interop.sipp_phone import (
    ANSWER,
    RINGING,
    needs_sipp,
    receive,
    refusal,
    send,
    sipp_phone,
)

_PROGRAM = Path(__file__).parents[2] / ".peers" / "go" / "place_call"
_NUMBER = "+15105550123"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.go,
    needs_sipp,
    pytest.mark.skipif(not _PROGRAM.exists(), reason="LiveKit's SDK for Go is missing: make go"),
]

# The call goes on only if the caller is shown as the program wished.
_INVITE = (
    '<recv request="INVITE" crlf="true"><action><ereg regexp="My Custom Display Name &lt;sip:" '
    'search_in="hdr" header="From:" check_it="true" assign_to="shown"/>'
    '<log message="[$shown]"/></action></recv>'
)
_STEPS = [_INVITE, RINGING, ANSWER, receive("ACK"), receive("BYE"), send("200 OK")]


async def _run(server: Server, *words: str) -> list[dict[str, Any]]:
    """What the program was told, line by line."""
    keys = {"LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        *(str(_PROGRAM), *words),
        env={**os.environ, **keys},
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


async def test_go_makes_trunks_and_a_rule_and_calls_who_answers_and_who_is_busy(
    server: Server, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("answering", "busy")]
    for folder in folders:
        folder.mkdir()
    async with (
        sipp_phone(folders[0], _STEPS) as phone,
        sipp_phone(folders[1], refusal("486 Busy Here")) as busy_phone,
    ):
        told = await _run(server, phone.address, busy_phone.address, _NUMBER)
        assert (await phone.finished(), await busy_phone.finished()) == (0, 0)
    inbound, twice, rule, dispatch, *trunks, listed, call, busy, who, transfer, _, _, _ = told
    trunk_id = inbound["said"]["sipTrunkId"]
    assert twice["refused"]["code"] == "invalid_argument"
    assert twice["refused"]["message"].startswith("Conflicting inbound SIP Trunks")
    assert rule["said"]["trunkIds"] == [trunk_id]
    assert dispatch["said"]["agentName"] == "my-telephony-agent"
    made = {trunk["said"]["sipTrunkId"]: trunk["said"] for trunk in trunks}
    assert {item["sipTrunkId"]: item for item in listed["said"]["items"]} == made
    assert call["said"]["participantIdentity"] == "phone"
    assert call["said"]["sipCallId"].startswith("SCL_")
    # What the SDK's own function makes of `error_details`.
    assert busy["refused"]["sip"] == {"code": 486, "status": "Busy Here"}
    assert (who["said"]["name"], who["said"]["kind"]) == ("Test Caller", "SIP")
    assert who["said"]["attributes"]["sip.callStatus"] == "active"
    assert transfer["refused"]["code"] == "not_found"
    assert [line["said"] for line in told[-2:]] == [rule["said"], {"sipTrunkId": trunk_id}]
