"""What becomes of a call when its worker dies, drains, loses its line, or the server goes away."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from livekit import api
from livekit.protocol.agent import JobStatus

from interop.agents import DEV, ROOT, START, Worker, agent_worker, needs_agents
from interop.baresip import RATE, Baresip, BaresipWishes, baresip, write_tone
from interop.cable import cable_to
from interop.dispatching import NUMBER, dispatch, job_with, jobs_of, trunk_to
from interop.hearing import windows
from interop.server import Server, outward_address, server_here, server_process

STEADY = ROOT / "tests" / "interop" / "agent_programs" / "steady.py"
AGENT, TONE = "steady", 440
ROOM = "call"
PORT = 17880
SETTINGS = {"rtc__udp_port": 17882, "sip__port": 15060, "shutdown__drain": 0}

pytestmark = [pytest.mark.interop, needs_agents]


@dataclass
class Line:
    """A phone, and a trunk that leads to it."""

    phone: Baresip
    trunk: str

    async def hears_the_agent(self) -> None:
        """Until the last half second was the agent's tone."""
        await self._hears(agent=True)

    async def hears_nobody(self) -> None:
        """Until the last half second was something else."""
        await self._hears(agent=False)

    async def _hears(self, *, agent: bool) -> None:
        await self._sees("dumping decode audio to ")
        async with asyncio.timeout(180):
            while self._agent_sounds() != agent:  # noqa: ASYNC110  a recording tells nothing
                await asyncio.sleep(0.1)

    def _agent_sounds(self) -> bool:
        last = windows(self.phone.heard(), RATE)[-5:]
        return len(last) == 5 and all(
            abs(window.tone_hz - TONE) <= 10 and window.level_dbov > -50 for window in last
        )

    async def is_hung_up_on(self) -> None:
        await self._sees("session closed: Connection reset by")

    async def _sees(self, words: str) -> None:
        async with asyncio.timeout(180):
            await self.phone.wait_for(words)

    @property
    def calls(self) -> int:
        """How often it was called."""
        return sum("Call established" in line for line in self.phone.log)

    @property
    def in_a_call(self) -> bool:
        return self.calls == 1 and not any("session closed" in line for line in self.phone.log)


@asynccontextmanager
async def line_to(lk: api.LiveKitAPI, folder: Path) -> AsyncIterator[Line]:
    """A phone that answers, and plays something of its own."""
    voice = folder / "voice.wav"
    write_tone(voice, 1000, -20, 120)
    async with baresip(
        folder / "phone", outward_address(), 5080, voice, BaresipWishes(user=NUMBER)
    ) as phone:
        yield Line(phone, await trunk_to(lk, phone.address))


def worker_for(
    url: str, line: Line, mode: Sequence[str] = START
) -> AbstractAsyncContextManager[Worker]:
    return agent_worker(STEADY, url, mode=mode, LIVEKIT_SIP_OUTBOUND_TRUNK=line.trunk)


async def delete(lk: api.LiveKitAPI) -> None:
    await lk.room.delete_room(api.DeleteRoomRequest(room=ROOM))


async def test_a_killed_workers_call_is_taken_over_by_another_worker(
    server: Server, tmp_path: Path
) -> None:
    async with (
        server.api() as lk,
        line_to(lk, tmp_path) as line,
        worker_for(server.ws_url, line) as one,
        worker_for(server.ws_url, line) as other,
    ):
        await dispatch(lk, AGENT, ROOM, call=NUMBER)
        first, second = await who_begins(one, other)
        await line.hears_the_agent()
        await first.killed()
        await second.wait_for(" plays")
        await line.hears_the_agent()
        assert line.in_a_call
        lost, taken_over = await jobs_of(lk, ROOM)
        assert lost.state.status == JobStatus.JS_FAILED
        assert taken_over.state.status == JobStatus.JS_RUNNING
        await delete(lk)
        await line.is_hung_up_on()
        assert line.calls == 1


async def test_a_call_whose_worker_is_stopped_in_its_midst_is_taken_over_by_another_worker(
    server: Server, tmp_path: Path
) -> None:
    """Its agent says good-bye right after it: both are read in one turn of the server's loop."""
    async with (
        server.api() as lk,
        line_to(lk, tmp_path) as line,
        worker_for(server.ws_url, line, DEV) as one,
        worker_for(server.ws_url, line, DEV) as other,
    ):
        await dispatch(lk, AGENT, ROOM, call=NUMBER)
        first, second = await who_begins(one, other)
        await line.hears_the_agent()
        # Ctrl-C: a worker in this mode does not wait for its calls to end.
        first.process.send_signal(signal.SIGINT)
        await second.wait_for(" plays")
        await line.hears_the_agent()
        assert line.in_a_call
        lost, taken_over = await jobs_of(lk, ROOM)
        assert lost.state.error.startswith("the agent left when its worker stopped")
        assert taken_over.state.status == JobStatus.JS_RUNNING
        await delete(lk)
        await line.is_hung_up_on()
        assert line.calls == 1


