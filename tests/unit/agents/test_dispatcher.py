"""Who gets an agent, and what is told of it: workers over real sockets, time by hand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from livekit import api
from livekit.protocol import agent, models

from switchroom.agents.events import JobEnded, JobStarted
from switchroom.auth.tokens import TokenVerifier
from switchroom.rooms.configuration import spec_from_configuration
from switchroom.rooms.data import DispatchEnded
from switchroom.rooms.dispatches import DispatchOutcome, JobReason, JobStatus
from switchroom.rooms.info import ParticipantKind
from unit.rooms.house import settle

from .house import KEY, OTHER_KEY, OTHER_SECRET, ROOM, SECRET, House, Worker

# ── what a worker gets ───────────────────────────────────────────────────────


async def test_a_job_says_what_was_asked_and_where(house: House) -> None:
    async with house.worker(deployment="blue") as worker:
        dispatch_id = await house.dispatch(
            metadata='{"phone_number": "+1"}', deployment="blue", attributes={"a": "1"}
        )
        job = await worker.offer()
        assert job.id.startswith("AJ_")
        assert job.dispatch_id == dispatch_id
        assert job.type == agent.JT_ROOM
        assert (job.room.name, job.room.sid) == (ROOM, house.rooms.get(ROOM).sid)
        assert job.metadata == '{"phone_number": "+1"}'
        assert (job.agent_name, job.deployment) == ("clerk", "blue")
        assert dict(job.attributes) == {"a": "1"}
        assert job.state.worker_id == worker.id
        assert not job.HasField("participant")


async def test_the_token_lets_the_agent_in_as_its_worker_said(house: House) -> None:
    async with house.worker(key=OTHER_KEY, secret=OTHER_SECRET) as worker:
        await house.dispatch()
        assignment = await worker.take(
            participant_identity="anna",
            participant_name="Anna",
            participant_metadata="m",
            participant_attributes={"lk.agent.name": "clerk"},
        )
        tokens = TokenVerifier({OTHER_KEY: OTHER_SECRET}, house.time)
        claims = tokens.verify(assignment.token)
        assert (claims.identity, claims.name, claims.kind) == ("anna", "Anna", "agent")
        assert claims.metadata == "m"
        assert claims.attributes == {"lk.agent.name": "clerk", "lk.agent_name": "clerk"}
        assert claims.video is not None
        assert claims.video.room == ROOM
        assert claims.expires_at == pytest.approx(house.time.unix_ns() / 1e9 + 3600, abs=1)
        assert not assignment.HasField("url")


async def test_an_agent_without_an_identity_is_named_after_its_job(house: House) -> None:
    async with house.worker() as worker:
        await house.dispatch()
        job = (await worker.take()).job
        assert job.state.participant_identity == f"agent-{job.id}"


# ── what triggers jobs ───────────────────────────────────────────────────────


async def test_a_new_room_gets_an_agent_from_a_worker_without_a_name(house: House) -> None:
    async with house.worker("") as worker, house.worker("clerk") as named:
        room = house.open()
        assert (await worker.offer()).room.sid == room.sid
        await named.nothing()


async def test_the_configuration_of_a_room_names_its_agents(house: House) -> None:
    async with house.worker("") as unnamed, house.worker("clerk") as worker:
        agents = [{"agentName": "clerk", "metadata": "m", "attributes": {"k": "v"}}, 5, {"a": []}]
        house.open(configuration=json.dumps({"agents": agents}))
        job = await worker.offer()
        assert (job.metadata, dict(job.attributes)) == ("m", {"k": "v"})
        # The last entry asks for the agent without a name, since it names none.
        assert (await unnamed.offer()).agent_name == ""
        await unnamed.nothing()


async def test_a_token_of_the_official_sdk_names_agents_for_the_room_that_it_makes(
    house: House,
) -> None:
    wanted = api.RoomConfiguration(
        agents=[api.RoomAgentDispatch(agent_name="clerk", metadata="m", attributes={"k": "v"})]
    )
    grants = api.VideoGrants(room_join=True, room=ROOM)
    token = api.AccessToken(KEY, SECRET).with_identity("ann").with_grants(grants)
    token = token.with_room_config(wanted)
    claims = TokenVerifier({KEY: SECRET}, house.time).verify(token.to_jwt())
    async with house.worker() as worker:
        house.rooms.find_or_create(spec_from_configuration(ROOM, claims.room_config))
        job = await worker.offer()
        assert (job.metadata, dict(job.attributes)) == ("m", {"k": "v"})


async def test_a_room_made_by_the_api_gets_the_agents_it_was_made_with(house: House) -> None:
    async with house.worker() as worker, house.api() as livekit:
        request = api.CreateRoomRequest(
            name=ROOM, agents=[api.RoomAgentDispatch(agent_name="clerk", metadata="m")]
        )
        await livekit.room.create_room(request)
        assert (await worker.offer()).metadata == "m"
        await livekit.room.create_room(request)
        await worker.nothing()


async def test_a_configured_dispatch_beyond_the_limits_does_not_keep_the_room_from_opening(
    house: House,
) -> None:
    agents = [{"agentName": "clerk", "metadata": "x" * (512 * 1024 + 1)}, {"agentName": "clerk"}]
    async with house.worker() as worker:
        house.open(configuration=json.dumps({"agents": agents}))
        assert (await worker.offer()).metadata == ""
        await worker.nothing()


async def test_participant_workers_get_a_job_for_each_who_joins(house: House) -> None:
    async with house.worker("", type=agent.JT_PARTICIPANT) as worker:
        house.person("ann")
        job = await worker.offer()
        assert (job.type, job.participant.identity) == (agent.JT_PARTICIPANT, "ann")
        house.agent("agent-1")
        house.person("recorder", kind=ParticipantKind.EGRESS)
        await worker.nothing()
        await house.phone("phone")
        assert (await worker.offer()).participant.kind == models.ParticipantInfo.SIP


async def test_publisher_workers_get_one_job_for_each_who_publishes(house: House) -> None:
    async with house.worker("", type=agent.JT_PUBLISHER) as worker:
        seat, _ = await house.phone("phone")
        await worker.nothing()
        seat.publish_audio("voice", None, "audio/opus")
        seat.publish_audio("more", None, "audio/opus")
        job = await worker.offer()
        assert (job.type, job.participant.identity) == (agent.JT_PUBLISHER, "phone")
        assert [track.name for track in job.participant.tracks] == ["voice"]
        await worker.nothing()


async def test_a_dispatch_into_a_live_room_serves_those_who_are_there(house: House) -> None:
    async with (
        house.worker(type=agent.JT_PARTICIPANT) as participants,
        house.worker(type=agent.JT_PUBLISHER) as publishers,
    ):
        house.person("ann")
        seat, _ = await house.phone("phone")
        seat.publish_audio("voice", None, "audio/opus")
        await house.dispatch()
        offers = [await participants.offer(), await participants.offer()]
        assert {job.participant.identity for job in offers} == {"ann", "phone"}
        assert (await publishers.offer()).participant.identity == "phone"


async def test_a_job_for_somebody_who_left_is_offered_no_more(house: House) -> None:
    person, _ = house.person("ann")
    house.leave(person)
    async with house.worker("", type=agent.JT_PARTICIPANT) as worker:
        await worker.nothing()


async def test_a_worker_gets_the_job_that_it_asks_for_itself(house: House) -> None:
    async with house.worker() as other, house.worker() as worker:
        await worker.say(simulate_job=agent.SimulateJobRequest(room=models.Room(name="try")))
        job = await worker.offer()
        assert (job.room.name, job.agent_name) == ("try", "clerk")
        await other.nothing()


# ── waiting ──────────────────────────────────────────────────────────────────


async def test_a_worker_that_registers_in_time_gets_the_job_at_once(house: House) -> None:
    dispatch_id = await house.dispatch()
    (job,) = await house.jobs(dispatch_id)
    assert job.state.status == agent.JS_PENDING
    await house.time.pass_(9.9)
    async with house.worker() as worker:
        assert (await worker.offer()).dispatch_id == dispatch_id


async def test_a_worker_without_a_name_gets_the_rooms_of_the_last_seconds(house: House) -> None:
    house.open("old")
    await house.time.pass_(10.1)
    house.open("new")
    async with house.worker("") as worker:
        assert (await worker.offer()).room.name == "new"
        await worker.nothing()


async def test_a_dispatch_that_finds_no_worker_says_so_to_everybody(house: House) -> None:
    _, person = house.person("ann")
    _, phone = await house.phone()
    dispatch_id = await house.dispatch("nobody-knows-me")
    await house.time.pass_(10.0)
    (job,) = await house.jobs(dispatch_id)
    assert job.state.status == agent.JS_FAILED
    assert job.state.reason == agent.JSR_NO_CAPACITY
    assert job.state.error == "no worker named 'nobody-knows-me' registered in time"
    news = DispatchEnded(dispatch_id, "nobody-knows-me", "no_worker", job.state.error)
    assert phone.news == [news]
    told = [message.content for message in person.data]
    assert told == [news]
    assert json.loads(news.as_user_data().payload)["outcome"] == "no_worker"
    (ended,) = house.events
    assert isinstance(ended, JobEnded)
    assert ended.job.outcome is DispatchOutcome.NO_WORKER


async def test_an_unknown_agent_in_a_configuration_is_reported_too(house: House) -> None:
    room = house.open(configuration='{"agents": [{"agent_name": "ghost"}]}')
    await house.time.pass_(10.0)
    (record,) = room.dispatches.list()
    assert record.jobs[0].outcome is DispatchOutcome.NO_WORKER


async def test_nobody_is_bothered_with_the_dispatch_that_nobody_asked_for(house: House) -> None:
    _, phone = await house.phone()
    await house.time.pass_(11.0)
    assert phone.news == []
    assert house.events == []
    (record,) = house.rooms.get(ROOM).dispatches.list()
    assert (record.dispatch.spec.implicit, record.jobs) == (True, ())
    assert house.kept.dispatches.dispatches == {}


@pytest.mark.parametrize("kind", [agent.JT_ROOM, agent.JT_PARTICIPANT, agent.JT_PUBLISHER])
async def test_workers_that_come_in_time_find_what_nobody_in_particular_asked_for(
    house: House, kind: agent.JobType
) -> None:
    seat, _ = await house.phone()
    seat.publish_audio("voice", None, "audio/opus")
    await house.time.pass_(9.9)
    async with house.worker("", type=kind) as worker:
        job = await worker.offer()
        assert job.type == kind
        assert job.participant.identity == ("" if kind == agent.JT_ROOM else "phone")
        await worker.answer(job, available=False)
        await worker.nothing()
        await house.time.pass_(0.2)
    async with house.worker("", type=kind) as another:
        await another.nothing()


async def test_workers_that_come_later_find_nothing(house: House) -> None:
    await house.phone()
    await house.time.pass_(10.0)
    async with house.worker("") as late, house.worker("", type=agent.JT_PARTICIPANT) as later:
        await late.nothing()
        await later.nothing()


async def test_what_waits_for_the_first_worker_is_done_once_and_in_its_order(
    house: House,
) -> None:
    for name in ("first", "second", "third"):
        house.open(name)
        await house.time.pass_(0.1)
    async with house.worker("") as worker, house.worker("") as another:
        offered = [(await worker.offer()).room.name for _ in range(3)]
        assert offered == ["first", "second", "third"]
        await another.nothing()


async def test_a_worker_that_comes_finds_those_who_are_there_and_dispatches_that_are_wanted(
    house: House,
) -> None:
    person, _ = house.person("ann")
    house.person("bob")
    house.leave(person)
    house.person("ann")
    dispatch_id = await house.dispatch()
    async with house.api() as livekit:
        await livekit.agent_dispatch.delete_dispatch(dispatch_id, ROOM)
    async with (
        house.worker(type=agent.JT_PARTICIPANT) as named,
        house.worker("", type=agent.JT_PARTICIPANT) as worker,
    ):
        await named.nothing()
        offers = [await worker.offer(), await worker.offer()]
        assert [job.participant.identity for job in offers] == ["bob", "ann"]
        await worker.nothing()


async def test_a_room_remembers_a_bounded_number_of_jobs_for_workers_to_come(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchroom.agents.room_watch.MAX_PUT_OFF", 3)
    for number in range(4):
        house.person(f"p{number}")
    async with house.worker("", type=agent.JT_PARTICIPANT) as worker:
        offers = [await worker.offer(), await worker.offer()]
        # The third is the room's own.
        assert [job.participant.identity for job in offers] == ["p0", "p1"]
        await worker.nothing()
    for number in range(4, 8):
        house.person(f"p{number}")
    await house.time.pass_(10.0)
    house.person("p8")
    async with house.worker("", type=agent.JT_PARTICIPANT) as worker:
        assert (await worker.offer()).participant.identity == "p8"
        await worker.nothing()


async def test_workers_for_participants_do_without_a_job_for_the_room(house: House) -> None:
    _, phone = await house.phone()
    async with house.worker(type=agent.JT_PARTICIPANT) as worker:
        dispatch_id = await house.dispatch()
        await worker.take()
        await house.time.pass_(10.0)
        for_room, for_phone = await house.jobs(dispatch_id)
        assert for_room.state.status == agent.JS_CANCELLED
        assert for_room.state.error == "the workers named 'clerk' do other kinds of jobs"
        assert for_phone.state.status == agent.JS_RUNNING
        assert phone.news == []


async def test_workers_without_room_are_named_as_the_reason(house: House) -> None:
    async with house.worker() as worker:
        await worker.busy(full=True)
        dispatch_id = await house.dispatch()
        await house.time.pass_(10.0)
        (job,) = await house.jobs(dispatch_id)
        assert job.state.error == "the one worker named 'clerk' had no room in time"


async def test_workers_that_all_decline_are_named_as_the_reason(house: House) -> None:
    _, phone = await house.phone()
    async with house.worker() as worker:
        dispatch_id = await house.dispatch()
        await worker.answer(await worker.offer(), available=False)
        await worker.nothing()
        await house.time.pass_(10.0)
        (job,) = await house.jobs(dispatch_id)
        assert job.state.error == "the one worker named 'clerk' declined"
        assert [news.outcome for news in phone.news] == ["declined"]


async def test_a_worker_that_was_full_is_asked_again_when_it_has_room(house: House) -> None:
    async with house.worker() as worker:
        await house.dispatch()
        job = await worker.offer()
        await worker.busy(full=True)
        await worker.answer(job, available=False)
        await worker.nothing()
        status = agent.UpdateWorkerStatus(status=agent.WS_AVAILABLE, load=0.5)
        await worker.say(update_worker=status)
        assert (await worker.take()).job.id == job.id


async def test_a_draining_worker_gets_nothing_new(house: House) -> None:
    async with house.worker() as worker:
        await worker.say(update_worker=agent.UpdateWorkerStatus(draining=True))
        await worker.nothing()
        await house.dispatch()
        await worker.nothing()


async def test_a_server_that_drains_offers_nothing(house: House) -> None:
    async with house.worker() as worker:
        house.agents.drain()
        await house.dispatch()
        await worker.nothing()


# ── the agent in the room ────────────────────────────────────────────────────


async def test_a_job_runs_until_its_agent_leaves_whatever_its_worker_says(house: House) -> None:
    await house.phone()
    async with house.worker() as worker:
        dispatch_id = await house.dispatch()
        job = (await worker.take()).job
        room = house.rooms.get(ROOM)
        assert room.dispatches.get(dispatch_id).jobs[0].outcome is DispatchOutcome.ASSIGNED
        await house.time.pass_(90)
        anna, _ = house.agent(job.state.participant_identity)
        assert room.dispatches.get(dispatch_id).jobs[0].outcome is DispatchOutcome.JOINED
        await worker.say(update_job=agent.UpdateJobStatus(job_id=job.id, status=agent.JS_SUCCESS))
        await worker.nothing()
        (listed,) = await house.jobs(dispatch_id)
        assert listed.state.status == agent.JS_RUNNING
        house.leave(anna)
        (listed,) = await house.jobs(dispatch_id)
        assert (listed.state.status, listed.state.error) == (agent.JS_SUCCESS, "")
        assert listed.state.ended_at >= listed.state.started_at > 0
        assert [type(event) for event in house.events] == [JobStarted, JobEnded]
        await worker.nothing()


async def test_a_job_without_a_joined_agent_ends_with_its_room_and_its_worker_hears_it(
    house: House,
) -> None:
    async with house.worker() as worker, house.api() as livekit:
        await house.dispatch()
        job = (await worker.take()).job
        await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        assert (await worker.expect("termination")).job_id == job.id
        ended = house.events[-1].job
        assert (ended.status, ended.reason) == (JobStatus.CANCELLED, JobReason.ROOM_CLOSED)
        await settle()
        assert house.kept.dispatches.dispatches == {}
        assert house.kept.dispatches.jobs == {}


async def test_an_agent_that_reconnects_keeps_its_job(house: House) -> None:
    async with house.worker() as worker:
        dispatch_id = await house.dispatch()
        identity = (await worker.take()).job.state.participant_identity
        house.agent(identity)
        house.agent(identity)  # DUPLICATE_IDENTITY for the first connection
        again, _ = house.agent(identity)
        (listed,) = await house.jobs(dispatch_id)
        assert listed.state.status == agent.JS_RUNNING
        house.leave(again)
        (listed,) = await house.jobs(dispatch_id)
        assert listed.state.status == agent.JS_SUCCESS


# ── many ─────────────────────────────────────────────────────────────────────


async def test_a_burst_of_dispatches_is_neither_lost_nor_doubled(house: House) -> None:
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(house.worker()) for _ in range(4)]
        assigned: Counter[str] = Counter()
        all_there = asyncio.Event()

        async def work(worker: Worker) -> None:
            while True:
                message = await worker.hear()
                if message.WhichOneof("message") == "availability":
                    await worker.answer(message.availability.job)
                elif message.WhichOneof("message") == "assignment":
                    assigned[message.assignment.job.dispatch_id] += 1
                    if len(assigned) == 200:
                        all_there.set()

        working = [asyncio.ensure_future(work(worker)) for worker in workers]
        async with house.api() as livekit:
            requests = (
                api.CreateAgentDispatchRequest(agent_name="clerk", room=f"room-{number}")
                for number in range(200)
            )
            made = await asyncio.gather(
                *(livekit.agent_dispatch.create_dispatch(request) for request in requests)
            )
        async with asyncio.timeout(60):
            await all_there.wait()
        for task in working:
            task.cancel()
        assert assigned == Counter(dispatch.id for dispatch in made)


async def test_the_jobs_of_a_dispatch_are_remembered_up_to_a_bound(house: House) -> None:
    async with house.worker("", type=agent.JT_PARTICIPANT) as worker:
        room = house.open()
        (dispatch,) = room.dispatches.list()
        for number in range(70):
            person, _ = house.person(f"p{number}")
            job = (await worker.take()).job
            done = agent.UpdateJobStatus(job_id=job.id, status=agent.JS_SUCCESS)
            await worker.say(update_job=done)
            await worker.nothing()
            house.leave(person)
        jobs = await house.jobs(dispatch.dispatch.id)
        assert len(jobs) == 64
        assert jobs[-1].participant.identity == "p69"
