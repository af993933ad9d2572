"""Brings jobs and workers together: the driver of `pool` and `job`.

Everything happens in the event loop and nothing waits. What becomes of a job is told to the one
Patron, which knows rooms and dispatches.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from switchroom.agents import job as happening, protocol
from switchroom.agents.errors import WorkerRefused
from switchroom.agents.job import Acceptance, Ending, Event, Stage, step
from switchroom.agents.pool import PoolKey, Pools, PoolsFull, WorkerState, choose
from switchroom.agents.protocol import Availability, JobReport, Register, WorkerReport
from switchroom.agents.run import Run
from switchroom.agents.worker import Worker
from switchroom.base.clock import Clock
from switchroom.base.errors import ServiceError
from switchroom.base.log import get_logger
from switchroom.base.records import replace
from switchroom.base.timers import Timers
from switchroom.rooms.dispatches import DispatchOutcome, JobReason, JobStatus
from switchroom.rooms.limits import check_attributes, check_metadata, check_name

_log = get_logger("agents")

_REMEMBERED = 4096
"""Jobs whose end is remembered, so that a worker which claims one is told."""

Draw = Callable[[], float]
"""A random number, 0 ≤ x < 1."""

TokenMaker = Callable[[Run, Worker, Acceptance], str]


class Patron(Protocol):
    """Who has jobs done."""

    def changed(self, run: Run, before: Stage) -> None:
        """The record of a job that is not over is a new one."""
        ...

    def ended(self, run: Run, ending: Ending) -> None:
        """A job is over. Nothing more comes of it."""
        ...

    def taken(self, run: Run, identity: str) -> bool:
        """Whether somebody else in the job's room has that identity, or is to have it."""
        ...

    def workers_came(self, key: PoolKey) -> None:
        """There is a worker now for what nobody did before."""
        ...


def random_draw() -> float:
    """A number that workers can't foresee."""
    return secrets.randbits(53) / (1 << 53)


