"""Agents for rooms: hears what happens in rooms, has jobs done, and tells the rooms what became.

A room wants agents by its configuration, by request, or, when nobody said anything, by one implicit
dispatch to the workers without a name. Each dispatch has one job for the room, and one for each
participant and publisher where workers registered for those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from switchroom.agents import job as happening
from switchroom.agents.desk import Desk, Draw, random_draw
from switchroom.agents.events import JobEnded, JobEvent, JobStarted, Listener
from switchroom.agents.job import Acceptance, Ending, Progress, Stage
from switchroom.agents.keeping import PATIENCE, Keeper
from switchroom.agents.pool import PoolKey
from switchroom.agents.protocol import MigrateJob, SimulateJob, specs_from_configuration
from switchroom.agents.room_watch import PutOff, RoomWatch, parting_of
from switchroom.agents.run import Run, is_quiet, pool_key
from switchroom.agents.stores import DispatchStore
from switchroom.agents.token import agent_claims
from switchroom.agents.worker import Worker
from switchroom.auth.tokens import TokenVerifier, mint
from switchroom.base.clock import Clock
from switchroom.base.errors import ServiceError
from switchroom.base.ids import new_id
from switchroom.base.log import get_logger
from switchroom.base.tasks import Tasks
from switchroom.rooms.data import DispatchEnded
from switchroom.rooms.dispatches import (
    Dispatch,
    DispatchOutcome,
    DispatchRecord,
    DispatchSpec,
    Job,
    JobKind,
    RestartPolicy,
)
from switchroom.rooms.errors import RoomClosing, RoomNotFound
from switchroom.rooms.info import ParticipantInfo, RoomSpec
from switchroom.rooms.limits import check_attributes, check_metadata, check_name
from switchroom.rooms.participant import Participant
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.registry import Rooms
from switchroom.rooms.room import Room

_log = get_logger("agents")

LEAVE_LIMIT = 3.0
"""Seconds that the agents of a deleted dispatch get to leave by themselves, livekit-server's."""

MAX_RUNS = 256
"""Jobs of one dispatch that are not over."""

MAX_ATTEMPTS = 4
"""Workers that get a job, one after the other, each after the loss of the one before."""

_FOR_NOBODY_IN_PARTICULAR = DispatchSpec(implicit=True)


