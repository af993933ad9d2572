"""The life of a job: every event at every stage, and what livekit-server and its workers do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from switchroom.agents.job import (
    AGENT_RETURN,
    JOIN_LIMIT,
    OFFER_TIMEOUT,
    ORPHAN_PATIENCE,
    ROOM_END_LIMIT,
    STOP_LIMIT,
    TRANSITIONS,
    WORKER_RETURN,
    Acceptance,
    Accepted,
    AgentJoined,
    AgentLeft,
    Assign,
    Claimed,
    Command,
    Declined,
    Deleted,
    Due,
    Ending,
    Event,
    Offer,
    Offered,
    Parting,
    Pointless,
    Progress,
    Reconsidered,
    Reported,
    RoomClosed,
    Stage,
    Terminate,
    Withdraw,
    WorkerLost,
    begin,
    resume,
    step,
)
from switchroom.rooms.dispatches import DispatchOutcome, JobReason, JobStatus

A, B = "AW_a", "AW_b"
AGENT = Acceptance("agent-1")
SHORTAGE = Ending(DispatchOutcome.NO_WORKER, JobStatus.FAILED, JobReason.NO_CAPACITY, "nobody")

WAITING = begin(100.0, 10.0)


def run(progress: Progress, *events: Event, now: float = 101.0) -> Progress:
    """The progress after these events."""
    for event in events:
        progress, _ = step(progress, event, now)
    return progress


def commands(progress: Progress, event: Event, now: float = 101.0) -> tuple[Command, ...]:
    return step(progress, event, now)[1]


OFFERED = run(WAITING, Offered(A))
ASSIGNED = run(OFFERED, Accepted(A, AGENT))
JOINED = run(ASSIGNED, AgentJoined())
ADRIFT = run(ASSIGNED, WorkerLost(A))
UNATTENDED = run(JOINED, WorkerLost(A))
STOPPED = run(JOINED, WorkerLost(A, stopped=True))
PARTED = run(STOPPED, AgentLeft(Parting.GOODBYE))
AWAY = run(JOINED, AgentLeft(Parting.LOST))
ENDED = run(JOINED, AgentLeft(Parting.GOODBYE))
AT = {
    Stage.WAITING: WAITING,
    Stage.OFFERED: OFFERED,
    Stage.ASSIGNED: ASSIGNED,
    Stage.ADRIFT: ADRIFT,
    Stage.JOINED: JOINED,
    Stage.UNATTENDED: UNATTENDED,
    Stage.PARTED: PARTED,
    Stage.AWAY: AWAY,
    Stage.ENDED: ENDED,
}
EVENTS: tuple[Event, ...] = (
    Offered(B),
    Accepted(A, AGENT),
    Accepted(B, AGENT),
    Declined(A),
    Declined(A, final=True),
    Declined(B),
    Reconsidered(A),
    WorkerLost(A),
    WorkerLost(B),
    Claimed(B),
    *(Reported(A, status) for status in JobStatus),
    Reported(B, JobStatus.FAILED),
    AgentJoined(),
    *(AgentLeft(parting) for parting in Parting),
    Due(SHORTAGE),
    RoomClosed(),
    Pointless(),
    Deleted(),
)


def ending(progress: Progress) -> Ending:
    assert progress.ending is not None
    return progress.ending


def test_the_table_was_made_of_progress_at_every_stage() -> None:
    assert {stage: progress.stage for stage, progress in AT.items()} == {s: s for s in Stage}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_every_event_at_every_stage_leaves_a_job_that_makes_sense(
    stage: Stage, event: Event
) -> None:
    before = AT[stage]
    after, done = step(before, event, 101.0)
    if (stage, type(event)) not in TRANSITIONS:
        assert (after, done) == (before, ())
    assert (after.ending is not None) is (after.stage is Stage.ENDED)
    if after.stage is not Stage.UNATTENDED:
        assert (after.deadline is None) is (after.stage in (Stage.JOINED, Stage.ENDED))
    if after.stage not in (Stage.WAITING, Stage.OFFERED, Stage.ENDED):
        assert after.worker_id
        assert after.acceptance == AGENT
    # An offer is settled exactly when the stage is left, except that a lost worker has none.
    left_offer = stage is Stage.OFFERED and after.stage is not Stage.OFFERED
    withdrawn = any(isinstance(command, Withdraw) for command in done)
    assert withdrawn is (left_offer and not isinstance(event, WorkerLost))


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_nothing_comes_of_a_job_that_is_over(event: Event) -> None:
    assert step(ENDED, event, 200.0) == (ENDED, ())


def test_an_offer_that_is_accepted_becomes_one_assignment() -> None:
    assert commands(WAITING, Offered(A)) == (Offer(A),)
    assert OFFERED.deadline == 101.0 + OFFER_TIMEOUT
    assert commands(OFFERED, Accepted(A, AGENT)) == (Withdraw(A), Assign(A))
    assert ASSIGNED.deadline == 101.0 + JOIN_LIMIT
    assert commands(ASSIGNED, Accepted(A, AGENT)) == ()


def test_a_refusal_lets_the_job_wait_for_another_worker() -> None:
    waiting, done = step(OFFERED, Declined(A), 101.0)
    assert (waiting.stage, waiting.refused, waiting.deadline) == (
        Stage.WAITING,
        frozenset({A}),
        110.0,
    )
    assert done == (Withdraw(A),)


def test_a_final_refusal_ends_the_job_as_livekit_records_it() -> None:
    ended = run(OFFERED, Declined(A, final=True))
    assert ending(ended).outcome is DispatchOutcome.DECLINED
    assert ending(ended).status is JobStatus.SUCCESS


def test_an_offer_without_an_answer_lapses_and_the_worker_may_still_answer_late() -> None:
    waiting, done = step(OFFERED, Due(SHORTAGE), 111.0)
    assert (waiting.stage, done) == (Stage.WAITING, (Withdraw(A, lapsed=True),))
    assigned, done = step(waiting, Accepted(A, AGENT), 112.0)
    assert (assigned.stage, done) == (Stage.ASSIGNED, (Assign(A),))


def test_a_late_answer_does_not_take_a_job_from_the_worker_that_is_asked_now() -> None:
    asked = run(OFFERED, Due(SHORTAGE), Offered(B))
    assert step(asked, Accepted(A, AGENT), 112.0) == (asked, ())
    assert run(asked, Accepted(B, AGENT)).worker_id == B


def test_a_worker_that_was_never_asked_gets_nothing() -> None:
    assert step(WAITING, Accepted(A, AGENT), 101.0) == (WAITING, ())


def test_a_worker_that_refused_can_not_change_its_mind_by_itself() -> None:
    refused = run(OFFERED, Declined(A))
    assert step(refused, Accepted(A, AGENT), 102.0) == (refused, ())
    assert run(refused, Reconsidered(A)).refused == frozenset()


def test_room_at_a_worker_that_had_not_refused_changes_nothing_for_a_job() -> None:
    assert step(WAITING, Reconsidered(A), 101.0)[0] is WAITING


def test_a_worker_that_dies_with_an_offer_leaves_the_job_waiting() -> None:
    waiting = run(OFFERED, WorkerLost(A))
    assert (waiting.stage, waiting.asked) == (Stage.WAITING, frozenset())


def test_a_job_that_waited_in_vain_ends_with_the_reason_it_is_given() -> None:
    assert ending(run(WAITING, Due(SHORTAGE))) == SHORTAGE


def test_an_agent_that_dials_first_has_an_hour_to_join() -> None:
    assert ASSIGNED.deadline is not None
    assert ASSIGNED.deadline - 101.0 > 80
    ended, done = step(ASSIGNED, Due(SHORTAGE), 101.0 + JOIN_LIMIT)
    assert (ending(ended).outcome, done) == (DispatchOutcome.FAILED, (Terminate(A),))


def test_a_worker_that_comes_back_keeps_its_job() -> None:
    assert ADRIFT.deadline == 101.0 + WORKER_RETURN
    again = run(ADRIFT, Claimed(B))
    assert (again.stage, again.worker_id) == (Stage.ASSIGNED, B)
    assert run(UNATTENDED, Claimed(B)).stage is Stage.JOINED


def test_a_worker_that_does_not_come_back_loses_a_job_whose_agent_never_joined() -> None:
    assert ending(run(ADRIFT, Due(SHORTAGE))).retry


def test_an_agent_in_the_room_works_on_without_its_worker() -> None:
    assert run(UNATTENDED, Due(SHORTAGE)) == replace(UNATTENDED, deadline=None)
    assert run(ADRIFT, AgentJoined()).stage is Stage.UNATTENDED


def test_a_job_is_handed_over_when_worker_and_agent_are_gone() -> None:
    lost = ending(run(UNATTENDED, AgentLeft(Parting.LOST), now=500.0))
    assert (lost.retry, lost.status) == (True, JobStatus.FAILED)
    assert ending(run(AWAY, WorkerLost(A))).retry


def test_an_agent_that_fell_silent_with_its_worker_is_replaced_at_once() -> None:
    assert UNATTENDED.deadline == 101.0 + WORKER_RETURN
    assert ending(run(UNATTENDED, Due(SHORTAGE, silent=True))).retry


@pytest.mark.parametrize(
    ("lost", "seconds"),
    [
        (STOPPED, 0.0),
        (STOPPED, STOP_LIMIT),
        # Job processes of Node whose worker was killed.
        (UNATTENDED, ORPHAN_PATIENCE),
        (UNATTENDED, 12.5),
        (UNATTENDED, 15.0),
        (UNATTENDED, STOP_LIMIT),
    ],
)
def test_an_agent_that_its_stopped_or_killed_worker_takes_along_is_replaced(
    lost: Progress, seconds: float
) -> None:
    then = lost.lost_at + seconds
    parted = run(lost, AgentLeft(Parting.GOODBYE), now=then)
    assert parted.deadline == then + ROOM_END_LIMIT
    assert ending(run(parted, Due(SHORTAGE))).retry


@pytest.mark.parametrize(
    ("lost", "seconds"),
    [
        (UNATTENDED, 0.0),
        (UNATTENDED, ORPHAN_PATIENCE - 0.1),
        (UNATTENDED, STOP_LIMIT + 0.1),
        (STOPPED, STOP_LIMIT + 0.1),
    ],
)
def test_an_agent_that_leaves_by_itself_after_the_loss_of_its_worker_has_done_its_job(
    lost: Progress, seconds: float
) -> None:
    """The worker's line may be cut only, and a good-bye need not end the room."""
    left = run(lost, AgentLeft(Parting.GOODBYE), now=lost.lost_at + seconds)
    assert (ending(left).retry, ending(left).status) == (False, JobStatus.SUCCESS)


