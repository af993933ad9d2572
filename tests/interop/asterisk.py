"""Asterisk as the phone: a PBX with one trunk, moved by its manager interface.

It runs from a file system of its own (`tools/set-up asterisk`), which Debian's stable releases do
not have; the test's folder is mounted into it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from interop.json_program import Facts, Told
from interop.peer_process import free_port, peer_process
from interop.recordings import Sound, read_sound

SYSTEM = Path(__file__).resolve().parents[2] / ".peers" / "asterisk"

needs_asterisk = pytest.mark.skipif(
    not (SYSTEM / "usr/sbin/asterisk").exists() or os.geteuid() != 0,
    reason="Asterisk is missing: as root, tools/set-up asterisk",
)

_INSIDE = "/mnt"
_START = """\
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/mnt" &&
touch "$1/etc/resolv.conf" && mount --bind "$2/resolv.conf" "$1/etc/resolv.conf" &&
exec chroot "$1" asterisk -f -n -C /mnt/asterisk.conf
"""
_FILES = {
    # It looks up its own name, and would wait long for name servers that cannot be reached.
    "resolv.conf": "nameserver 127.0.0.1\n",
    "asterisk.conf": """\
[directories]
astetcdir => /mnt
astspooldir => /mnt/spool
astrundir => /mnt
astlogdir => /mnt
astdbdir => /mnt
astvarlibdir => /usr/share/asterisk
astdatadir => /usr/share/asterisk
[options]
verbose = 3
""",
    "modules.conf": """\
[modules]
autoload=yes
noload => chan_iax2.so
noload => chan_mgcp.so
noload => chan_skinny.so
noload => chan_unistim.so
noload => pbx_dundi.so
noload => res_config_ldap.so
noload => res_config_pgsql.so
noload => res_xmpp.so
noload => res_hep.so
noload => res_hep_pjsip.so
noload => res_hep_rtcp.so
""",
    "logger.conf": "[general]\n[logfiles]\nconsole => notice,warning,error,verbose\n",
    "rtp.conf": "[general]\nrtpstart={rtp_first}\nrtpend={rtp_last}\n",
    "manager.conf": """\
[general]
enabled=yes
bindaddr=127.0.0.1
port={manager}
[tests]
secret=tests
read=all
write=all
""",
    "pjsip.conf": """\
[global]
type=global
endpoint_identifier_order=ip,username
[over-udp]
type=transport
protocol=udp
bind={address}:{port}
[over-tcp]
type=transport
protocol=tcp
bind={address}:{port}
[switchroom]
type=endpoint
context=phones
transport=over-{transport}
disallow=all
allow={codecs}
direct_media=no
media_encryption={encryption}
100rel={reliable}
timers={timers}
timers_min_se=90
timers_sess_expires=120
outbound_auth=login
from_user=+15105550111
aors=switchroom
[switchroom]
type=aor
contact=sip:{server};transport={transport}
[switchroom]
type=identify
endpoint=switchroom
match={server_host}
match=127.0.0.1
[login]
type=auth
auth_type=userpass
username={login}
password={password}
""",
    "extensions.conf": """\
[phones]
exten => busy,1,Busy(1)
exten => ringing,1,Ringing()
 same => n,Wait(120)
exten => early,1,Progress()
 same => n,PlayTones({hz})
 same => n,Wait(3)
 same => n,Goto(talk,1)
exten => talk,1,Answer()
 same => n,MixMonitor(/mnt/all.wav,r(/mnt/heard.wav16))
 same => n,PlayTones({hz})
 same => n,Wait(300)
exten => transfer,1,Transfer(PJSIP/${{TARGET}})
 same => n,UserEvent(Transferred,Status: ${{TRANSFERSTATUS}})
 same => n,Hangup()