class Dispatcher:
    """The agents of one server.

    `wait` is how many seconds a job waits for a worker. It attends to the rooms (`attended_by`).
    """

    def __init__(
        self,
        rooms: Rooms,
        tokens: TokenVerifier,
        store: DispatchStore,
        *,
        wait: float,
        listeners: Iterable[Listener] = (),
        draw: Draw = random_draw,
    ) -> None:
        self._rooms = rooms
        self._tokens = tokens
        self._wait = wait
        self._listeners = tuple(listeners)
        self._tasks = Tasks("agents")
        self.clock: Clock = rooms.clock
        self.timers = rooms.timers
        self.desk = Desk(
            self,
            clock=rooms.clock,
            timers=rooms.timers,
            node_id=rooms.node_id,
            make_token=self._token,
            draw=draw,
        )
        self._watches: dict[str, RoomWatch] = {}
        self._keeper = Keeper(store)
        self._stopped = False

    # ── the whole ────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Load what was stored. Before the rooms start: those that are kept want their agents."""
        await self._keeper.load()
        self.timers.after(PATIENCE, self._forget_the_rest)

    def drain(self) -> None:
        """Nobody is offered anything any more; jobs that are done go on."""
        self.desk.draining = True

    async def stop(self) -> None:
        """Let go of everything as it is; what is stored is taken up at the next start."""
        self._stopped = True
        for watch in self._watches.values():
            for run in watch.runs.values():
                if run.assigned:
                    self._keeper.interrupted(run.job)
        self.desk.shut()
        await self._tasks.aclose()

    def _forget_the_rest(self) -> None:
        if not self._stopped:
            self._tasks.spawn(self._keeper.forget_the_rest(), name="forget old dispatches")

    # ── what rooms tell ──────────────────────────────────────────────────────

    def room_started(self, room: Room, *, restored: bool) -> None:
        """A rooms.attendant.Attendant."""
        if self._stopped:
            return
        watch = self._watches[room.sid] = RoomWatch(room)
        stored = self._keeper.take(room.name)
        for record in stored:
            self._restore(watch, record)
        specs = specs_from_configuration(room.terms.configuration)
        if not specs and not any(record.dispatch.spec.implicit for record in stored):
            room.request_dispatch(_FOR_NOBODY_IN_PARTICULAR)
        elif not stored and not restored:
            for spec in specs:
                self._request_if_sound(room, spec)

    def _request_if_sound(self, room: Room, spec: DispatchSpec) -> None:
        try:
            check_spec(spec)
            room.request_dispatch(spec)
        except ServiceError as wrong:
            _log.warning(
                "dispatch of a configuration refused", room_name=room.name, why=wrong.message
            )

    def room_finished(self, room: Room) -> None:
        """A rooms.attendant.Attendant."""
        if self._stopped:
            return
        watch = self._watches.pop(room.sid)
        for run in tuple(watch.runs.values()):
            self.desk.feed(run, happening.RoomClosed())
        self._forget(room.dispatches.ids)

    def dispatch_requested(self, room: Room, dispatch: Dispatch) -> None:
        """A rooms.attendant.Attendant."""
        if not self._stopped:
            self._launch(self._watches[room.sid], dispatch)

    def _launch(self, watch: RoomWatch, dispatch: Dispatch) -> None:
        if not dispatch.spec.implicit:
            self._keeper.save(dispatch)
        self._want(watch, dispatch, JobKind.ROOM)
        for participant in watch.room.participants.values():
            if participant.dependent:
                continue
            self._want(watch, dispatch, JobKind.PARTICIPANT, participant)
            if participant.tracks:
                watch.publishers.add(participant.identity)
                self._want(watch, dispatch, JobKind.PUBLISHER, participant)

    def participant_joined(self, room: Room, participant: Participant) -> None:
        """A rooms.attendant.Attendant."""
        if self._stopped:
            return
        watch = self._watches[room.sid]
        if participant.dependent:
            self._agent_joined(watch, participant.identity)
            return
        watch.visited = True
        for run in watch.owed:
            self._keeper.save_job(run.job)
            self._hand_over(watch, run)
        watch.owed.clear()
        for dispatch in room.dispatches:
            self._want(watch, dispatch, JobKind.PARTICIPANT, participant)

    def track_published(self, room: Room, participant: Participant) -> None:
        """A rooms.attendant.Attendant."""
        if self._stopped:
            return
        watch = self._watches[room.sid]
        if participant.dependent or participant.identity in watch.publishers:
            return
        watch.publishers.add(participant.identity)
        for dispatch in room.dispatches:
            self._want(watch, dispatch, JobKind.PUBLISHER, participant)

    def _agent_joined(self, watch: RoomWatch, identity: str) -> None:
        run = watch.run_of_agent(identity)
        if run is not None:
            self.desk.feed(run, happening.AgentJoined())
        elif identity in watch.outcasts:
            self._tasks.spawn(self._show_out(watch.room, identity), name="show out an agent")

    def participant_left(self, room: Room, participant: Participant) -> None:
        """A rooms.attendant.Attendant."""
        parting = parting_of(participant.reason)
        if self._stopped or parting is None:
            return
        watch = self._watches[room.sid]
        watch.departed(participant.identity)
        run = watch.run_of_agent(participant.identity)
        if run is not None:
            self.desk.feed(run, happening.AgentLeft(parting))
            return
        for other in tuple(watch.runs.values()):
            if other.job.participant_identity == participant.identity and not other.assigned:
                self.desk.feed(other, happening.Pointless())

    # ── jobs ─────────────────────────────────────────────────────────────────

    def _want(
        self,
        watch: RoomWatch,
        dispatch: Dispatch,
        kind: JobKind,
        participant: Participant | None = None,
    ) -> None:
        """Begin a job.

        One that nobody would be told of is put off until there are workers for it: most rooms never
        see an agent, and are to pay nothing for that.
        """
        staffed = bool(self.desk.workers) and self.desk.staffed(pool_key(dispatch, kind))
        if staffed or not is_quiet(dispatch, kind):
            self._begin(watch, dispatch, kind, participant.info() if participant else None)
            return
        now = self.clock.monotonic()
        identity = participant.identity if participant else ""
        watch.put_off(PutOff(dispatch, kind, identity, now + self._wait), now)

    def workers_came(self, key: PoolKey) -> None:
        """A desk.Patron: begins what was put off until then, the oldest first."""
        now = self.clock.monotonic()
        due = [(job, watch) for watch in self._watches.values() for job in watch.take_up(key, now)]
        for job, watch in sorted(due, key=lambda pair: pair[0].wait_until):
            present = watch.room.participants.get(job.identity)
            info = present.info() if present else None
            if info or not job.identity:
                self._begin(watch, job.dispatch, job.kind, info, wait_until=job.wait_until)

    def _begin(
        self,
        watch: RoomWatch,
        dispatch: Dispatch,
        kind: JobKind,
        participant: ParticipantInfo | None = None,
        *,
        attempt: int = 0,
        only: str = "",
        wait_until: float | None = None,
    ) -> Run | None:
        if len(watch.runs_of(dispatch.id)) >= MAX_RUNS:
            _log.warning("too many jobs of one dispatch", dispatch=dispatch.id)
            return None
        now = self.clock.unix_ns()
        job = Job(
            id=new_id("AJ_"),
            dispatch_id=dispatch.id,
            kind=kind,
            participant=participant,
            participant_identity=participant.identity if participant else "",
            updated_at_ns=now,
        )
        if wait_until is None:
            wait_until = self.clock.monotonic() + self._wait
        run = Run(
            watch.room,
            dispatch,
            job,
            Progress(wait_until, deadline=wait_until),
            attempt=attempt,
            only=only,
        )
        self._adopt(watch, run)
        return run

    def _adopt(self, watch: RoomWatch, run: Run) -> None:
        watch.runs[run.id] = run
        self._show(run)
        self.desk.take(run)

    def _restore(self, watch: RoomWatch, record: DispatchRecord) -> None:
        """A dispatch of before a restart: what had not ended is taken up again."""
        dispatch = record.dispatch
        watch.room.dispatches.add(dispatch, [job for job in record.jobs if job.ended])
        watch.visited = watch.visited or any(job.started_at_ns for job in record.jobs)
        now = self.clock.monotonic()
        for job in record.jobs:
            if not job.ended:
                run = self._keeper.run_again(watch.room, dispatch, job, now, self._wait)
                self._adopt(watch, run)
                claim = self._keeper.claim_of(run)
                if claim is not None:
                    self.desk.feed(run, claim)
        if not record.jobs:
            self._launch(watch, dispatch)

    def changed(self, run: Run, before: Stage) -> None:
        """A desk.Patron."""
        self._show(run)
        if run.stage is Stage.ASSIGNED and before in (Stage.OFFERED, Stage.WAITING):
            _log.info("job assigned", job=run.id, room_name=run.room.name, worker=run.job.worker_id)
            self._emit(JobStarted(run.room.info(), run.dispatch, run.job))

    def ended(self, run: Run, ending: Ending) -> None:
        """A desk.Patron."""
        watch = self._watches.get(run.room.sid)
        if watch is not None:
            watch.runs.pop(run.id, None)
        if not run.shown:
            return
        successor = self._succeed(watch, run) if watch is not None else None
        if successor is not None:
            run.superseded(f"{ending.error}; {successor.id} takes its place")
        self._show(run, owed=watch is not None and run in watch.owed)
        _log.info("job ended", job=run.id, room_name=run.room.name, why=run.job.error or "done")
        if run.assigned or not run.quiet:
            self._emit(JobEnded(run.room.info(), run.dispatch, run.job))
        if successor is None and not run.quiet:
            self._tell_the_room(run)

    def taken(self, run: Run, identity: str) -> bool:
        """A desk.Patron."""
        present = run.room.participants.get(identity)
        if present is not None and not present.dependent:
            return True
        watch = self._watches.get(run.room.sid)
        other = watch.run_of_agent(identity) if watch else None
        return other is not None and other is not run

    def _succeed(self, watch: RoomWatch, run: Run) -> Run | None:
        """Another job in place of one that was cut off, if it is to have a successor now."""
        ending = run.progress.ending
        if (
            ending is None
            or not ending.retry
            or run.dispatch.spec.restart_policy is RestartPolicy.NEVER
            or run.attempt + 1 >= MAX_ATTEMPTS
            or watch.room.closing
            or not watch.has(run.job.participant_identity)
        ):
            return None
        if not watch.forsaken:
            return self._hand_over(watch, run)
        if run.restored:
            watch.owed.append(run)
        return None

    def _hand_over(self, watch: RoomWatch, run: Run) -> Run | None:
        identity = run.job.agent_identity
        if identity:
            watch.cast_out(identity)
            self._tasks.spawn(self._show_out(watch.room, identity), name="show out an agent")
        return self._begin(
            watch,
            run.dispatch,
            run.job.kind,
            run.job.participant,
            attempt=run.attempt + 1,
            only=run.only,
        )

    def _show(self, run: Run, *, owed: bool = False) -> None:
        """Bring the room's board and the store up to date.

        One that is `owed` stays in the store as it was: the next process is to owe it as well.
        """
        if not run.shown:
            return
        forgotten = run.room.dispatches.put_job(run.job)
        if owed:
            return
        if run.assigned and run.dispatch.spec.implicit:
            self._keeper.save(run.dispatch)
        if run.assigned or not run.quiet:
            self._keeper.save_job(run.job)
        if forgotten and self._keeper.keeps_any([run.job.dispatch_id]):
            self._tasks.spawn(self._keeper.forget_jobs(forgotten), name="forget old jobs")

    def _tell_the_room(self, run: Run) -> None:
        bad = (DispatchOutcome.DECLINED, DispatchOutcome.NO_WORKER, DispatchOutcome.FAILED)
        if run.job.outcome in bad and not run.room.closing:
            job, name = run.job, run.dispatch.spec.agent_name
            news = DispatchEnded(job.dispatch_id, name, job.outcome.value, job.error)
            run.room.tell_dispatch_ended(news)

    def _emit(self, event: JobEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def _token(self, run: Run, worker: Worker, acceptance: Acceptance) -> str:
        now = self.clock.unix_ns() / 1e9
        agent_name = run.dispatch.spec.agent_name
        claims = agent_claims(
            acceptance,
            api_key=worker.api_key,
            room_name=run.room.name,
            agent_name=agent_name,
            permissions=worker.permissions,
            now=now,
        )
        return mint(claims, self._tokens.secret_of(worker.api_key))

    # ── what workers want of rooms ───────────────────────────────────────────

    def migrate(self, worker: Worker, message: MigrateJob) -> None:
        """A worker tells which jobs it still has."""
        unheard = [job for job in message.job_ids[:MAX_RUNS] if not self.desk.claim(worker, job)]
        unknown = [job_id for job_id in unheard if not self._keeper.claim(job_id, worker)]
        if unknown:
            _log.info(
                "a worker has jobs that are unknown here", worker=worker.id, jobs=len(unknown)
            )

    def simulate(self, worker: Worker, message: SimulateJob) -> None:
        """A worker wants a job for itself. Raises ServiceError."""
        key = worker.key
        if key is None:
            return
        spec = DispatchSpec(agent_name=key.agent_name, deployment=key.deployment, implicit=True)
        if not (self._rooms.config.room.auto_create or self._rooms.exists(message.room_name)):
            raise RoomNotFound
        room = self._rooms.find_or_create(RoomSpec(message.room_name))
        watch = self._watches[room.sid]
        dispatch = Dispatch(new_id("AD_"), room.name, room.sid, spec, self.clock.unix_ns())
        room.dispatches.add(dispatch)
        present = room.participants.get(message.participant_identity)
        info = present.info() if present else None
        self._begin(watch, dispatch, key.kind, info, only=worker.id)

    # ── what the API asks ────────────────────────────────────────────────────

    async def create(self, room_name: str, spec: DispatchSpec) -> DispatchRecord:
        """Ask for an agent in a room, which is created and kept if it is not there.

        Returns when the dispatch is stored; workers are asked before. Raises ServiceError.
        """
        check_spec(spec)
        is_new = not self._rooms.exists(room_name)
        if is_new and not self._rooms.config.room.auto_create:
            raise RoomNotFound
        room = self._rooms.find_or_create(RoomSpec(room_name))
        dispatch = room.request_dispatch(spec)
        if is_new:
            await self._rooms.create(RoomSpec(room_name))
            # Meanwhile the room may have been closed, or the dispatch taken back.
            room.dispatches.get(dispatch.id)
            if room.closing:
                raise RoomClosing
        await self._keeper.save_durably(dispatch)
        return room.dispatches.get(dispatch.id)

    async def delete(self, room_name: str, dispatch_id: str) -> DispatchRecord:
        """Take a dispatch back: its jobs end and their agents leave the room.

        Raises RoomNotFound, DispatchNotFound; RoomClosing when the server stops, which keeps it.
        """
        if self._stopped:
            raise RoomClosing
        room = self._rooms.get(room_name)
        room.dispatches.get(dispatch_id)
        watch = self._watches.get(room.sid)
        agents = self._call_off(watch, dispatch_id) if watch is not None else set()
        record = room.take_back_dispatch(dispatch_id)
        if watch is not None:
            await asyncio.gather(*(self._see_off(watch, one) for one in agents))
        await self._keeper.delete([dispatch_id])
        return record

    def _call_off(self, watch: RoomWatch, dispatch_id: str) -> set[str]:
        """End the jobs of a dispatch; the identities of their agents that are in the room."""
        watch.owed = [run for run in watch.owed if run.dispatch.id != dispatch_id]
        watch.call_off(dispatch_id)
        runs = watch.runs_of(dispatch_id)
        for run in runs:
            self.desk.feed(run, happening.Deleted())
        agents = {run.job.agent_identity for run in runs}
        return {identity for identity in agents if identity in watch.room.participants}

    async def _see_off(self, watch: RoomWatch, identity: str) -> None:
        watch.cast_out(identity)
        gone = watch.departure(identity)
        try:
            await asyncio.wait_for(gone.wait(), LEAVE_LIMIT)
        except TimeoutError:
            await self._show_out(watch.room, identity)

    async def _show_out(self, room: Room, identity: str) -> None:
        participant = room.participants.get(identity)
        if participant is not None:
            await room.expel(participant, DisconnectReason.PARTICIPANT_REMOVED)

    def _forget(self, dispatch_ids: Collection[str]) -> None:
        if self._keeper.keeps_any(dispatch_ids):
            self._tasks.spawn(self._keeper.delete(tuple(dispatch_ids)), name="forget dispatches")


def check_spec(spec: DispatchSpec) -> None:
    """Raise LimitExceeded for a dispatch that is too large."""
    check_name(spec.agent_name, "agent name")
    check_name(spec.deployment, "deployment")
    check_metadata(spec.metadata)
    check_attributes(spec.attributes)
