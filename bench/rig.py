"""What is measured and what measures it: a fresh server, the phones, and the API between them."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import machine
from livekit.protocol import room, sip
from twirp import Answer, Api

_Result = TypeVar("_Result")

_KEY, _SECRET = "bench", "a-secret-that-only-this-benchmark-has"
_HTTP_PORT = 7880
_PHONES_PORT = 5070
# How long anything may take that normally takes milliseconds.
_PATIENCE = 30.0


class FailedError(Exception):
    """Something did not happen that has to; no figure would mean anything."""


@dataclass(frozen=True, slots=True)
class Network:
    """``near`` is the server's address and ``enter_near`` what puts a command there."""

    near: str
    far: str
    enter_near: tuple[str, ...]
    description: str


def network() -> Network:
    """The one this program was started in."""
    if os.environ.get("SWITCHROOM_TEST_NETWORK") != "private":
        return Network("127.0.0.1", "127.0.0.1", (), "loopback: no private network here")
    enter = ("nsenter", f"--net={os.environ['SWITCHROOM_NEAR_HOST']}")
    near, far = (os.environ[f"SWITCHROOM_{end}_ADDRESS"] for end in ("NEAR", "FAR"))
    return Network(near, far, enter, "two network namespaces joined by a veth pair")


class Phones:
    """The load generator: what it is told, and what has happened to its phones."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.address = address
        self.process = process
        self._times: dict[str, dict[int, int]] = {}
        self._details: dict[tuple[str, int], dict[str, Any]] = {}
        self._counts: Counter[str] = Counter()
        self._figures: dict[str, Any] = {}
        self._waiting_for: dict[tuple[str, int], asyncio.Future[int]] = {}
        self._counting: list[tuple[str, int, asyncio.Future[None]]] = []

    def say(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n".encode())

    async def listen(self) -> None:
        """Hears the phones out, until they are gone."""
        assert self.process.stdout
        async for line in self.process.stdout:
            event = json.loads(line)
            self._note(event["event"], event)

    def _note(self, name: str, event: dict[str, Any]) -> None:
        self._counts[name] += 1
        if name == "figures":
            self._figures = event
        if "phone" in event:
            phone, at = event["phone"], event["at"]
            self._times.setdefault(name, {})[phone] = at
            self._details[name, phone] = event
            if (waiting := self._waiting_for.pop((name, phone), None)) and not waiting.done():
                waiting.set_result(at)
        for wanted, count, waiting_count in self._counting:
            if wanted == name and self._counts[name] >= count and not waiting_count.done():
                waiting_count.set_result(None)

    def forget(self) -> None:
        """Begins to count anew."""
        self._times.clear()
        self._details.clear()
        self._counts.clear()

    def times(self, event: str) -> dict[int, int]:
        """When it happened to each phone, in nanoseconds since 1970."""
        return self._times.get(event, {})

    async def ask(self, command: str, event: str, phone: int) -> dict[str, Any]:
        """Says something and waits for that event of a phone, anew; the event, whole."""
        self._times.get(event, {}).pop(phone, None)
        self.say(command)
        await self.when(event, phone)
        return self._details[event, phone]

    async def when(self, event: str, phone: int) -> int:
        """Waits until it has happened to a phone; the time in nanoseconds since 1970."""
        if (at := self.times(event).get(phone)) is not None:
            return at
        waiting = asyncio.get_running_loop().create_future()
        self._waiting_for[event, phone] = waiting
        return await _in_time(waiting, f"phone {phone} never: {event}")

    async def until(self, event: str, count: int) -> None:
        """Waits until it has happened so often since :meth:`forget`."""
        if self._counts[event] >= count:
            return
        waiting = asyncio.get_running_loop().create_future()
        entry = (event, count, waiting)
        self._counting.append(entry)
        try:
            await _in_time(waiting, f"not {count} phones: {event}")
        finally:
            self._counting.remove(entry)

    async def window(self, seconds: float) -> dict[str, Any]:
        """Figures of so many seconds."""
        self.say("begin")
        await asyncio.sleep(seconds)
        self.say("end")
        await self.until("figures", self._counts["figures"] + 1)
        return self._figures


async def _in_time(waiting: asyncio.Future[_Result], otherwise: str) -> _Result:
    try:
        return await asyncio.wait_for(waiting, _PATIENCE)
    except TimeoutError:
        raise FailedError(otherwise) from None


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is reached, and what opens its doors."""

    process: int
    host: str
    port: int
    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Rig:
    """One fresh server with phones around it."""

    api: Api
    phones: Phones
    server: Server
    trunk: str
    ready_seconds: float

    async def dial(
        self, room_name: str, phone: int, *, wait: bool = False, suppress: bool = False
    ) -> Answer[sip.SIPParticipantInfo]:
        """CreateSIPParticipant for one phone into a room; ``suppress``: without its noise."""
        request = sip.CreateSIPParticipantRequest(
            sip_trunk_id=self.trunk,
            sip_call_to=f"+1555{phone:07}",
            room_name=room_name,
            participant_identity=f"phone-{phone}",
            wait_until_answered=wait,
            krisp_enabled=suppress,
        )
        return await self.api.call("SIP", "CreateSIPParticipant", request, sip.SIPParticipantInfo)

    async def hang_up_room(self, name: str) -> Answer[room.DeleteRoomResponse]:
        """DeleteRoom, which hangs up its phones."""
        request = room.DeleteRoomRequest(room=name)
        return await self.api.call("RoomService", "DeleteRoom", request, room.DeleteRoomResponse)


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """Starts everything anew and ends it again."""
    net = network()
    async with _phones(net) as phones, _server(net) as (server, api, ready_seconds):
        info = sip.SIPOutboundTrunkInfo(
            name="bench", address=phones.address, numbers=["+15559999999"]
        )
        request = sip.CreateSIPOutboundTrunkRequest(trunk=info)
        made = await api.call("SIP", "CreateSIPOutboundTrunk", request, sip.SIPOutboundTrunkInfo)
        yield Rig(api, phones, server, made.body.sip_trunk_id, ready_seconds)


