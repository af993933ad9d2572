"""SIPp as the phone: one call, answered or refused as a small scenario says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from interop.peer_process import free_port

needs_sipp = pytest.mark.skipif(
    shutil.which("sipp") is None, reason="sipp is missing: apt-get install sip-tester"
)

_HEADERS = """[last_Via:]
      [last_From:]
      [last_To:];tag=[pid]SIPp[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:[local_ip]:[local_port];transport=[transport]>"""
_SDP = """Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP {codecs}
      a=rtpmap:101 telephone-event/8000"""


def receive(method: str, *, optional: bool = False) -> str:
    """Wait for a request."""
    wait = ' optional="true"' if optional else ""
    return f'<recv request="{method}"{wait} crlf="true"></recv>'


def send(
    status: str, *, headers: Sequence[str] = (), codecs: str | None = None, repeat: bool = False
) -> str:
    """Send a response such as ``486 Busy Here``; with `codecs` it carries an SDP answer."""
    extra = "".join(f"\n      {header}" for header in headers)
    tail = _SDP.format(codecs=codecs) if codecs is not None else "Content-Length: 0"
    retransmission = ' retrans="500"' if repeat else ""
    return (
        f"<send{retransmission}><![CDATA[\n      SIP/2.0 {status}\n      {_HEADERS}{extra}\n"
        f"      {tail}\n\n    ]]></send>"
    )


_LOOK_AGAIN = 0.02

RINGING = send("180 Ringing")
ANSWER = send("200 OK", codecs="0 101", repeat=True)


def cancelled() -> list[str]:
    """Take the CANCEL, and end the INVITE as RFC 3261 section 9.2 wants it."""
    ended = send("487 Request Terminated").replace("[last_CSeq:]", "CSeq: 1 INVITE")
    return [receive("CANCEL"), send("200 OK"), ended, receive("ACK")]


def refusal(status: str, *headers: str) -> list[str]:
    """Ring, then refuse."""
    return [receive("INVITE"), RINGING, send(status, headers=headers, repeat=True), receive("ACK")]


@dataclass(frozen=True)
class SippPhone:
    """A phone that takes one call."""

    address: str
    process: asyncio.subprocess.Process

    async def finished(self) -> int:
        """SIPp's exit status: 0 if the call went as the scenario says."""
        return await self.process.wait()


@asynccontextmanager
async def sipp_phone(folder: Path, steps: Sequence[str], *options: str) -> AsyncIterator[SippPhone]:
    """Run SIPp with these steps on a free port of the loopback address."""
    scenario = folder / "scenario.xml"
    scenario.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="phone">\n'
        + "\n".join(steps)
        + "\n</scenario>\n"
    )
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "sipp", "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(port), "-m", "1",
        "-nostdin", "-rtp_echo", "-timeout", "120s", "-trace_err", *options,
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _until_bound(port, "tcp" if "t1" in options else "udp")
        yield SippPhone(f"127.0.0.1:{port}", process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_bound(port: int, protocol: str) -> None:
    """SIPp says nothing when it is ready, and is no event of ours; its port is taken then."""
    table = Path("/proc/net", protocol)
    async with asyncio.timeout(180):
        while not is_bound(port, await asyncio.to_thread(table.read_text)):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)


def is_bound(port: int, table: str) -> bool:
    """Whether somebody listens there, by the kernel's table of sockets (proc(5)).

    Ports come round. For a minute the last connection to one may still be seen at its other end,
    and who took that for SIPp would call before SIPp listens.
    """
    listening = {"07", "0A"}  # a UDP socket that is not connected, a TCP socket that listens
    rows = (line.split() for line in table.splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] in listening for row in rows)
