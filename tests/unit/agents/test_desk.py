"""Which worker gets a job, and what becomes of it when workers or agents are lost."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import api
from livekit.protocol import agent

from switchroom.agents.dispatcher import MAX_ATTEMPTS
from switchroom.agents.job import OFFER_TIMEOUT, ROOM_END_LIMIT, WORKER_RETURN
from switchroom.rooms.reasons import DisconnectReason
from unit.rooms.house import settle

from .house import OTHER_KEY, OTHER_SECRET, ROOM, House, Worker

# ── which worker ─────────────────────────────────────────────────────────────


async def test_the_random_number_chooses_by_free_capacity(house: House) -> None:
    async with house.worker() as first, house.worker() as second:
        await first.busy(full=False, load=0.9)
        await second.busy(full=False, load=0.1)
        house.draw = 0.09
        await house.dispatch()
        await first.offer()
        house.draw = 0.11
        await house.dispatch()
        await second.offer()


async def test_no_random_number_is_drawn_where_there_is_nobody_to_choose_from(
    house: House,
) -> None:
    await house.dispatch()
    assert house.draws == 0
    async with house.worker() as worker:
        await worker.offer()
    assert house.draws == 1


@pytest.mark.parametrize("load", [float("nan"), float("inf"), -1e30, 1e30])
async def test_a_worker_that_lies_about_its_load_is_served_like_the_others(
    house: House, load: float
) -> None:
    async with house.worker() as worker:
        await worker.busy(full=False, load=load)
        await house.dispatch()
        await worker.take()


async def test_a_refusal_sends_the_job_to_the_next_worker(house: House) -> None:
    async with house.worker() as first, house.worker() as second:
        await house.dispatch()
        await first.answer(await first.offer(), available=False)
        await second.take()
        await first.nothing()


async def test_a_final_refusal_sends_the_job_to_nobody(house: House) -> None:
    async with house.worker() as first, house.worker() as second:
        dispatch_id = await house.dispatch()
        await first.answer(await first.offer(), available=False, terminate=True)
        await first.nothing()
        await second.nothing()
        (job,) = await house.jobs(dispatch_id)
        assert job.state.status == agent.JS_SUCCESS
        assert house.rooms.get(ROOM).dispatches.get(dispatch_id).jobs[0].outcome == "declined"


async def test_a_worker_that_does_not_answer_loses_the_offer_and_gets_none_for_a_while(
    house: House,
) -> None:
    async with house.worker() as mute, house.worker() as second:
        await house.dispatch()
        await mute.offer()
        await house.time.pass_(OFFER_TIMEOUT)
        await second.take()
        await house.dispatch()
        await second.take()
        await mute.nothing()


async def test_an_answer_that_comes_too_late_gets_nothing(house: House) -> None:
    async with house.worker() as slow, house.worker() as second:
        await house.dispatch()
        job = await slow.offer()
        await house.time.pass_(OFFER_TIMEOUT)
        await second.take()
        await slow.answer(job)
        await slow.nothing()


async def test_a_worker_that_answers_late_is_awake_and_asked_again(house: House) -> None:
    async with house.worker() as slow:
        await house.dispatch()
        job = await slow.offer()
        await house.time.pass_(OFFER_TIMEOUT)
        await slow.answer(job, available=False)
        await slow.nothing()
        await house.dispatch()
        await slow.take()


async def test_answering_twice_brings_one_assignment(house: House) -> None:
    async with house.worker() as worker:
        await house.dispatch()
        job = await worker.offer()
        for _ in range(3):
            await worker.answer(job)
        await worker.answer(job, available=False)
        assert (await worker.expect("assignment")).job.id == job.id
        await worker.nothing()


async def test_answers_for_jobs_of_others_bring_nothing(house: House) -> None:
    async with house.worker() as worker, house.worker() as thief:
        await house.dispatch()
        job = await worker.offer()
        await thief.answer(job)
        await thief.answer(agent.Job(id="AJ_unheard_of"))
        await thief.say(update_job=agent.UpdateJobStatus(job_id=job.id, status=agent.JS_FAILED))
        await thief.nothing()
        await worker.answer(job)
        await worker.expect("assignment")


@pytest.mark.parametrize(
    "answer",
    [
        {"participant_identity": "phone"},
        {"participant_identity": "x" * 257},
        {"participant_metadata": "x" * (512 * 1024 + 1)},
        {"participant_attributes": {"k": "x" * (64 * 1024)}},
    ],
    ids=["the phone's identity", "long identity", "long metadata", "long attributes"],
)
async def test_an_agent_that_could_not_join_counts_as_a_refusal(
    house: House, answer: dict[str, Any]
) -> None:
    await house.phone("phone")
    async with house.worker() as worker, house.worker() as second:
        await house.dispatch()
        await worker.answer(await worker.offer(), **answer)
        await second.take()


async def test_two_agents_of_one_identity_do_not_put_each_other_out(house: House) -> None:
    async with house.worker() as first, house.worker() as second:
        await house.dispatch()
        await first.take(participant_identity="anna")
        await house.dispatch()
        await first.answer(await first.offer(), participant_identity="anna")
        await second.take()


# ── workers that are lost ────────────────────────────────────────────────────


async def test_a_worker_that_dies_before_it_answers_loses_the_offer_at_once(house: House) -> None:
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            await house.dispatch()
            await first.offer()
        await second.take()


async def test_a_worker_that_dies_after_the_assignment_is_replaced_in_a_few_seconds(
    house: House,
) -> None:
    await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            dispatch_id = await house.dispatch()
            lost = (await first.take()).job
        await second.nothing()
        await house.time.pass_(WORKER_RETURN)
        successor = await second.offer()
        assert successor.id != lost.id
        assert successor.dispatch_id == dispatch_id
        before, now = await house.jobs(dispatch_id)
        assert (before.state.status, before.state.reason) == (agent.JS_FAILED, agent.JSR_RETRYING)
        assert successor.id in before.state.error
        assert now.state.status == agent.JS_PENDING


async def test_a_worker_that_comes_back_in_time_keeps_its_job(house: House) -> None:
    await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            dispatch_id = await house.dispatch()
            job = (await first.take()).job
        async with house.worker() as first:
            await first.say(migrate_job=agent.MigrateJobRequest(job_ids=[job.id]))
            await first.nothing()
            await house.time.pass_(WORKER_RETURN)
            await second.nothing()
            (listed,) = await house.jobs(dispatch_id)
            assert listed.state.worker_id == first.id


@pytest.mark.parametrize("status", [agent.JS_RUNNING, agent.JS_SUCCESS])
async def test_a_worker_that_comes_back_and_tells_of_a_job_keeps_it_without_a_claim(
    house: House, status: Any
) -> None:
    """livekit-agents claims what runs; what begins or ends meanwhile it only reports."""
    await house.phone()
    async with house.worker() as second:
        await second.busy(full=True)
        async with house.worker() as first:
            dispatch_id = await house.dispatch()
            job = (await first.take()).job
        async with house.worker() as first:
            await first.busy(full=True)
            await first.say(update_job=agent.UpdateJobStatus(job_id=job.id, status=status))
            await first.nothing()
            await second.busy(full=False)
            await house.time.pass_(WORKER_RETURN)
            await second.nothing()
            (listed,) = await house.jobs(dispatch_id)
            assert listed.state.status == status


async def test_a_worker_that_starts_a_job_which_is_over_is_told_again(house: House) -> None:
    """livekit-agents knows no job that still waits for its process, and lets a termination pass."""
    async with house.worker() as worker:
        await house.dispatch()
        job = (await worker.take()).job
        async with house.api() as livekit:
            await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        assert (await worker.expect("termination")).job_id == job.id
        await worker.say(update_job=agent.UpdateJobStatus(job_id=job.id, status=agent.JS_RUNNING))
        assert (await worker.expect("termination")).job_id == job.id
        await worker.say(update_job=agent.UpdateJobStatus(job_id=job.id, status=agent.JS_SUCCESS))
        await worker.nothing()


async def test_a_job_is_not_given_to_a_worker_that_has_no_right_to_it(house: House) -> None:
    await house.phone()
    async with house.worker() as first:
        dispatch_id = await house.dispatch()
        job = (await first.take()).job
        async with (
            house.worker("somebody") as other,
            house.worker(key=OTHER_KEY, secret=OTHER_SECRET) as stranger,
        ):
            for thief in (other, stranger):
                await thief.say(migrate_job=agent.MigrateJobRequest(job_ids=[job.id]))
                await thief.nothing()
            (listed,) = await house.jobs(dispatch_id)
            assert listed.state.worker_id == first.id


async def test_an_agent_works_on_when_its_workers_socket_is_lost(house: House) -> None:
    await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            dispatch_id = await house.dispatch()
            anna, _ = house.agent((await first.take()).job.state.participant_identity)
        await second.nothing()
        await house.time.pass_(60)
        await second.nothing()
        house.leave(anna)
        (listed,) = await house.jobs(dispatch_id)
        assert listed.state.status == agent.JS_SUCCESS
        await second.nothing()


@pytest.mark.parametrize("cut", [True, False], ids=["line cut", "worker stops"])
async def test_a_goodbye_is_its_workers_doing_only_if_the_worker_stopped(
    house: House, cut: bool
) -> None:
    await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            dispatch_id = await house.dispatch()
            anna, _ = house.agent((await first.take()).job.state.participant_identity)
            if cut:
                first.cut()
        house.leave(anna)
        await house.time.pass_(ROOM_END_LIMIT)
        if not cut:
            await second.take()
        await second.nothing()
        done, *successors = await house.jobs(dispatch_id)
        assert done.state.status == (agent.JS_SUCCESS if cut else agent.JS_FAILED)
        assert len(successors) == (0 if cut else 1)


@pytest.mark.parametrize(
    "reason", [DisconnectReason.CONNECTION_TIMEOUT, DisconnectReason.SIGNAL_CLOSE]
)
async def test_worker_and_agent_gone_mid_call_bring_another_agent_to_the_caller(
    house: House, reason: DisconnectReason
) -> None:
    await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            await house.dispatch(metadata="m")
            anna, _ = house.agent((await first.take()).job.state.participant_identity)
        await second.nothing()
        house.leave(anna, reason)
        assert (await second.take()).job.metadata == "m"


async def test_an_agent_that_died_with_its_worker_does_not_wait_for_its_media_to_time_out(
    house: House,
) -> None:
    await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            await house.dispatch()
            anna, member = house.agent((await first.take()).job.state.participant_identity)
        member.reachable = False
        await second.nothing()
        await house.time.pass_(WORKER_RETURN)
        await second.take()
        assert anna.gone
        assert member.closed == [DisconnectReason.PARTICIPANT_REMOVED]


async def test_nobody_is_sent_to_a_room_whose_caller_has_gone(house: House) -> None:
    seat, _ = await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            dispatch_id = await house.dispatch()
            anna, _ = house.agent((await first.take()).job.state.participant_identity)
            seat.leave(DisconnectReason.CLIENT_INITIATED)
        await second.nothing()
        house.leave(anna, DisconnectReason.CONNECTION_TIMEOUT)
        await second.nothing()
        (listed,) = await house.jobs(dispatch_id)
        assert (listed.state.status, listed.state.reason) == (agent.JS_FAILED, 0)


async def test_nobody_works_for_a_participant_who_has_left(house: House) -> None:
    async with house.worker("", type=agent.JT_PARTICIPANT) as second:
        await second.busy(full=True)
        async with house.worker("", type=agent.JT_PARTICIPANT) as first:
            await house.phone()
            person, _ = house.person("ann")
            for job in (await first.offer(), await first.offer()):
                await first.answer(job)
            assigned = [(await first.expect("assignment")).job for _ in range(2)]
            assert {job.participant.identity for job in assigned} == {"phone", "ann"}
        house.leave(person)
        await second.busy(full=False)
        await house.time.pass_(WORKER_RETURN)
        assert (await second.offer()).participant.identity == "phone"
        await second.nothing()


async def test_a_dispatch_that_is_never_to_be_restarted_is_not(house: House) -> None:
    _, phone = await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            await house.dispatch(restart_policy=1)
            await first.take()
        await house.time.pass_(WORKER_RETURN)
        await second.nothing()
        assert [news.outcome for news in phone.news] == ["failed"]


async def test_a_job_that_kills_every_worker_ends(house: House) -> None:
    await house.phone()
    dispatch_id = await house.dispatch()
    for _ in range(MAX_ATTEMPTS):
        async with house.worker() as victim:
            await victim.take()
        await settle()
        await house.time.pass_(WORKER_RETURN)
    async with house.worker() as survivor:
        await survivor.nothing()
    assert [job.state.status for job in await house.jobs(dispatch_id)] == [agent.JS_FAILED] * 4


async def test_an_agent_whose_job_was_given_away_is_shown_out_when_it_comes_back(
    house: House,
) -> None:
    await house.phone()
    async with house.worker() as second:
        house.draw = 0.99
        async with house.worker() as first:
            job = (await _dispatched(house, first)).job
            anna, _ = house.agent(job.state.participant_identity)
        await second.nothing()
        house.leave(anna, DisconnectReason.CONNECTION_TIMEOUT)
        await second.take()
        again, member = house.agent(job.state.participant_identity)
        await settle()
        assert member.closed == [DisconnectReason.PARTICIPANT_REMOVED]
        assert again.gone
        async with house.worker() as first:
            await first.say(migrate_job=agent.MigrateJobRequest(job_ids=[job.id]))
            assert (await first.expect("termination")).job_id == job.id


async def _dispatched(house: House, worker: Worker) -> agent.JobAssignment:
    await house.dispatch()
    return await worker.take()