@asynccontextmanager
async def _phones(net: Network) -> AsyncIterator[Phones]:
    binary = os.environ.get("SWITCHROOM_PHONES", "target/release/switchroom-phones")
    address = f"{net.far}:{_PHONES_PORT}"
    process = await asyncio.create_subprocess_exec(
        binary, address, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    phones = Phones(process, address)
    listening = asyncio.create_task(phones.listen())
    try:
        await phones.until("ready", 1)
        yield phones
    finally:
        phones.say("quit")
        await process.wait()
        listening.cancel()


@asynccontextmanager
async def _server(net: Network) -> AsyncIterator[tuple[Server, Api, float]]:
    with tempfile.TemporaryDirectory(prefix="switchroom-bench-") as folder:
        environment = {
            **os.environ,
            "LIVEKIT_KEYS": f"{_KEY}: {_SECRET}",
            "NODE_IP": net.near,
            "SWITCHROOM_PORT": str(_HTTP_PORT),
            "SWITCHROOM_BIND_ADDRESSES": net.near,
            "SWITCHROOM_STORAGE_URL": f"sqlite:///{folder}/bench.db",
            "SWITCHROOM_SHUTDOWN_DRAIN": "0",
            # The load runs on the same cores: how busy they are says nothing of the server.
            "SWITCHROOM_SIP_MAX_CPU_UTILIZATION": "1",
        }
        start = shlex.split(os.environ.get("SWITCHROOM_COMMAND", ".venv/bin/switchroom"))
        command = (*net.enter_near, *start, "serve")
        log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT)
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=log, stderr=log
        )
        os.close(log)
        try:
            async with Api(net.near, _HTTP_PORT, _KEY, _SECRET) as api:
                while not await api.is_ready():
                    if process.returncode is not None or time.monotonic() - began > _PATIENCE:
                        raise FailedError(f"no server:\n{_tail_of(f'{folder}/log')}")
                    await asyncio.sleep(0.01)
                server = Server(process.pid, net.near, _HTTP_PORT, _KEY, _SECRET)
                yield server, api, time.monotonic() - began
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()


def _tail_of(log: str) -> str:
    return Path(log).read_text(errors="replace")[-2_000:]


async def place_calls(on: Rig, pairs: int, *, name: str = "room", suppress: bool = False) -> None:
    """So many rooms with two phones each; returns when every phone talks."""
    on.phones.forget()
    gate = asyncio.Semaphore(8)

    async def dial(phone: int) -> None:
        async with gate:
            await on.dial(f"{name}-{phone // 2}", phone, suppress=suppress)

    await asyncio.gather(*(dial(phone) for phone in range(2 * pairs)))
    await on.phones.until("talking", 2 * pairs)


async def end_calls(on: Rig, pairs: int, *, name: str = "room") -> None:
    """Deletes the rooms; returns when every phone has been hung up."""
    for pair in range(pairs):
        await on.hang_up_room(f"{name}-{pair}")
    await on.phones.until("ended", 2 * pairs)


@dataclass(frozen=True, slots=True)
class Spent:
    """``server`` is CPU seconds; ``others`` the share of all cores that nobody here used."""

    server: float
    seconds: float
    others: float


async def spent(on: Rig, seconds: float) -> tuple[Spent, dict[str, Any]]:
    """CPU time of the server during a window of the phones, and the phones' figures."""
    mine = time.process_time()
    before = machine.sample(on.server.process)
    figures = await on.phones.window(seconds)
    after = machine.sample(on.server.process)
    elapsed, server = after.at - before.at, after.cpu - before.cpu
    own = server + figures["cpu_seconds"] + time.process_time() - mine
    others = (after.busy - before.busy - own) / elapsed / (os.cpu_count() or 1)
    return Spent(server, elapsed, max(others, 0.0)), figures


async def cost_row(
    on: Rig, calls: int, window: float, is_clean: Callable[[dict[str, Any], int], bool]
) -> dict[str, Any]:
    """What so many running calls cost and suffer during a window, as the report wants it."""
    used, figures = await spent(on, window)
    per_call_minute = used.server / calls / (used.seconds / 60)
    return {
        "cpu_per_call_minute": per_call_minute,
        "calls_per_core": 60 / per_call_minute if per_call_minute else None,
        "server_cores": used.server / used.seconds,
        "phones_cores": figures["cpu_seconds"] / figures["seconds"],
        "others": used.others,
        "load": machine.load_average(),
        "clean": is_clean(figures, calls),
        **{
            name: figures[name]
            for name in (
                *("sent", "received", "missing", "out_of_order", "audible_sent"),
                *("audible_received", "spacing_sent", "spacing_received", "lateness"),
            )
        },
    }
