"""Requests to transfer a call: found by its participant, asked of its phone."""

from __future__ import annotations

from switchroom.base.clock import Clock
from switchroom.base.ids import new_id
from switchroom.rooms.registry import Rooms
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.replaces import refer_to_replacing
from switchroom.telephony.calls.call import Phase
from switchroom.telephony.calls.call_runner import CallRunner
from switchroom.telephony.calls.running_calls import RunningCalls
from switchroom.telephony.calls.transfer import TransferPlan
from switchroom.telephony.calls.transfer_outcome import TransferRecord
from switchroom.telephony.errors import InvalidRequestError, NotPossibleError
from switchroom.telephony.routing.headers import merge
from switchroom.telephony.routing.transfer_request import TransferRequest, call_wanted

#: Seconds that a transfer may take unless the request says otherwise.
PATIENCE = 30.0


class Transfers:
    """Finds the call and hands it the transfer."""

    def __init__(self, running: RunningCalls, rooms: Rooms, clock: Clock) -> None:
        self._running = running
        self._rooms = rooms
        self._clock = clock

    async def transfer(
        self, request: TransferRequest, deadline: float | None = None
    ) -> TransferRecord:
        """Return when the phone is elsewhere. `deadline` is the client's, monotonic (s).

        Raises ServiceError: what `Rooms.get_participant` raises, InvalidRequestError,
        NotPossibleError for a call that is not answered, and TransferFailedError.
        """
        runner = self._call_of(request)
        if runner.phase is not Phase.ACTIVE:
            raise NotPossibleError("the call is not active: only an answered call is transferred")
        patience = request.ringing_timeout if request.ringing_timeout > 0 else PATIENCE
        until = self._clock.monotonic() + patience
        plan = TransferPlan(
            transfer_id=new_id("STR_"),
            transfer_to=request.transfer_to,
            refer_to=self._refer_to(request.transfer_to, runner),
            until=until if deadline is None else min(until, deadline),
            headers=merge({}, request.headers),
            play_dialtone=request.play_dialtone,
        )
        return await runner.transfers.transfer(plan, runner.tell)

    def _call_of(self, request: TransferRequest) -> CallRunner:
        person = self._rooms.get_participant(request.room_name, request.participant_identity)
        runner = self._running.find(person.attributes.get("sip.callID", ""))
        if runner is None or runner.books.notes.participant_sid != person.sid:
            raise InvalidRequestError("no SIP session associated with participant")
        return runner

    def _refer_to(self, target: str, runner: CallRunner) -> str:
        """A URI as it is; another call of ours is to be taken over (RFC 3891)."""
        wanted = call_wanted(target)
        if not wanted:
            return target
        other = self._running.find(wanted)
        if other is None or other is runner:
            raise InvalidRequestError("transfer_to names no other call of this server")
        dialog = other.session.snapshot() if other.session is not None else None
        if other.phase is not Phase.ACTIVE or dialog is None:
            raise NotPossibleError("the call to be transferred to is not active")
        try:
            return refer_to_replacing(dialog)
        except MalformedValueError as error:
            raise NotPossibleError("the call to be transferred to has no address") from error
