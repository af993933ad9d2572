"""PJSIP as the phone, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interop.json_program import Facts, JsonProgram, Told, json_program
from interop.peer_process import free_port
from interop.recordings import Sound, read_sound

PYTHON = Path(__file__).resolve().parents[2] / ".peers" / "pjsua" / "bin" / "python"

needs_pjsua = pytest.mark.skipif(
    not PYTHON.exists(), reason="pjsua2-python is missing: tools/set-up peers"
)

_ACTIVE, _HELD_HERE, _HELD_THERE = 1, 2, 3
"""PJSIP's pjsua_call_media_status."""

_PROGRAM = Path(__file__).with_name("pjsua_program.py")


@dataclass(frozen=True)
class PjsuaWishes:
    """How the phone is set up."""

    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """In order of preference, named as PJSIP does: ``G722/16000``."""
    transport: str = "udp"
    """``udp``, ``tcp`` or ``tls``."""
    srtp: str = "none"
    """``none``, ``allowed`` or ``required``."""
    answer: int = 200
    """The status that calls get at once; 0 leaves them to `answer`."""
    reliable: bool = False
    """Whether provisional responses have to be acknowledged (RFC 3262)."""
    refresh: int = 0
    """Seconds after which the session has to be refreshed (RFC 4028); 0 is never."""
    login: str = ""
    password: str = ""
    certificate: tuple[str, str] = ("", "")
    authority: str = ""
    user: str = "phone"


@dataclass
class Pjsua:
    """A running phone."""

    program: JsonProgram
    told: Told
    address: str
    folder: Path
    call: int = -1
    """The call that commands are about: the latest."""
    _calls: list[int] = field(default_factory=list)

    async def do(self, what: str, **facts: Any) -> Any:
        """A command of `pjsua_program.py`, about the latest call."""
        return await self.program.do(what, {"call": self.call, **facts})

    async def is_called(self) -> Facts:
        """Until a call comes in; the event holds the INVITE as ``message``."""
        called = await self.told.next("called")
        self.call = called["call"]
        return called

    async def answer(self, status: int = 200) -> None:
        await self.do("answer", code=status)

    async def dial(self, uri: str, **headers: str) -> None:
        self.call = await self.program.do("dial", {"uri": uri, "headers": headers})

    async def is_up(self) -> None:
        """Until the call is answered and acknowledged."""
        if self.call < 0:
            await self.is_called()
        await self.told.next("state", call=self.call, state="CONFIRMED")

    async def is_over(self) -> Facts:
        """Until the call has ended; its state with the last ``code``."""
        ended = await self.told.next("state", call=self.call, state="DISCONNECTED")
        await self.told.next("over", call=self.call)
        return ended

    async def hang_up(self) -> None:
        await self.do("hang_up")

    async def press(self, keys: str, method: str = "rfc4733") -> None:
        await self.do("press", keys=keys, method=method)

    async def is_sent(self, keys: str) -> None:
        """Until these keys were pressed at the other end, in this order."""
        for key in keys:
            assert (await self.told.next("key", call=self.call))["key"] == key

    async def hold(self) -> None:
        """Put the other end on hold; until it has agreed."""
        await self._renegotiate("hold", _HELD_HERE)

    async def resume(self) -> None:
        """Take the other end back; until it has agreed."""
        await self._renegotiate("resume", _ACTIVE)

    async def is_held(self) -> None:
        """Until the other end has put this one on hold."""
        await self.told.next("media", call=self.call, status=_HELD_THERE)

    async def _renegotiate(self, what: str, status: int) -> None:
        self.told.all_told("media")
        await self.do(what)
        await self.told.next("media", call=self.call, status=status)

    async def transfer(self, uri: str) -> None:
        await self.do("transfer", uri=uri)

    def heard(self) -> Sound:
        """What came in, of the latest call; complete when it is over."""
        return read_sound(self.folder / f"heard-{self.call}.wav")

    def trace(self) -> str:
        """Every SIP message, and what PJSIP thought of it."""
        return (self.folder / "pjsip.log").read_text(errors="replace")


@asynccontextmanager
async def pjsua(
    folder: Path, voice: Path, wishes: PjsuaWishes | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Pjsua]:
    """A phone on a free port that says what is in `voice`, again and again."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    told, port, wishes = Told(), free_port(), wishes or PjsuaWishes()
    program = await json_program((str(PYTHON), str(_PROGRAM)), told)
    try:
        facts = {"address": address, "port": port, "folder": str(folder), "voice": str(voice)}
        await program.do("begin", {**facts, **asdict(wishes)})
        yield Pjsua(program, told, f"{address}:{port}", folder)
    finally:
        await program.close()
