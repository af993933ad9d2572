"""baresip as the phone: it answers by itself, plays a file and records what it hears."""

from __future__ import annotations

import asyncio
import math
import re
import struct
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

RATE = 8000

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
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
snd_path {recordings}
ringback_disabled yes
statmode_default off
"""
_ACCOUNT = "<sip:{user}@{address};transport=udp>;regint=0;answermode=auto;audio_codecs={codecs}\n"


@dataclass
class Baresip:
    """A running phone."""

    process: asyncio.subprocess.Process
    address: str
    recordings: Path
    log: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, words: str) -> None:
        """Until a line of its log holds these words."""
        async with self.changed:
            await self.changed.wait_for(lambda: any(words in line for line in self.log))

    def dial(self, number: str, carrier: str) -> None:
        """Call a number behind a carrier's address."""
        self._command(f"/dial sip:{number}@{carrier}\n")

    def play(self, voice: Path) -> None:
        """Say from now on what is in this file (8 kHz mono), instead of what was said."""
        self._command(f"/ausrc aufile,{voice}\n")

    def press(self, keys: str) -> None:
        """Press keys during a call."""
        self._command(keys)

    def hang_up(self) -> None:
        """End the call."""
        self._command("/hangup\n")

    def pressed(self) -> str:
        """The keys that were pressed at the other end (RFC 4733)."""
        return "".join(re.findall(r"received event: '(.)' \(end=0\)", "\n".join(self.log)))

    def _command(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words.encode())

    def heard(self) -> array[int]:
        """What the phone has decoded, 8 kHz."""
        (recorded,) = self.recordings.glob("*-dec.wav")
        return read_wav(recorded)


@asynccontextmanager
async def baresip(
    folder: Path,
    address: str,
    port: int,
    voice: Path,
    codecs: str = "pcmu",
    *,
    user: str = "phone",
) -> AsyncIterator[Baresip]:
    """A phone at `address`:`port` that says what is in `voice` (8 kHz mono).

    It answers calls to `user`, which may be a number, and refuses all others with 404.
    """
    recordings = folder / "recordings"
    recordings.mkdir(parents=True)
    values = {"address": address, "port": port, "voice": voice, "recordings": recordings}
    config = _CONFIG.format(**values, rtp_first=port + 100, rtp_last=port + 199)
    (folder / "config").write_text(config)
    (folder / "accounts").write_text(_ACCOUNT.format(user=user, address=address, codecs=codecs))
    (folder / "contacts").write_text("")
    process = await asyncio.create_subprocess_exec(
        "baresip",
        *("-4", "-f", str(folder), "-v"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    phone = Baresip(process, f"{address}:{port}", recordings)
    reading = asyncio.create_task(_read_log(phone))
    try:
        async with asyncio.timeout(20):
            await phone.wait_for("baresip is ready")
        yield phone
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading


async def _read_log(phone: Baresip) -> None:
    assert phone.process.stdout is not None
    async for line in phone.process.stdout:
        async with phone.changed:
            phone.log.append(line.decode(errors="replace").rstrip())
            phone.changed.notify_all()


def write_tone(path: Path, hz: float, level_dbov: float, seconds: float) -> None:
    """A WAV file of a sine; 0 dBov is a square wave of full scale (RFC 6464)."""
    peak = 32_767 * math.sqrt(2) * 10 ** (level_dbov / 20)
    samples = [
        round(peak * math.sin(2 * math.pi * hz * n / RATE)) for n in range(int(seconds * RATE))
    ]
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def read_wav(path: Path) -> array[int]:
    """The samples of a mono file. A length that was never filled in is taken from the file's."""
    content = path.read_bytes()
    start = content.index(b"data") + 8
    usable = len(content[start:]) // 2 * 2
    return array("h", content[start : start + usable])
