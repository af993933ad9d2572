"""baresip as the phone: it plays a file and records what it hears."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from interop.peer_process import PeerProcess, free_port, peer_process
from interop.recordings import RATE, Sound, read_sound, write_tone

__all__ = ["RATE", "Baresip", "BaresipWishes", "baresip", "write_tone"]

_CONFIG = """\
poll_method epoll
sip_listen {address}:{port}
net_interface {address}
rtp_ports {rtp_first}-{rtp_last}
call_max_calls 4
audio_source aufile,{voice}
audio_player nil,nil
audio_alert nil,nil
module_path /usr/lib/baresip/modules
module stdio.so
module g711.so
module g722.so
module opus.so
module srtp.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {recordings}
ringback_disabled yes
statmode_default off
"""
_ACCOUNT = (
    "<sip:{user}@{address};transport={transport}>;regint=0;answermode={answer}"
    ";audio_codecs={codecs}{more}\n"
)


@dataclass(frozen=True)
class BaresipWishes:
    """How the phone is set up."""

    codecs: str = "pcmu"
    """In order of preference, separated by commas: ``opus/48000/2``, ``g722/16000/1``."""
    answers: bool = True
    """Whether it answers by itself."""
    user: str = "phone"
    """Whom it is: calls to others are refused with 404. May be a number."""
    transport: str = "udp"
    encryption: str = ""
    """``srtp`` allows keys in SDP, ``srtp-mand`` requires them."""
    login: str = ""
    password: str = ""
    certificate: Path | None = None
    """A key and its certificate in one file, for calls over TLS."""
    authority: Path | None = None

    @property
    def trust(self) -> str:
        """Lines of its configuration."""
        files = {"sip_certificate": self.certificate, "sip_cafile": self.authority}
        return "".join(f"{name} {file}\n" for name, file in files.items() if file)

    @property
    def account(self) -> str:
        """What follows the codecs in the line of its account."""
        facts = {
            "mediaenc": self.encryption,
            "auth_user": self.login,
            "auth_pass": self.password,
        }
        return "".join(f";{name}={value}" for name, value in facts.items() if value)


@dataclass
class Baresip:
    """A running phone."""

    peer: PeerProcess
    control: asyncio.StreamWriter
    address: str
    recordings: Path

    @property
    def log(self) -> list[str]:
        """What it has written, and the events of its control socket: ``CALL_ESTABLISHED …``."""
        return self.peer.log

    @property
    def changed(self) -> asyncio.Condition:
        """Notified with each line of the log."""
        return self.peer.changed

    async def wait_for(self, words: str) -> None:
        """Until a line of its log holds these words; for ever, if need be."""
        async with self.changed:
            await self.changed.wait_for(lambda: any(words in line for line in self.log))

    # ── calls ────────────────────────────────────────────────────────────────

    def dial(self, number: str, carrier: str) -> None:
        """Call a number behind a carrier's address."""
        self.command("dial", f"sip:{number}@{carrier}")

    async def is_called(self) -> None:
        """Until a call rings."""
        await self.peer.says("CALL_INCOMING")

    def answer(self) -> None:
        self.command("accept")

    async def is_up(self, calls: int = 1) -> None:
        """Until so many calls were answered."""
        await self.peer.says("CALL_ESTABLISHED", times=calls)

    async def is_over(self, calls: int = 1) -> str:
        """Until so many calls have ended; the last one's reason."""
        return await self.peer.says("CALL_CLOSED", times=calls)

    def hang_up(self) -> None:
        """End the call."""
        self.command("hangup")

    def hold(self) -> None:
        """Ask the other end to be quiet."""
        self.command("hold")

    def resume(self) -> None:
        self.command("resume")

    def transfer(self, uri: str) -> None:
        """Ask the other end to call somebody else instead (REFER)."""
        self.command("transfer", uri)

    # ── sound and keys ───────────────────────────────────────────────────────

    def play(self, voice: Path) -> None:
        """Say from now on what is in this file (8 kHz mono), instead of what was said."""
        self.command("ausrc", f"aufile,{voice}")

    def press(self, keys: str) -> None:
        """Press keys during a call, one after the other."""
        self.peer.tell(keys)

    def pressed(self) -> str:
        """The keys that were pressed at the other end (RFC 4733)."""
        told = [line.split()[-1] for line in self.log if line.startswith("CALL_DTMF_START")]
        return "".join(told)

    async def is_sent(self, keys: str) -> None:
        """Until these keys were pressed at the other end."""
        last = await self.peer.until(
            lambda line: line.startswith("CALL_DTMF_START"), "CALL_DTMF_START", times=len(keys)
        )
        assert self.pressed() == keys, last

    def heard(self) -> array[int]:
        """What the phone has decoded, at the codec's rate."""
        return self.sound().samples

    def sound(self) -> Sound:
        """What the phone has decoded in its only call."""
        (recorded,) = self.recordings.glob("*-dec.wav")
        return read_sound(recorded)

    def command(self, name: str, parameters: str = "") -> None:
        """A command of its menu, as a netstring of JSON."""
        request = json.dumps({"command": name, "params": parameters})
        self.control.write(f"{len(request)}:{request},".encode())


@asynccontextmanager
async def baresip(
    folder: Path, address: str, port: int, voice: Path, wishes: BaresipWishes | None = None
) -> AsyncIterator[Baresip]:
    """A phone at `address`:`port` that says what is in `voice` (8 kHz mono)."""
    recordings = folder / "recordings"
    await asyncio.to_thread(recordings.mkdir, parents=True, exist_ok=True)
    control, wishes = free_port(), wishes or BaresipWishes()
    config = _CONFIG.format(
        address=address,
        port=port,
        voice=voice,
        recordings=recordings,
        control=control,
        rtp_first=port + 100,
        rtp_last=port + 199,
    )
    account = _ACCOUNT.format(
        user=wishes.user,
        address=address,
        transport=wishes.transport,
        answer="auto" if wishes.answers else "manual",
        codecs=wishes.codecs,
        more=wishes.account,
    )
    files = {"config": config + wishes.trust, "accounts": account, "contacts": ""}
    for name, content in files.items():
        await asyncio.to_thread((folder / name).write_text, content)
    async with peer_process(("baresip", "-4", "-f", folder, "-v"), folder) as peer:
        await peer.says("baresip is ready")
        reader, writer = await asyncio.open_connection("127.0.0.1", control)
        hearing = asyncio.create_task(_hear_events(reader, peer))
        try:
            yield Baresip(peer, writer, f"{address}:{port}", recordings)
        finally:
            writer.close()
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


async def _hear_events(reader: asyncio.StreamReader, peer: PeerProcess) -> None:
    """Each event of the control socket becomes a line of the log."""
    while True:
        length = int((await reader.readuntil(b":"))[:-1])
        told = json.loads((await reader.readexactly(length + 1))[:-1])
        if told.get("event"):
            await peer.note(f"{told['type']} {told.get('param', '')}".rstrip())