class Desk:
    """The workers and the jobs of one server. `workers` are those that have registered."""

    def __init__(
        self,
        patron: Patron,
        *,
        clock: Clock,
        timers: Timers,
        node_id: str,
        make_token: TokenMaker,
        draw: Draw = random_draw,
    ) -> None:
        self._patron = patron
        self._clock = clock
        self._timers = timers
        self._node_id = node_id
        self._make_token = make_token
        self._draw = draw
        self._pools = Pools()
        self.workers: dict[str, Worker] = {}
        self._runs: dict[str, Run] = {}
        self._held: dict[str, dict[str, Run]] = {}
        self._waiting: dict[PoolKey, dict[str, Run]] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self.draining = False

    # ── jobs ─────────────────────────────────────────────────────────────────

    def take(self, run: Run) -> None:
        """A new job: offer it at once if there is somebody, else let it wait."""
        self._runs[run.id] = run
        self._index(run, Stage.ENDED)
        self._rearm(run)
        if run.stage is Stage.WAITING:
            self._place(run)

    def staffed(self, key: PoolKey) -> bool:
        """Whether there are workers who do such jobs, busy ones too."""
        return self._pools.size(key) > 0

    def find(self, job_id: str) -> Run | None:
        """A job that is not over."""
        return self._runs.get(job_id)

    def feed(self, run: Run, event: Event) -> None:
        """Something happened to a job."""
        before, old = run.stage, run.progress
        run.progress, commands = step(old, event, self._clock.monotonic())
        if run.progress is old:
            return
        run.note(self._clock.unix_ns())
        self._unindex(run, old.worker_id)
        self._index(run, before)
        self._rearm(run)
        for command in commands:
            self._perform(run, command)
        if run.progress.ending is not None:
            self._finish(run, run.progress.ending)
            return
        self._patron.changed(run, before)
        if run.stage is Stage.WAITING:
            self._place(run)

    def shut(self) -> None:
        """Forget every job; what is stored stays as it is.

        The workers stay connected until the port closes: one that is sent away before is back in
        the same moment.
        """
        self.draining = True
        for run in self._runs.values():
            if run.timer is not None:
                run.timer.cancel()
        self._runs.clear()
        self._waiting.clear()
        self._held.clear()

    # ── workers ──────────────────────────────────────────────────────────────

    def register(self, worker: Worker, register: Register) -> None:
        """A worker introduces itself. Raises WorkerRefused."""
        key = worker.introduce(register)
        try:
            self._pools.add(WorkerState(worker.id, key, worker.namespace))
        except PoolsFull:
            raise WorkerRefused("too many workers") from None
        self.workers[worker.id] = worker
        worker.send(protocol.registered(worker.id, self._node_id))
        _log.info(
            "worker registered",
            worker=worker.id,
            agent_name=key.agent_name,
            kind=key.kind.name,
            version=worker.version,
        )
        if self._pools.size(key) == 1:
            self._patron.workers_came(key)
        self._place_waiting(key)

    def lost(self, worker: Worker, *, stopped: bool) -> None:
        """The socket of a worker is closed; `stopped` if by itself. Once is enough."""
        if self.workers.pop(worker.id, None) is None:
            return
        self._pools.remove(worker.id)
        held = tuple(self._held.pop(worker.id, {}).values())
        _log.info("worker gone", worker=worker.id, jobs=len(held), stopped=stopped)
        for run in held:
            self.feed(run, happening.WorkerLost(worker.id, stopped))

    def report(self, worker: Worker, report: WorkerReport) -> None:
        """A worker says how busy it is."""
        before = self._pools.get(worker.id)
        after = self._pools.report(
            worker.id, load=report.load, full=report.full, draining=report.draining
        )
        if before.full and not after.full:
            for run in tuple(self._waiting.get(after.key, {}).values()):
                self.feed(run, happening.Reconsidered(worker.id))
        self._place_waiting(after.key)

    def answer(self, worker: Worker, message: Availability) -> None:
        """A worker answers an offer, or what it takes for one."""
        self._pools.awake(worker.id)
        run = self._runs.get(message.job_id)
        if run is None:
            _log.debug("answer for no job", worker=worker.id, job=message.job_id)
            return
        if message.available and self._acceptable(run, worker, message.acceptance):
            self.feed(run, happening.Accepted(worker.id, message.acceptance))
        else:
            self.feed(run, happening.Declined(worker.id, final=message.final))
        if worker.key is not None:
            self._place_waiting(worker.key)

    def job_report(self, worker: Worker, report: JobReport) -> None:
        """A worker tells the status of a job."""
        run = self._runs.get(report.job_id)
        if run is None:
            if report.status is JobStatus.RUNNING and report.job_id in self._over:
                # It ended before the worker had started it; what was said of that found nothing.
                worker.terminate(report.job_id)
            return
        if worker.id != run.progress.worker_id and run.may_be_claimed_by(worker):
            # It came back: what began or ended while it was away it tells so, not as a claim.
            self.feed(run, happening.Claimed(worker.id))
        self.feed(run, happening.Reported(worker.id, report.status, report.error[:1000]))

    def claim(self, worker: Worker, job_id: str) -> bool:
        """A worker says that it has this job; False when the job was never heard of."""
        run = self._runs.get(job_id)
        if run is None:
            if job_id in self._over:
                worker.terminate(job_id)
                return True
            return False
        if run.may_be_claimed_by(worker):
            self.feed(run, happening.Claimed(worker.id))
        return True

    # ── the inside ───────────────────────────────────────────────────────────

    def _acceptable(self, run: Run, worker: Worker, acceptance: Acceptance) -> bool:
        """Whether an agent may join as its worker says; a bad answer counts as a refusal."""
        identity = acceptance.identity
        try:
            check_name(identity, "identity")
            check_name(acceptance.name, "name")
            check_metadata(acceptance.metadata)
            check_attributes(acceptance.attributes)
        except ServiceError as wrong:
            _log.warning("worker's answer refused", worker=worker.id, why=wrong.message)
            return False
        if self._patron.taken(run, identity):
            _log.warning("agent with the identity of another", worker=worker.id, job=run.id)
            return False
        return True

    def _place_waiting(self, key: PoolKey) -> None:
        for run in tuple(self._waiting.get(key, {}).values()):
            if not self._place(run) and not run.progress.refused and not run.only:
                # Nobody is free, so nobody is free for those behind it either.
                return

    def _place(self, run: Run) -> bool:
        """Offer a waiting job to somebody, if there is anybody to offer it to."""
        if self.draining:
            return False
        now = self._clock.monotonic()
        candidates = self._pools.candidates(run.key, now, run.progress.refused)
        if run.only:
            candidates = tuple(worker for worker in candidates if worker.id == run.only)
        # Most jobs of rooms that nobody serves end here: they cost no random number.
        chosen = choose(candidates, self._draw()) if candidates else None
        if chosen is None:
            return False
        self.feed(run, happening.Offered(chosen.id))
        return True

    def _perform(self, run: Run, command: happening.Command) -> None:
        worker = self.workers.get(command.worker_id)
        match command:
            case happening.Offer(worker_id) if worker is not None:
                self._pools.offered(worker_id)
                run.job = replace(run.job, namespace=worker.namespace, api_key=worker.api_key)
                worker.send(protocol.offer(run.room.info(), run.dispatch, run.job))
            case happening.Withdraw(worker_id, lapsed):
                if lapsed:
                    _log.warning("no answer to an offer", worker=worker_id, job=run.id)
                    self._pools.lapsed(worker_id, self._clock.monotonic())
                else:
                    self._pools.answered(worker_id)
            case happening.Assign() if worker is not None and run.progress.acceptance:
                run.job = replace(run.job, namespace=worker.namespace, api_key=worker.api_key)
                token = self._make_token(run, worker, run.progress.acceptance)
                room = run.room.info()
                worker.send(protocol.assignment(room, run.dispatch, run.job, token))
            case happening.Terminate() if worker is not None:
                worker.terminate(run.id)

    def _finish(self, run: Run, ending: Ending) -> None:
        del self._runs[run.id]
        self._over[run.id] = None
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)
        self._patron.ended(run, ending)
        if run.key in self._waiting:
            self._place_waiting(run.key)

    def _unindex(self, run: Run, worker_id: str) -> None:
        held = self._held.get(worker_id)
        if held is not None:
            held.pop(run.id, None)
            if not held:
                del self._held[worker_id]

    def _index(self, run: Run, before: Stage) -> None:
        worker_id = run.progress.worker_id
        if worker_id in self.workers and run.stage is not Stage.ENDED:
            self._held.setdefault(worker_id, {})[run.id] = run
        if run.stage is Stage.WAITING:
            self._waiting.setdefault(run.key, {})[run.id] = run
        elif before is Stage.WAITING:
            waiting = self._waiting[run.key]
            del waiting[run.id]
            if not waiting:
                del self._waiting[run.key]

    def _rearm(self, run: Run) -> None:
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if run.progress.deadline is not None:
            left = run.progress.deadline - self._clock.monotonic()
            run.timer = self._timers.after(max(0.0, left), lambda: self._due(run))

    def _due(self, run: Run) -> None:
        run.timer = None
        acceptance = run.progress.acceptance
        agent = run.room.participants.get(acceptance.identity) if acceptance else None
        silent = agent is None or not agent.member.reachable
        self.feed(run, happening.Due(self._shortage(run), silent))

    def _shortage(self, run: Run) -> Ending:
        """Why a job that waited is given up now."""
        key = run.key
        name = f"named {key.agent_name!r}" if key.agent_name else "without a name"
        if key.deployment:
            name += f" of deployment {key.deployment!r}"
        count = self._pools.size(key)
        if not count and self._pools.kinds_of(key.agent_name, key.deployment):
            error = f"the workers {name} do other kinds of jobs"
            return Ending(DispatchOutcome.ENDED, JobStatus.CANCELLED, error=error)
        if not count:
            error = f"no worker {name} registered in time"
        elif len(run.progress.refused) >= count:
            everyone = f"each of the {count} workers" if count > 1 else "the one worker"
            error = f"{everyone} {name} declined"
            return Ending(DispatchOutcome.DECLINED, JobStatus.FAILED, error=error)
        elif count == 1:
            error = f"the one worker {name} had no room in time"
        else:
            error = f"none of the {count} workers {name} had room in time"
        return Ending(DispatchOutcome.NO_WORKER, JobStatus.FAILED, JobReason.NO_CAPACITY, error)
