"""Outbound calls: from CreateSIPParticipant to a running call, once for each request."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from functools import partial

from switchroom.base.ids import new_id
from switchroom.base.log import get_logger
from switchroom.base.overload import Overloaded
from switchroom.base.records import replace
from switchroom.base.redact import redact_number
from switchroom.media import EngineError, LegEvent
from switchroom.rooms.limits import (
    check_attributes,
    check_metadata,
    check_name,
    check_room_name,
)
from switchroom.telephony.calls.call_failed import CallFailedError
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.call_runner import CallRunner
from switchroom.telephony.calls.running_calls import RunningCalls
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.errors import NotTakingCallsError, OverloadedError, TrunkNotFoundError
from switchroom.telephony.events import CallEnded
from switchroom.telephony.outbound.dial import (
    DEFAULT_DEADLINE,
    WAITING_DEADLINE,
    Dial,
    DialSettings,
    prepare,
    trunk_of,
)
from switchroom.telephony.outbound.outbound_request import (
    CreateSipParticipant,
    SipParticipantInfo,
    check,
)
from switchroom.telephony.outbound.outbound_runner import OutboundRunner
from switchroom.telephony.outbound.outcome import Outcome
from switchroom.telephony.outbound.request_memory import RequestKey, RequestMemory
from switchroom.telephony.routing.numbers import normalise
from switchroom.telephony.routing.trunk_registry import Trunks
from switchroom.telephony.routing.trunks import OutboundTrunk

_log = get_logger("telephony")

_CallKey = tuple[str, str, str, str]


class Outbound:
    """Places calls, one for each request."""

    def __init__(
        self,
        ports: CallPorts,
        running: RunningCalls,
        trunks: Trunks,
        settings: DialSettings,
        *,
        overloaded: Callable[[], Overloaded | None] = lambda: None,
    ) -> None:
        """`overloaded` says whether, and why, this node takes no more calls."""
        self._ports = ports
        self._running = running
        self._trunks = trunks
        self._settings = settings
        self._overloaded = overloaded
        self._by_request: dict[_CallKey, OutboundRunner] = {}
        self._memory = RequestMemory()

    async def create_participant(
        self,
        request: CreateSipParticipant,
        deadline: float | None = None,
        key: RequestKey | None = None,
    ) -> SipParticipantInfo:
        """Place the call, or join the request to the call that it already has.

        `deadline` is the monotonic time (s) at which the client gives up. Raises ServiceError:
        InvalidRequestError, LimitExceeded, TrunkNotFoundError, NotPossibleError,
        NotTakingCallsError, and CallFailedError once the call itself decides.
        """
        check(request)
        _check_seat(request)
        deadline = self._deadline(request, deadline)
        now = self._ports.clock.monotonic()
        seen = self._memory.find(key, now) if key is not None else None
        runner = self._runner_of(seen.call_id) if seen is not None else None
        if seen is not None and runner is None:
            return await _replay(seen.outcome, request)
        if runner is None:
            wanted = _call_key(request)
            runner = self._same_call(wanted) or self._place(request, wanted, deadline, key)
            if key is not None:
                self._memory.remember(key, runner.dial.call_id, runner.outcome, now)
        return await runner.wait(until_answered=request.wait_until_answered, deadline=deadline)

    def recall(self, record: CallRecord) -> None:
        """Take a keyed request of an earlier process into account."""
        outcome = Outcome.of_earlier_process(
            SipParticipantInfo(
                record.participant_sid,
                record.participant_identity,
                record.room_name,
                record.call_id,
            ),
            answered=record.answered_at > 0,
            ending=record.termination,
        )
        age = (self._ports.clock.unix_ns() - record.created_at) / 1e9
        key = RequestKey(record.request_key, record.request_digest, durable=True)
        now = self._ports.clock.monotonic()
        self._memory.remember(key, record.call_id, outcome, now, age=age)

    # ── one request, one call ────────────────────────────────────────────────

    def _deadline(self, request: CreateSipParticipant, deadline: float | None) -> float:
        if deadline is not None:
            return deadline
        patience = WAITING_DEADLINE if request.wait_until_answered else DEFAULT_DEADLINE
        return self._ports.clock.monotonic() + patience

    def _runner_of(self, call_id: str) -> OutboundRunner | None:
        runner = self._running.find(call_id)
        return runner if isinstance(runner, OutboundRunner) else None

    def _same_call(self, wanted: _CallKey) -> OutboundRunner | None:
        runner = self._by_request.get(wanted)
        return None if runner is None or runner.ending else runner

    # ── a new call ───────────────────────────────────────────────────────────

    def _place(
        self,
        request: CreateSipParticipant,
        wanted: _CallKey,
        deadline: float,
        key: RequestKey | None,
    ) -> OutboundRunner:
        """All in one go, without a wait: nobody can slip in between the look and the leap."""
        if not self._running.accepting:
            raise NotTakingCallsError
        overloaded = self._overloaded()
        if overloaded is not None:
            raise OverloadedError(overloaded.sentence, overloaded.retry_after)
        durable = key is not None and key.durable
        dial = prepare(
            request,
            self._trunk(request),
            call_id=new_id("SCL_"),
            answer_by=deadline if request.wait_until_answered else None,
            durable=durable,
            settings=self._settings,
            choose=random.choice,
            sip=self._ports.sip,
        )
        runner = self._open(dial, wanted, self._record(dial, key if durable else None))
        self._running.add(runner)
        self._by_request[wanted] = runner
        _log.debug(
            "dialling",
            call=dial.call_id,
            room=request.room_name,
            to=redact_number(request.call_to),
            trunk=dial.trunk.trunk_id or dial.trunk.address,
        )
        runner.start(secrets.randbits(31))
        return runner

    def _open(self, dial: Dial, wanted: _CallKey, record: CallRecord) -> OutboundRunner:
        """The leg comes first: without a port there is nothing to offer."""
        events: list[OutboundRunner] = []

        def on_event(event: LegEvent) -> None:
            events[0].media_event(event)

        try:
            leg = self._ports.engine.open_leg(dial.local_ip, on_event)
        except EngineError as error:
            ending = Termination(Cause.MEDIA_FAILED, detail=str(error))
            now = self._ports.clock.unix_ns()
            record = replace(record, termination=ending, ended_at=now)
            self._ports.calls.save(record)
            for listener in self._ports.listeners:
                listener(CallEnded(record))
            raise CallFailedError(ending, record.call_id) from error
        runner = OutboundRunner(dial, leg, self._ports, record, partial(self._finished, wanted))
        events.append(runner)
        return runner

    def _trunk(self, request: CreateSipParticipant) -> OutboundTrunk:
        if request.trunk_id:
            return self._trunks.get(request.trunk_id)
        if request.trunk is not None:
            return trunk_of(request.trunk)
        found = self._trunks.with_number(normalise(request.number))
        if found is None:
            raise TrunkNotFoundError
        return found

    def _record(self, dial: Dial, key: RequestKey | None) -> CallRecord:
        return CallRecord(
            call_id=dial.call_id,
            room_name=dial.request.room_name,
            participant_identity=dial.request.participant_identity,
            from_number=dial.from_number,
            to_number=dial.request.call_to,
            trunk_id=dial.trunk.trunk_id,
            trunk_address=dial.trunk.address,
            created_at=self._ports.clock.unix_ns(),
            hides_numbers=dial.request.hide_phone_number,
            request_key=key.key if key is not None else "",
            request_digest=key.digest if key is not None else "",
        )

    def _finished(self, wanted: _CallKey, runner: CallRunner) -> None:
        self._running.remove(runner)
        if self._by_request.get(wanted) is runner:
            del self._by_request[wanted]


def _check_seat(request: CreateSipParticipant) -> None:
    """What the room would refuse is refused by its name, before anything is begun."""
    check_room_name(request.room_name)
    check_name(request.participant_identity, "participant identity")
    check_name(request.name, "participant name")
    check_metadata(request.metadata)
    check_attributes(request.attributes)


async def _replay(outcome: Outcome, request: CreateSipParticipant) -> SipParticipantInfo:
    if request.wait_until_answered:
        return await outcome.until_active()
    return await outcome.until_dialed()


def _call_key(request: CreateSipParticipant) -> _CallKey:
    """What makes two requests want the same call: room, identity, trunk and number."""
    trunk = request.trunk_id
    if not trunk:
        trunk = f"@{request.trunk.hostname}" if request.trunk is not None else request.number
    return request.room_name, request.participant_identity, trunk, normalise(request.call_to)
