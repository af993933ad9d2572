"""What of dispatches and jobs outlives the process."""

from __future__ import annotations

import asyncio

import pytest
from livekit.protocol import agent

from switchroom.agents import keeping
from switchroom.rooms import dispatches
from switchroom.rooms.dispatches import DispatchNotFound, DispatchSpec
from switchroom.rooms.errors import RoomClosing
from switchroom.rooms.stores import StoredRoom
from unit.rooms.house import MemoryStore, settle

from .house import ROOM, House, Kept

# ── restarts ─────────────────────────────────────────────────────────────────


async def test_a_dispatch_that_waits_when_the_server_dies_waits_again_after_the_start() -> None:
    kept = Kept()
    before = House(kept)
    await before.start()
    dispatch_id = await before.dispatch(metadata="m", attributes={"a": "1"})
    # No stop: the process is killed.
    after = House(kept)
    await after.start()
    async with after.worker() as worker:
        job = await worker.offer()
        assert (job.dispatch_id, job.metadata, dict(job.attributes)) == (
            dispatch_id,
            "m",
            {"a": "1"},
        )
        assert [r.dispatch.id for r in after.rooms.get(ROOM).dispatches.list()].count(
            dispatch_id
        ) == 1
    await after.stop()
    await before.stop()


async def test_a_job_goes_on_after_a_crash_when_its_worker_and_its_agent_come_back() -> None:
    kept = Kept()
    before = House(kept)
    await before.start()
    async with before.worker() as worker:
        await before.phone()
        dispatch_id = await before.dispatch()
        job = (await worker.take()).job
        before.agent(job.state.participant_identity)
        after = House(kept)
        await after.start()
        async with after.worker() as again, after.worker() as other:
            await again.say(migrate_job=agent.MigrateJobRequest(job_ids=[job.id]))
            await again.nothing()
            after.agent(job.state.participant_identity)
            await after.time.pass_(30)
            (listed,) = await after.jobs(dispatch_id)
            assert (listed.id, listed.state.worker_id) == (job.id, again.id)
            assert listed.state.status == agent.JS_RUNNING
            await again.nothing()
            await other.nothing()
        await after.stop()
    await before.stop()


async def test_after_a_crash_a_job_without_anybody_to_talk_to_is_not_done_again() -> None:
    kept = Kept()
    before = House(kept)
    await before.start()
    async with before.worker() as worker:
        dispatch_id = await before.dispatch()
        await before.phone()
        await worker.take()
        after = House(kept)
        await after.start()
        async with after.worker() as again:
            await after.time.pass_(keeping.RETURN_LIMIT)
            await again.nothing()
            (listed,) = await after.jobs(dispatch_id)
            assert listed.state.status == agent.JS_FAILED
            # Somebody is there for whom it can be done.
            after.person("ann")
            assert (await again.offer()).dispatch_id == dispatch_id
        await after.stop()
    await before.stop()


async def test_after_a_planned_stop_a_running_job_is_begun_anew_for_who_comes_back() -> None:
    kept = Kept()
    before = House(kept)
    await before.start()
    async with before.worker("") as worker:
        before.person("ann")
        job = (await worker.take()).job
        before.agent(job.state.participant_identity)
        await before.stop()
    after = House(kept)
    await after.start()
    async with after.worker("") as again:
        after.person("ann")
        await after.time.pass_(0.1)
        successor = await again.offer()
        assert (successor.dispatch_id, successor.id != job.id) == (job.dispatch_id, True)
        listed, _ = await after.jobs(job.dispatch_id)
        assert listed.state.error == f"the server was stopped; {successor.id} takes its place"
        await again.nothing()
    await after.stop()


async def test_an_ended_job_is_listed_and_not_done_again_after_a_restart() -> None:
    kept = Kept()
    before = House(kept)
    await before.start()
    async with before.worker() as worker:
        dispatch_id = await before.dispatch()
        anna, _ = before.agent((await worker.take()).job.state.participant_identity)
        before.leave(anna)
        await before.stop()
    after = House(kept)
    await after.start()
    async with after.worker() as again:
        await again.nothing()
        (listed,) = await after.jobs(dispatch_id)
        assert listed.state.status == agent.JS_SUCCESS
    await after.stop()