async def who_begins(one: Worker, other: Worker) -> tuple[Worker, Worker]:
    """The worker that has the job, and the one that has not."""
    waits = {asyncio.create_task(worker.wait_for(" begins in ")): worker for worker in (one, other)}
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in pending:
        wait.cancel()
    first = waits[done.pop()]
    return first, other if first is one else one


async def test_a_killed_job_process_is_replaced_and_the_phone_rings_once(
    server: Server, tmp_path: Path
) -> None:
    async with (
        server.api() as lk,
        line_to(lk, tmp_path) as line,
        worker_for(server.ws_url, line) as worker,
    ):
        await dispatch(lk, AGENT, ROOM, call=NUMBER)
        (playing,) = await worker.wait_for(" plays")
        await line.hears_the_agent()
        os.kill(playing["pid"], signal.SIGKILL)
        await worker.wait_for(" plays", times=2)
        await line.hears_the_agent()
        assert line.in_a_call
        lost, replaced = await jobs_of(lk, ROOM)
        assert lost.state.status == JobStatus.JS_FAILED
        assert replaced.state.status == JobStatus.JS_RUNNING


async def test_a_worker_that_loses_its_line_keeps_its_job(server: Server, tmp_path: Path) -> None:
    async with (
        server.api() as lk,
        cable_to(server.url) as cable,
        line_to(lk, tmp_path) as line,
        worker_for(cable.ws_url, line) as worker,
    ):
        await dispatch(lk, AGENT, ROOM, call=NUMBER)
        await line.hears_the_agent()
        cable.cut()
        await worker.wait_for("registered worker", times=2)
        await worker.wait_for("reported active jobs after registration")
        await dispatch(lk, AGENT, "another room")
        await worker.wait_for(" plays", times=2)
        await line.hears_the_agent()
        assert line.in_a_call
        (kept,) = await jobs_of(lk, ROOM)
        assert kept.state.status == JobStatus.JS_RUNNING
        await delete(lk)
        await line.is_hung_up_on()
        await job_with(lk, "another room", JobStatus.JS_RUNNING)


async def test_a_draining_worker_finishes_its_call_and_gets_nothing_new(tmp_path: Path) -> None:
    async with (
        server_here(tmp_path, agents__dispatch_wait=2) as server,
        server.api() as lk,
        line_to(lk, tmp_path) as line,
        worker_for(server.ws_url, line) as worker,
    ):
        await dispatch(lk, AGENT, ROOM, call=NUMBER)
        await line.hears_the_agent()
        worker.terminate()
        await worker.wait_for("draining worker")
        await dispatch(lk, AGENT, "too late")
        refused = await job_with(lk, "too late", JobStatus.JS_FAILED)
        assert refused.state.error
        await line.hears_the_agent()
        assert line.in_a_call
        await delete(lk)
        await line.is_hung_up_on()
        assert await worker.ended() == 0
        assert len([words for words in worker.messages if " begins in " in words]) == 1


async def test_a_job_that_raises_before_it_joins_is_over_and_the_next_one_runs(
    server: Server,
) -> None:
    """livekit-agents calls it a success; the room had no agent, which is all that can be known."""
    async with server.api() as lk, agent_worker(STEADY, server.ws_url) as worker:
        await dispatch(lk, AGENT, ROOM, fail="before")
        await worker.wait_for("unhandled exception while running the job task")
        await job_with(lk, ROOM, JobStatus.JS_SUCCESS)
        await dispatch(lk, AGENT, "the next")
        await worker.wait_for(" plays")
        await job_with(lk, "the next", JobStatus.JS_RUNNING)


async def test_a_burst_of_dispatches_reaches_one_worker_whole(server: Server) -> None:
    rooms = [f"room {number}" for number in range(5)]
    async with server.api() as lk, agent_worker(STEADY, server.ws_url) as worker:
        await asyncio.gather(*(dispatch(lk, AGENT, room) for room in rooms))
        started = await worker.wait_for(" plays", times=len(rooms))
        assert len(started) == len(rooms)
        for room in rooms:
            (job,) = await jobs_of(lk, room)
            assert job.state.status == JobStatus.JS_RUNNING


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_when_the_server_goes_phones_are_hung_up_and_workers_come_back(
    tmp_path: Path, how: signal.Signals
) -> None:
    async with (
        server_process(tmp_path, PORT, **SETTINGS) as server,
        server.api() as lk,
        line_to(lk, tmp_path) as line,
        worker_for(server.ws_url, line) as worker,
    ):
        await dispatch(lk, AGENT, ROOM, call=NUMBER)
        await line.hears_the_agent()
        assert server.process is not None
        server.process.send_signal(how)
        await server.process.wait()
        async with server_process(tmp_path, PORT, **SETTINGS) as again, again.api() as lk_again:
            await line.is_hung_up_on()
            await worker.wait_for("registered worker", times=2)
            await dispatch(lk_again, AGENT, "after the restart")
            await worker.wait_for(" begins in after the restart")
            await job_with(lk_again, "after the restart", JobStatus.JS_RUNNING)
        assert line.calls == 1
