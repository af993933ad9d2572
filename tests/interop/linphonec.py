"""linphonec as the phone: commands at its prompt, sound from and to files."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from interop.peer_process import PeerProcess, free_port, peer_process
from interop.recordings import Sound, read_sound

needs_linphonec = pytest.mark.skipif(
    shutil.which("linphonec") is None, reason="linphonec is missing: apt-get install linphone-cli"
)

# Without `auto_net_state_mon=0` it takes the network for down, and opens no socket.
_CONFIG = """\
[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port=-1
media_encryption={encryption}
media_encryption_mandatory={required}
use_info=0
use_rfc2833=1
contact="phone" <sip:phone@{address}>
[net]
auto_net_state_mon=0
[rtp]
audio_rtp_port={rtp_first}-{rtp_last}
audio_adaptive_jitt_comp_enabled=1
[misc]
log_collection_upload_server_url=
"""
_CODEC = """\
[audio_codec_{number}]
mime={mime}
rate={rate}
channels={channels}
enabled={enabled}
"""
_OFFERED = ("PCMU/8000", "PCMA/8000", "G722/8000", "opus/48000/2", "G729/8000", "speex/16000")


@dataclass(frozen=True)
class LinphoneWishes:
    """How the phone is set up."""

    codecs: tuple[str, ...] = ("PCMU/8000",)
    answers: bool = True
    srtp: str = "none"
    """``none``, ``allowed`` or ``required``."""
    login: str = ""
    password: str = ""


@dataclass
class Linphonec:
    """A running phone."""

    peer: PeerProcess
    address: str
    recording: Path
    rate: int
    """Samples a second of the recording: those of its codec."""

    async def dial(self, uri: str) -> None:
        self.peer.tell(f"call {uri}")

    async def is_called(self, calls: int = 1) -> None:
        """Until so many calls have rung."""
        await self.peer.says("Receiving new incoming call from", times=calls)

    async def answer(self, call: int = 1) -> None:
        """It answers only its first call by itself, and holds it when it takes another."""
        self.peer.tell(f"answer {call}")

    async def is_up(self, calls: int = 1) -> None:
        """Until so many calls were answered, and their sound has a way."""
        await self.peer.until(
            lambda line: re.search(r"Call \d+ .*(connected|answered)", line) is not None,
            "connected",
            times=calls,
        )

    async def is_over(self, calls: int = 1) -> str:
        """Until so many calls have ended; the last one's ending in its words."""
        return await self.peer.until(
            lambda line: re.search(r"Call \d+ .*(ended|error)", line) is not None,
            "ended",
            times=calls,
        )

    async def hang_up(self) -> None:
        self.peer.tell("terminate")

    async def press(self, keys: str) -> None:
        """Press keys: what is no command at its prompt is one."""
        for key in keys:
            self.peer.tell(key)

    async def is_sent(self, keys: str) -> None:
        """Until these keys were pressed at the other end, in this order."""
        await self.peer.until(lambda line: "Receiving tone" in line, "tone", times=len(keys))
        pressed = re.findall(r"Receiving tone (\S)", "\n".join(self.peer.log))
        assert "".join(pressed) == keys, pressed

    async def hold(self) -> None:
        """Until the other end has agreed. It plays its voice on: as music for who waits."""
        self.peer.tell("pause")
        await self.peer.says("is now paused")

    async def resume(self) -> None:
        self.peer.tell("resume")

    async def transfer(self, uri: str) -> None:
        """Ask the other end to call somebody else instead (REFER)."""
        self.peer.tell(f"transfer {uri}")

    def heard(self) -> Sound:
        """What it has recorded so far."""
        return read_sound(self.recording, unfinished_rate=self.rate)


@asynccontextmanager
async def linphonec(
    folder: Path, voice: Path, wishes: LinphoneWishes | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Linphonec]:
    """A phone on a free port that says what is in `voice`."""
    home, recording = folder / "home", folder / "heard.wav"
    # It does not make the folder of its database itself.
    await asyncio.to_thread((home / ".local/share/linphone").mkdir, parents=True, exist_ok=True)
    port, wishes = free_port(), wishes or LinphoneWishes()
    settings = _CONFIG.format(
        port=port,
        address=address,
        encryption="none" if wishes.srtp == "none" else "srtp",
        required=int(wishes.srtp == "required"),
        rtp_first=port + 100,
        rtp_last=port + 199,
    )
    settings += _codecs(wishes.codecs) + _credentials(wishes)
    await asyncio.to_thread((folder / "rc").write_text, settings)
    command = ("linphonec", "-c", folder / "rc", *(("-a",) if wishes.answers else ()))
    async with peer_process(command, folder, {"HOME": str(home)}) as peer:
        for line in ("soundcard use files", f"play {voice}", f"record {recording}", "ipv6 disable"):
            peer.tell(line)
        await peer.says("Using wav files instead of soundcard")
        yield Linphonec(peer, f"{address}:{port}", recording, _rate(wishes.codecs[0]))
        peer.tell("quit")
        await asyncio.wait_for(peer.process.wait(), 90)


def _rate(codec: str) -> int:
    """G.722 has twice the rate that it is named with (RFC 3551, 4.5.2)."""
    return 16_000 if codec.startswith("G722") else int(codec.split("/")[1])


def _credentials(wishes: LinphoneWishes) -> str:
    if not wishes.password:
        return ""
    return f"[auth_info_0]\nusername=phone\nuserid={wishes.login}\npasswd={wishes.password}\n"


def _codecs(wanted: tuple[str, ...]) -> str:
    """All that it might offer, the wanted ones first and enabled."""
    named = [*wanted, *(name for name in _OFFERED if name not in wanted)]
    return "".join(
        _CODEC.format(
            number=number,
            mime=name.split("/")[0],
            rate=name.split("/")[1],
            channels=name.split("/")[2] if name.count("/") == 2 else 1,
            enabled=int(name in wanted),
        )
        for number, name in enumerate(named)
    )
