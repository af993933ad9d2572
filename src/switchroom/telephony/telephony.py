"""The telephony room as a whole: what `app.py` makes, starts and stops."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from switchroom.base.clock import Clock
from switchroom.base.config import Config
from switchroom.base.config_settings import SipSettings
from switchroom.base.log import get_logger
from switchroom.base.overload import Overloaded
from switchroom.base.records import replace
from switchroom.base.tasks import Tasks
from switchroom.media import Engine
from switchroom.rooms.registry import Rooms
from switchroom.sip.dialog import DialogSnapshot
from switchroom.telephony.calls.call_events import DialReferred
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.running_calls import RunningCalls
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.calls.transfer import TransferResult
from switchroom.telephony.calls.transfer_desk import finished
from switchroom.telephony.calls.transfer_outcome import (
    TransferReason,
    TransferRecord,
    TransferStatus,
)
from switchroom.telephony.calls.transfers import Transfers
from switchroom.telephony.errors import NotPossibleError
from switchroom.telephony.events import CallEnded, Listener
from switchroom.telephony.inbound.arrival import ReceptionSettings
from switchroom.telephony.inbound.fallback import read_fallback
from switchroom.telephony.inbound.inbound import Inbound, InboundSettings
from switchroom.telephony.inbound.reception import AnswerWhen
from switchroom.telephony.inbound.sounds import sounds
from switchroom.telephony.outbound.dial import DialSettings
from switchroom.telephony.outbound.outbound import Outbound
from switchroom.telephony.outbound.outbound_request import CreateSipParticipant
from switchroom.telephony.outbound.referrals import Referrals
from switchroom.telephony.outbound.request_memory import KEY_LIFETIME
from switchroom.telephony.routing.dispatch_rule_registry import DispatchRules
from switchroom.telephony.routing.transfer_request import TransferRequest
from switchroom.telephony.routing.trunk_registry import InboundTrunks, Trunks
from switchroom.telephony.sip_endpoint import SipEndpoint
from switchroom.telephony.stores import CallStore, RoutingStores

_log = get_logger("telephony")

#: Seconds that a BYE or CANCEL of a planned stop may take before the server leaves without it.
FAREWELL = 4.0


class Telephony:
    """Trunks and calls.

    `listeners` hear every CallEvent, in the order given. `overloaded` says whether, and why, this
    node takes no more calls.
    """

    def __init__(  # noqa: PLR0917 - each is another room, told apart by its type
        self,
        engine: Engine,
        rooms: Rooms,
        sip: SipEndpoint,
        routing: RoutingStores,
        calls: CallStore,
        clock: Clock,
        config: Config,
        *,
        listeners: Iterable[Listener] = (),
        overloaded: Callable[[], Overloaded | None] = lambda: None,
    ) -> None:
        self._listeners = tuple(listeners)
        self._sip = sip
        self._calls = calls
        self._clock = clock
        self._tasks = Tasks("telephony")
        self.trunks = Trunks(routing.outbound_trunks, clock)
        self.inbound_trunks = InboundTrunks(routing.inbound_trunks, clock)
        self.dispatch_rules = DispatchRules(routing.dispatch_rules, clock)
        ports = CallPorts(
            engine, rooms, sip, calls, clock, self._tasks, self._listeners, self._referred
        )
        self.running = RunningCalls()
        self.outbound = Outbound(
            ports,
            self.running,
            self.trunks,
            _dial_settings(config.sip),
            overloaded=overloaded,
        )
        self._referrals = Referrals(self.running, self.outbound, self._tasks)
        self._transfers = Transfers(self.running, rooms, clock)
        self.inbound = Inbound(
            ports,
            self.running,
            self.inbound_trunks,
            self.dispatch_rules,
            _inbound_settings(config.sip),
            sounds=sounds(config.sip.inbound.prompts, config.sip.inbound.hold_music),
            forward=self._forward,
        )
        self._fallback_trunk = config.sip.inbound.fallback_trunk

    async def transfer(
        self, request: TransferRequest, deadline: float | None = None
    ) -> TransferRecord:
        """Send a phone elsewhere; return when it is there.

        `deadline` is the monotonic time (s) at which the client gives up. Raises ServiceError.
        """
        return await self._transfers.transfer(request, deadline)

    def room_of(self, call_id: str) -> str | None:
        """The name of the room that a call of this server is in, None if there is no such call."""
        runner = self.running.find(call_id)
        return None if runner is None else runner.books.notes.room_name

    async def start(self) -> None:
        """Read trunks and rules, and settle what a crash left behind. SIP must be up."""
        await self.trunks.start()
        await self.inbound_trunks.start()
        await self.dispatch_rules.start()
        for record in await self._calls.unfinished():
            self._settle(record)
        earliest = self._clock.unix_ns() - int(KEY_LIFETIME * 1e9)
        for record in await self._calls.keyed_since(earliest):
            self.outbound.recall(record)
        self._sip.set_incoming_handler(self.inbound.incoming, admit=self.inbound.admit)

    async def stop(self, drain: float) -> None:
        """Take no more calls, give the running ones `drain` seconds, then end them."""
        self.running.accepting = False
        await self.running.until_idle(drain)
        self.running.stop_all()
        await self.running.until_idle(FAREWELL)
        await self._tasks.aclose()

    def stop_draining(self) -> None:
        """End the patience of a stop that is under way: running calls are ended now."""
        self.running.stop_waiting()

    async def _forward(self, room_name: str, number: str) -> str:
        """Phone a number for a caller to whom nobody comes; its identity once it is active."""
        trunk_id = self._fallback_trunk
        if not trunk_id:
            known = self.trunks.list(limit=2)
            trunk_id = known[0].trunk_id if len(known) == 1 else ""
        if not trunk_id:
            raise NotPossibleError("sip.inbound.fallback_trunk must say which trunk to call over")
        request = CreateSipParticipant(
            room_name=room_name,
            call_to=number,
            trunk_id=trunk_id,
            identity=f"fallback_{number}",
            name="Fallback",
            wait_until_answered=True,
        )
        phone = await self.outbound.create_participant(request)
        return phone.participant_identity

    def _referred(self, call_id: str, wish: DialReferred) -> bool:
        return self._referrals.take(call_id, wish)

    def _settle(self, record: CallRecord) -> None:
        """Close the record of a call that was cut off; nobody is dialled again."""
        if record.termination is None:
            last_known = max(record.created_at, *(change.at for change in record.path))
            ending = Termination(Cause.SERVER_RESTART, was_active=record.answered_at > 0)
            transfers = tuple(_cut_off(transfer, last_known) for transfer in record.transfers)
            record = replace(record, termination=ending, ended_at=last_known, transfers=transfers)
            for listener in self._listeners:
                listener(CallEnded(record))
        self._calls.save(record)
        _log.info("call of an earlier run closed", call=record.call_id)
        if record.dialog is not None:
            self._tasks.spawn(
                self._end_orphan(record, record.dialog), name=f"orphan {record.call_id}"
            )

    async def _end_orphan(self, record: CallRecord, dialog: DialogSnapshot) -> None:
        """Until the far end has heard of it, the dialog stays in the record: we may crash again."""
        await self._sip.end_orphan(dialog)
        self._calls.save(replace(record, dialog=None))


def _cut_off(transfer: TransferRecord, at: int) -> TransferRecord:
    """Nobody will learn how a transfer went on that a crash cut off."""
    if transfer.status is not TransferStatus.ONGOING:
        return transfer
    lost = TransferResult(TransferStatus.FAILED, TransferReason.UNSPECIFIED)
    return finished(transfer, lost, max(at, transfer.initiated_at))


def _dial_settings(sip: SipSettings) -> DialSettings:
    """What the configuration says about calls that go out."""
    return DialSettings(
        first_silence=sip.media_timeout_initial,
        silence=sip.media_timeout,
        codecs=sip.codecs,
        early_media=sip.early_media,
        allow_refer=sip.allow_refer,
        detect_tones=sip.detect_tones,
    )


def _inbound_settings(sip: SipSettings) -> InboundSettings:
    """What the configuration says about calls that come in."""
    return InboundSettings(
        reception=ReceptionSettings(
            answer=AnswerWhen(sip.inbound.answer),
            first_silence=sip.media_timeout_initial,
            silence=sip.media_timeout,
            fallback=read_fallback(sip.inbound.fallback),
            fallback_after=sip.inbound.fallback_after,
            pin_tries=sip.inbound.pin_tries,
            pin_timeout=sip.inbound.pin_timeout,
            allow_refer=sip.allow_refer,
            detect_tones=sip.detect_tones,
        ),
        unmatched_status=sip.unmatched_status,
        hide=sip.hide_inbound_port,
        codecs=sip.codecs,
    )