def test_an_agent_that_joins_after_the_loss_of_its_worker_may_still_be_taken_along() -> None:
    late = run(ADRIFT, AgentJoined(), now=ADRIFT.lost_at + WORKER_RETURN)
    left = run(late, AgentLeft(Parting.GOODBYE), now=ADRIFT.lost_at + 15.0)
    assert left.stage is Stage.PARTED


@pytest.mark.parametrize("event", [RoomClosed(), Claimed(A)], ids=["room over", "worker back"])
def test_an_agent_that_leaves_its_room_and_deletes_it_after_a_cut_line_has_done_its_job(
    event: Event,
) -> None:
    done = ending(run(PARTED, event))
    assert (done.retry, done.status) == (False, JobStatus.SUCCESS)


def test_an_agent_that_comes_back_after_its_goodbye_works_on() -> None:
    assert run(PARTED, AgentJoined()).stage is Stage.UNATTENDED


@pytest.mark.parametrize("parting", [Parting.GOODBYE, Parting.DISMISSED])
def test_an_agent_that_left_has_done_its_job_even_if_its_worker_never_says_so(
    parting: Parting,
) -> None:
    assert ending(run(JOINED, AgentLeft(parting))).status is JobStatus.SUCCESS


def test_an_agent_with_an_error_of_its_own_is_not_replaced() -> None:
    failed = ending(run(JOINED, AgentLeft(Parting.ERROR)))
    assert (failed.status, failed.retry) == (JobStatus.FAILED, False)