exten => phone,1,Goto(talk,1)
exten => _[+0-9].,1,Goto(talk,1)
""",
}


@dataclass(frozen=True)
class AsteriskWishes:
    """How the PBX is set up."""

    codecs: str = "ulaw,alaw"
    transport: str = "udp"
    encryption: str = "no"
    """``sdes`` requires keys in SDP."""
    reliable: str = "yes"
    """Whether it acknowledges provisional responses (RFC 3262) and wants its own so."""
    timers: str = "yes"
    """Session timers: ``required`` refreshes every minute."""
    hz: int = 1000
    """The tone that it says."""
    login: str = "nobody"
    password: str = "nothing"


@dataclass
class Asterisk:
    """A running PBX. `told` holds its events, keyed as it names them."""

    told: Told
    manager: asyncio.StreamWriter
    address: str
    folder: Path
    channel: str = ""
    """The channel that commands are about: the latest."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def act(self, action: str, **facts: str) -> None:
        """An action of its manager interface, until it is done."""
        number = str(next(self._numbers))
        facts = {"Action": action, "ActionID": number, **facts}
        lines = "".join(f"{name}: {value}\r\n" for name, value in facts.items())
        self.manager.write(f"{lines}\r\n".encode())
        done = await self.told.next("Response", ActionID=number)
        assert done["Response"] == "Success", done

    async def dial(self, number: str) -> None:
        """Call a number at the server; who answers hears its tone."""
        facts = {"Exten": "talk", "Context": "phones", "Priority": "1", "Timeout": "60000"}
        await self.act("Originate", Channel=f"PJSIP/{number}@switchroom", Async="true", **facts)
        self.channel = (await self.told.next("Newchannel"))["Channel"]

    async def is_called(self) -> Facts:
        """Until a call comes in."""
        called = await self.told.next("Newchannel")
        self.channel = called["Channel"]
        return called

    async def is_up(self) -> None:
        """Until the call was answered."""
        if not self.channel:
            await self.is_called()
        await self.told.next("Newstate", Channel=self.channel, ChannelStateDesc="Up")

    async def is_over(self) -> Facts:
        """Until the call has ended; the event with its ``Cause`` (Q.850)."""
        return await self.told.next("Hangup", Channel=self.channel)

    async def hang_up(self) -> None:
        await self.act("Hangup", Channel=self.channel)

    async def press(self, keys: str) -> None:
        """Press keys, each a quarter of a second."""
        for key in keys:
            await self.act("PlayDTMF", Channel=self.channel, Digit=key, Duration="250")

    async def is_sent(self, keys: str) -> None:
        """Until these keys were pressed at the other end, in this order."""
        for key in keys:
            pressed = await self.told.next("DTMFEnd", Channel=self.channel, Direction="Received")
            assert pressed["Digit"] == key

    async def transfer(self, uri: str) -> None:
        """Ask the other end to call somebody else instead (REFER)."""
        await self.act("Setvar", Channel=self.channel, Variable="TARGET", Value=uri)
        place = {"Context": "phones", "Exten": "transfer", "Priority": "1"}
        await self.act("Redirect", Channel=self.channel, **place)

    def heard(self) -> Sound:
        """What came in; complete when the call is over."""
        return read_sound(self.folder / "heard.wav16")


@asynccontextmanager
async def asterisk(
    folder: Path, server: str, wishes: AsteriskWishes | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Asterisk]:
    """A PBX whose trunk is the server at `server` (host and port)."""
    await asyncio.to_thread((folder / "spool").mkdir, parents=True, exist_ok=True)
    port, manager, wishes = free_port(), free_port(), wishes or AsteriskWishes()
    facts = {
        **{name: getattr(wishes, name) for name in wishes.__dataclass_fields__},
        "address": address,
        "port": port,
        "manager": manager,
        "server": server,
        "server_host": server.rpartition(":")[0],
        "rtp_first": port // 2 * 2 + 100,
        "rtp_last": port // 2 * 2 + 199,
    }
    for name, content in _FILES.items():
        await asyncio.to_thread((folder / name).write_text, content.format(**facts))
    command = ("unshare", "--mount", "sh", "-c", _START, "sh", SYSTEM, folder)
    async with peer_process(command, folder) as peer:
        await peer.says("Asterisk Ready")
        reader, writer = await asyncio.open_connection("127.0.0.1", manager)
        told = Told()
        hearing = asyncio.create_task(_hear_events(reader, told))
        pbx = Asterisk(told, writer, f"{address}:{port}", folder)
        try:
            await pbx.act("Login", Username="tests", Secret="tests", Events="call,dtmf,user,system")
            await told.next("FullyBooted")
            yield pbx
        finally:
            writer.close()
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            peer.process.kill()  # its own end takes ten seconds


async def _hear_events(reader: asyncio.StreamReader, told: Told) -> None:
    """Blocks of lines ``Name: value``; what answers an action becomes an event ``Response``."""
    facts: Facts = {}
    async for line in reader:
        name, _, value = line.decode(errors="replace").strip().partition(": ")
        if name:
            facts["event" if name == "Event" else name] = value
        elif facts:
            told.hear_of({"event": "Response", **facts})
            facts = {}
