"""SIPp as the caller: one call, as a small scenario says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

CALLER = "+15105550123"

_REQUEST = """{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}
      From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]
      To: <sip:[service]@[remote_ip]>{tag}
      Call-ID: [call_id]
      CSeq: {number}
      Contact: <sip:caller@[local_ip]:[local_port]>
      Max-Forwards: 70"""

OFFER = """v=0
      o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0 101
      a=rtpmap:101 telephone-event/8000"""
VIDEO = f"""{OFFER}
      m=video 40002 RTP/AVP 96
      a=rtpmap:96 VP8/90000"""
STRANGE = OFFER.replace("0 101", "96").replace("101 telephone-event", "96 nobody")


def request(
    method: str,
    *,
    body: str = "",
    headers: Sequence[str] = (),
    number: int = 1,
    in_dialog: bool = True,
    repeat: bool = False,
) -> str:
    """Send a request. CANCEL and the ACK to a refusal go with the branch of the INVITE."""
    whole = _REQUEST.format(
        method=method,
        caller=CALLER,
        tag="[peer_tag_param]" if in_dialog else "",
        number=f"{number} {method}",
        branch="[branch]" if method != "CANCEL" else "[branch-2]",
    )
    more = "".join(f"\n      {header}" for header in headers)
    kind = "\n      Content-Type: application/sdp" if body else ""
    again = ' retrans="500"' if repeat else ""
    return (
        f"<send{again}><![CDATA[\n      {whole}{more}{kind}\n      Content-Length: [len]\n\n"
        f"      {body}\n\n    ]]></send>"
    )


def invite(body: str = OFFER, *headers: str) -> str:
    """Call."""
    return request("INVITE", body=body, headers=headers, in_dialog=False, repeat=True)


def expect(status: int, *, holds: str = "", lacks: str = "", optional: bool = False) -> str:
    """Wait for a response; its text must hold, or must not hold, what these patterns match."""
    acts = ""
    if holds:
        acts += (
            f'<ereg regexp="{holds}" search_in="msg" check_it="true" assign_to="found"/>'
            '<log message="[$found]"/>'
        )
    if lacks:
        acts += (
            f'<ereg regexp="{lacks}" search_in="msg" check_it_inverse="true" assign_to="lack"/>'
            '<log message="[$lack]"/>'
        )
    wait = ' optional="true"' if optional else ""
    done = f"<action>{acts}</action>" if acts else ""
    return f'<recv response="{status}"{wait} rtd="true">{done}</recv>'


TRYING = expect(100, optional=True)
RINGING = expect(180)
ACK = request("ACK")
BYE = request("BYE", number=2, repeat=True)


async def sipp_calls(
    folder: Path, number: str, server: str, steps: Sequence[str], *options: str
) -> str:
    """Run one call; empty if all went as the steps say, else what SIPp has to say about it."""
    scenario = folder / "caller.xml"
    text = "\n".join(steps)
    content = f'<?xml version="1.0"?><scenario name="caller">\n{text}\n</scenario>'
    await asyncio.to_thread(scenario.write_text, content)
    process = await asyncio.create_subprocess_exec(
        "sipp", "-sf", str(scenario), server, "-s", number, "-i", "127.0.0.1", "-p", "0",
        "-m", "1", "-nostdin", "-timeout", "120s", "-timeout_error", "-trace_err", "-trace_msg",
        *options,
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return ""
    logs = await asyncio.to_thread(_logs, folder)
    return "\n".join([output.decode(errors="replace")[-1500:], *logs])


def _logs(folder: Path) -> list[str]:
    return [log.read_text(errors="replace") for log in sorted(folder.glob("caller_*"))]