def test_an_agent_that_dropped_out_has_time_to_come_back() -> None:
    assert AWAY.deadline == 101.0 + AGENT_RETURN
    assert run(AWAY, AgentJoined()).stage is Stage.JOINED
    ended, done = step(AWAY, Due(SHORTAGE), 111.0)
    assert (ending(ended).retry, done) == (True, (Terminate(A),))


def test_a_worker_that_reports_success_while_the_agent_is_there_is_not_believed() -> None:
    reported = run(JOINED, Reported(A, JobStatus.SUCCESS))
    assert reported.stage is Stage.JOINED
    assert ending(run(reported, AgentLeft(Parting.LOST))).status is JobStatus.SUCCESS


def test_a_process_that_died_under_a_living_worker_is_replaced() -> None:
    assert ending(run(AWAY, Reported(A, JobStatus.FAILED))).retry
    reported = run(JOINED, Reported(A, JobStatus.FAILED))
    assert ending(run(reported, AgentLeft(Parting.LOST))).retry


def test_a_job_that_ended_without_joining_is_done() -> None:
    done = ending(run(ASSIGNED, Reported(A, JobStatus.SUCCESS)))
    assert (done.outcome, done.status) == (DispatchOutcome.ENDED, JobStatus.SUCCESS)


def test_another_workers_report_counts_for_nothing() -> None:
    assert run(ASSIGNED, Reported(B, JobStatus.FAILED)) == ASSIGNED


