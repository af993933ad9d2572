"""Phones that are not ours under one set of commands: the rows of the table in docs/interop.md."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from interop.asterisk import Asterisk, AsteriskWishes, asterisk, needs_asterisk
from interop.baresip import Baresip, BaresipWishes, baresip
from interop.linphonec import Linphonec, LinphoneWishes, linphonec, needs_linphonec
from interop.peer_process import free_port
from interop.pjsua import Pjsua, PjsuaWishes, needs_pjsua, pjsua
from interop.recordings import Sound, write_tone

LEVEL = -20.0

needs_baresip = pytest.mark.skipif(
    shutil.which("baresip") is None, reason="baresip is missing: apt-get install baresip-core"
)


@dataclass(frozen=True)
class Wishes:
    """How a phone is set up, in the words of this project."""

    codec: str = "PCMU"
    """``PCMU``, ``G722`` or ``opus``; it takes no other."""
    srtp: str = "none"
    """``none`` or ``required``."""
    transport: str = "udp"
    """``udp`` or ``tcp``."""
    answers: bool = True
    hz: int = 1000
    """The tone that it says."""
    user: str = "phone"
    """Whom it is, of those that care."""
    login: str = ""
    password: str = ""


class Phone(Protocol):
    """What each can do. What waits fails with the phone's own words."""

    @property
    def address(self) -> str: ...

    async def dial(self, number: str, server: str) -> None: ...

    async def is_called(self) -> object: ...

    async def is_up(self) -> None: ...

    async def is_over(self) -> object: ...

    async def hang_up(self) -> None: ...

    async def press(self, keys: str) -> None: ...

    async def is_sent(self, keys: str) -> None: ...

    async def hold(self) -> None: ...

    async def resume(self) -> None: ...

    async def transfer(self, uri: str) -> None: ...

    def heard(self) -> Sound: ...


Start = Callable[[Path, str, Wishes], AbstractAsyncContextManager[Phone]]


@dataclass(frozen=True)
class PhoneKind:
    """One row."""

    name: str
    start: Start
    """In a folder, with the server's SIP address as its trunk."""
    mark: pytest.MarkDecorator

    @property
    def row(self) -> Any:
        """For `pytest.mark.parametrize`."""
        return pytest.param(self, id=self.name, marks=self.mark)


# ── each phone as one ────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _BaresipPhone:
    it: Baresip

    @property
    def address(self) -> str:
        return self.it.address

    async def dial(self, number: str, server: str) -> None:
        self.it.dial(number, server)

    async def is_called(self) -> None:
        await self.it.is_called()

    async def is_up(self) -> None:
        await self.it.is_up()

    async def is_over(self) -> str:
        return await self.it.is_over()

    async def hang_up(self) -> None:
        self.it.hang_up()

    async def press(self, keys: str) -> None:
        self.it.press(keys)

    async def is_sent(self, keys: str) -> None:
        await self.it.is_sent(keys)

    async def hold(self) -> None:
        self.it.hold()

    async def resume(self) -> None:
        self.it.resume()

    async def transfer(self, uri: str) -> None:
        self.it.transfer(uri)

    def heard(self) -> Sound:
        return self.it.sound()


@dataclass(frozen=True)
class _UriDialler:
    """PJSIP and linphonec take a whole URI."""

    it: Pjsua | Linphonec
    transport: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.it, name)

    async def dial(self, number: str, server: str) -> None:
        parameter = "" if self.transport == "udp" else f";transport={self.transport}"
        await self.it.dial(f"sip:{number}@{server}{parameter}")


@dataclass(frozen=True)
class _AsteriskPhone:
    it: Asterisk

    def __getattr__(self, name: str) -> Any:
        return getattr(self.it, name)

    async def dial(self, number: str, server: str) -> None:
        await self.it.dial(number)


# ── their set-up ─────────────────────────────────────────────────────────────

_BARESIP_CODECS = {"PCMU": "pcmu", "G722": "g722/16000/1", "opus": "opus/48000/2"}
_BARESIP_SOUND = {"PCMU": (8000, 1), "G722": (16_000, 1), "opus": (48_000, 2)}
_LINPHONE_CODECS = {"PCMU": "PCMU/8000", "G722": "G722/8000", "opus": "opus/48000/2"}
_ASTERISK_CODECS = {"PCMU": "ulaw", "G722": "g722", "opus": "opus"}
_VOICE_SECONDS = 120.0


def _voice(folder: Path, hz: int, rate: int, channels: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.with_suffix(".wav")
    write_tone(path, hz, LEVEL, _VOICE_SECONDS, rate=rate, channels=channels)
    return path


@asynccontextmanager
async def _baresip(folder: Path, server: str, wishes: Wishes) -> AsyncIterator[Phone]:
    rate, channels = _BARESIP_SOUND[wishes.codec]
    voice = _voice(folder, wishes.hz, rate, channels)
    address = server.rpartition(":")[0]
    set_up = BaresipWishes(
        codecs=_BARESIP_CODECS[wishes.codec],
        answers=wishes.answers,
        user=wishes.user,
        transport=wishes.transport,
        encryption={"none": "", "required": "srtp-mand"}[wishes.srtp],
        login=wishes.login,
        password=wishes.password,
    )
    async with baresip(folder, address, free_port(), voice, set_up) as phone:
        yield _BaresipPhone(phone)


@asynccontextmanager
async def _linphonec(folder: Path, server: str, wishes: Wishes) -> AsyncIterator[Phone]:
    voice = _voice(folder, wishes.hz, 16_000)
    codecs = (_LINPHONE_CODECS[wishes.codec],)
    set_up = LinphoneWishes(codecs, wishes.answers, wishes.srtp, wishes.login, wishes.password)
    async with linphonec(folder, voice, set_up, server.rpartition(":")[0]) as phone:
        yield _UriDialler(phone, wishes.transport)


@asynccontextmanager
async def _pjsua(folder: Path, server: str, wishes: Wishes) -> AsyncIterator[Phone]:
    voice = _voice(folder, wishes.hz, 16_000)
    set_up = PjsuaWishes(
        codecs=(wishes.codec,),
        transport=wishes.transport,
        srtp=wishes.srtp,
        answer=200 if wishes.answers else 180,
        login=wishes.login,
        password=wishes.password,
    )
    async with pjsua(folder, voice, set_up, server.rpartition(":")[0]) as phone:
        yield _UriDialler(phone, wishes.transport)


@asynccontextmanager
async def _asterisk(folder: Path, server: str, wishes: Wishes) -> AsyncIterator[Phone]:
    set_up = AsteriskWishes(
        codecs=_ASTERISK_CODECS[wishes.codec],
        transport=wishes.transport,
        encryption={"none": "no", "required": "sdes"}[wishes.srtp],
        hz=wishes.hz,
        login=wishes.login or "nobody",
        password=wishes.password or "nothing",
    )
    async with asterisk(folder, server, set_up, server.rpartition(":")[0]) as phone:
        yield _AsteriskPhone(phone)


BARESIP = PhoneKind("baresip", _baresip, needs_baresip)
LINPHONEC = PhoneKind("linphonec", _linphonec, needs_linphonec)
PJSIP = PhoneKind("pjsip", _pjsua, needs_pjsua)
ASTERISK = PhoneKind("asterisk", _asterisk, needs_asterisk)


def each_of(*kinds: PhoneKind) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """The test is run with each of these phones as `kind`."""
    return pytest.mark.parametrize("kind", [kind.row for kind in kinds])


EACH_PHONE = each_of(BARESIP, LINPHONEC, PJSIP, ASTERISK)
