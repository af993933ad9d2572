"""Names to addresses."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from switchroom.sip_io import resolver as module
from switchroom.sip_io.errors import ResolveError
from switchroom.sip_io.resolver import Resolver
from unit.sip_io.stopped_clock import StoppedClock


class System:
    """The system's resolver, as the test wants it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.addresses: dict[str, list[str]] = {"one.example": ["192.0.2.1", "2001:db8::1"]}
        self.stuck = threading.Event()
        self.stuck.set()

    def getaddrinfo(self, host: str, port: object, *, type: int) -> list[tuple[object, ...]]:  # noqa: A002
        self.asked.append(host)
        self.stuck.wait()
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in self.addresses[host] * 2]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    system = System()
    monkeypatch.setattr(socket, "getaddrinfo", system.getaddrinfo)
    yield system
    system.stuck.set()


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def resolver(clock: StoppedClock, system: System) -> AsyncIterator[Resolver]:
    resolver = Resolver(clock)
    yield resolver
    resolver.close()


async def test_addresses_are_kept_for_half_a_minute(
    resolver: Resolver, system: System, clock: StoppedClock
) -> None:
    assert resolver.known("one.example") == ()
    assert await resolver.resolve("one.example") == ("192.0.2.1", "2001:db8::1")
    clock.now = 29.0
    assert await resolver.resolve("ONE.example") == ("192.0.2.1", "2001:db8::1")
    assert resolver.known("one.example") == ("192.0.2.1", "2001:db8::1")
    assert len(system.asked) == 1
    clock.now = 31.0
    assert resolver.known("one.example") == ()
    await resolver.resolve("one.example")
    assert len(system.asked) == 2


async def test_a_name_that_is_none_is_named_and_asked_again_soon(
    resolver: Resolver, system: System, clock: StoppedClock
) -> None:
    for _ in range(2):
        with pytest.raises(ResolveError, match=r"nowhere\.invalid: no such host"):
            await resolver.resolve("nowhere.invalid")
    assert len(system.asked) == 1
    assert resolver.known("nowhere.invalid") == ()
    clock.now = 3.0
    system.addresses["nowhere.invalid"] = ["192.0.2.9"]
    assert await resolver.resolve("nowhere.invalid") == ("192.0.2.9",)


async def test_a_name_without_addresses_is_an_error(resolver: Resolver, system: System) -> None:
    system.addresses["empty.example"] = []
    with pytest.raises(ResolveError, match="no address"):
        await resolver.resolve("empty.example")


async def test_a_silent_name_server_is_given_up(
    resolver: Resolver, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    system.stuck.clear()
    with pytest.raises(ResolveError, match="no answer from DNS"):
        await resolver.resolve("one.example")


async def test_after_closing_nothing_is_asked(clock: StoppedClock, system: System) -> None:
    resolver = Resolver(clock)
    resolver.close()
    with pytest.raises(ResolveError):
        await resolver.resolve("one.example")
    assert system.asked == []


async def test_names_that_can_not_be_encoded_are_errors_and_no_crash(resolver: Resolver) -> None:
    with pytest.raises(ResolveError):
        await resolver.resolve("a" * 80 + ".\udcff")
    await asyncio.gather(
        *(resolver.resolve("one.example") for _ in range(5)),
    )