@pytest.mark.parametrize(
    ("progress", "done"),
    [
        (WAITING, ()),
        (OFFERED, (Withdraw(A),)),
        (ASSIGNED, (Terminate(A),)),
        (JOINED, (Terminate(A),)),
        (AWAY, (Terminate(A),)),
        (ADRIFT, ()),
        (UNATTENDED, ()),
    ],
)
def test_the_end_of_the_room_or_of_the_dispatch_is_told_to_whoever_has_the_job(
    progress: Progress, done: tuple[Command, ...]
) -> None:
    closed, told = step(progress, RoomClosed(), 101.0)
    assert (ending(closed).reason, told) == (JobReason.ROOM_CLOSED, done)
    deleted, told = step(progress, Deleted(), 101.0)
    assert (ending(deleted).reason, told) == (JobReason.DISPATCH_DELETED, done)


def test_a_job_of_before_a_restart_waits_for_its_worker_or_its_agent() -> None:
    resumed = resume(50.0, 15.0, A, "agent-1")
    assert resumed.deadline == 65.0
    assert run(resumed, Claimed(B)).stage is Stage.ASSIGNED
    assert run(resumed, AgentJoined(), Claimed(B)).stage is Stage.JOINED
    assert ending(run(resumed, Due(SHORTAGE))).retry


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0, 20)), max_size=40))
def test_a_job_is_assigned_to_one_worker_at_a_time_whatever_happens(
    story: list[tuple[Event, float]],
) -> None:
    progress, now, holder = WAITING, 100.0, ""
    for event, pause in story:
        now += pause
        progress, done = step(progress, event, now)
        for command in done:
            if isinstance(command, Assign):
                assert not holder, "a second worker got a job that the first still has"
                holder = command.worker_id
        if progress.stage is Stage.ENDED:
            return


def test_a_refusal_after_the_wait_leaves_no_time() -> None:
    late = run(replace(OFFERED, wait_until=90.0), Declined(A), now=101.0)
    assert late.deadline == 90.0