async def test_what_belongs_to_rooms_that_do_not_come_back_is_forgotten() -> None:
    kept = Kept()
    before = House(kept)
    await before.start()
    before.open("joined")  # made by a join, so it is not kept
    await before.dispatch(room="joined")
    after = House(kept)
    await after.start()
    await after.time.pass_(keeping.PATIENCE)
    assert kept.dispatches.dispatches == {}
    async with after.worker() as worker:
        after.open("joined")
        await worker.nothing()
    await after.stop()
    await before.stop()


# ── what is not kept ─────────────────────────────────────────────────────────


async def test_jobs_that_a_dispatch_has_forgotten_are_not_kept_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatches, "KEPT_JOBS", 2)
    house = House()
    await house.start()
    async with house.worker(type=agent.JT_PARTICIPANT) as worker:
        dispatch_id = await house.dispatch()
        for number in range(4):
            participant, _ = house.person(str(number))
            job = (await worker.take()).job
            agent_there, _ = house.agent(job.state.participant_identity)
            house.leave(agent_there)
            house.leave(participant)
        await settle()
        listed = {job.id for job in await house.jobs(dispatch_id)}
        assert set(house.kept.dispatches.jobs) == listed
        assert len(listed) == 3, "two that ended, and the room's own that waits"
    await house.stop()


class SlowDisk(MemoryStore):
    """A RoomStore whose writes wait until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    async def save(self, room: StoredRoom) -> None:
        await self.written.wait()
        await super().save(room)


async def test_a_dispatch_whose_new_room_is_closed_while_it_is_written_is_not_kept() -> None:
    disk = SlowDisk()
    house = House(Kept(rooms=disk))
    await house.start()
    creating = asyncio.ensure_future(house.agents.create(ROOM, DispatchSpec("clerk")))
    await settle()
    deleting = asyncio.ensure_future(house.rooms.delete(ROOM))
    await settle()
    disk.written.set()
    await deleting
    with pytest.raises(RoomClosing):
        await creating
    await settle()
    assert house.kept.dispatches.dispatches == {}
    await house.stop()


async def test_a_dispatch_that_is_taken_back_while_its_room_is_written_is_not_kept() -> None:
    disk = SlowDisk()
    house = House(Kept(rooms=disk))
    await house.start()
    creating = asyncio.ensure_future(house.agents.create(ROOM, DispatchSpec("clerk")))
    await settle()
    (named,) = (
        record.dispatch.id
        for record in house.rooms.get(ROOM).dispatches.list()
        if not record.dispatch.spec.implicit
    )
    await house.agents.delete(ROOM, named)
    disk.written.set()
    with pytest.raises(DispatchNotFound):
        await creating
    assert house.kept.dispatches.dispatches == {}
    await house.stop()


async def test_a_dispatch_is_not_taken_back_from_a_server_that_has_let_go_of_its_jobs() -> None:
    house = House()
    await house.start()
    dispatch_id = await house.dispatch()
    await house.agents.stop()
    with pytest.raises(RoomClosing):
        await house.agents.delete(ROOM, dispatch_id)
    assert dispatch_id in house.kept.dispatches.dispatches
    await house.stop()


async def test_a_job_that_is_owed_is_still_owed_after_another_crash_and_only_once() -> None:
    kept = Kept()
    before = House(kept)
    await before.start()
    async with before.worker() as worker:
        dispatch_id = await before.dispatch()
        await before.phone()
        await worker.take()
    between = House(kept)
    await between.start()
    await between.time.pass_(keeping.RETURN_LIMIT)
    (listed,) = await between.jobs(dispatch_id)
    assert listed.state.status == agent.JS_FAILED
    after = House(kept)
    await after.start()
    async with after.worker() as again:
        await after.time.pass_(keeping.RETURN_LIMIT)
        after.person("ann")
        taken = (await again.take()).job
        assert taken.dispatch_id == dispatch_id
        await again.nothing()
        open_jobs = [job.id for job in kept.dispatches.jobs.values() if not job.ended]
        assert open_jobs == [taken.id]
    for house in (after, between, before):
        await house.stop()
