"""Drives one call: performs what the machine in `call` commands and tells it what came of it.

Everything happens in the event loop. An event that arrives while another is being handled waits its
turn, so each command is performed in the order in which it was given.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from switchroom.base.clock import Clock
from switchroom.base.errors import ServiceError
from switchroom.base.log import get_logger
from switchroom.base.tasks import Tasks
from switchroom.media import (
    DigitReceived,
    DigitsSent,
    Engine,
    EngineError,
    Leg,
    LegCodec,
    LegEvent,
    LegMedia,
    LevelChanged,
    MediaStarted,
    MediaTimedOut,
    Player,
)
from switchroom.media.player import DIAL_TONE
from switchroom.rooms.local import LocalParticipantSpec, Seat
from switchroom.rooms.registry import Rooms
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.errors import LocalSipError
from switchroom.sip.invite_session import InviteSession, SessionEvent
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call import Call, Phase, begin, step
from switchroom.telephony.calls.call_record import CallNotes, CallRecord
from switchroom.telephony.calls.dtmf import code_of, playable
from switchroom.telephony.calls.leg_description import LegDescription
from switchroom.telephony.calls.participant import PhoneParticipant
from switchroom.telephony.calls.termination import Cause, Termination
from switchroom.telephony.errors import CallFailedError
from switchroom.telephony.events import CallChanged, CallEnded, CallEvent, CallStarted, Listener
from switchroom.telephony.outbound.dial import Dial
from switchroom.telephony.outbound.outbound_request import SipParticipantInfo
from switchroom.telephony.outbound.outcome import Outcome
from switchroom.telephony.routing.headers import headers_from
from switchroom.telephony.sip_endpoint import SipEndpoint
from switchroom.telephony.stores import CallStore

_log = get_logger("telephony")

#: Seconds that the last word may take before we hang up: the engine holds less.
_PLAY_OUT_LIMIT = 0.1

#: Receivers without a G.711 codec of their own get Opus, which is what LiveKit's phones publish.
_TRACK_MIME_TYPE = "audio/opus"


@dataclass(frozen=True, slots=True)
class CallPorts:
    """What a call acts upon."""

    engine: Engine
    rooms: Rooms
    sip: SipEndpoint
    calls: CallStore
    clock: Clock
    tasks: Tasks
    listeners: tuple[Listener, ...] = ()

    def tell(self, kind: type[CallEvent], notes: CallNotes) -> None:
        """Tell the listeners; a record is made only if there are any."""
        if self.listeners:
            event = kind(notes.record())
            for listener in self.listeners:
                listener(event)


class CallRunner:
    """One call from its dial to its end. `on_finished` is told when nothing is left of it."""

    def __init__(
        self,
        dial: Dial,
        leg: Leg,
        ports: CallPorts,
        record: CallRecord,
        on_finished: Callable[[CallRunner], None],
    ) -> None:
        self.dial = dial
        self.outcome = Outcome()
        self._notes = CallNotes(record)
        self._ports = ports
        self._leg = leg
        self._on_finished = on_finished
        self._seat: Seat | None = None
        self._track_sid = ""
        self._tone: Player | None = None
        self._session: InviteSession | None = None
        self._call: Call | None = None
        self._events: deque[object] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._errands = 0
        self._waiting = 0

    def start(self, session_id: int) -> None:
        """Begin; the leg is open. `session_id` goes into the session description."""
        leg = LegDescription.offering(
            (self.dial.advertised_ip, self._leg.local_address[1]), self.dial.plan.codecs, session_id
        )
        self._call, commands = begin(self.dial.plan, leg, self._ports.clock.monotonic())
        self._busy = True
        self._perform(commands)
        self._settle()

    @property
    def record(self) -> CallRecord:
        """What is known of the call so far."""
        return self._notes.record()

    @property
    def ending(self) -> bool:
        """Whether the call is over, though its farewell may still be on the wire."""
        return self._call is not None and self._call.phase is Phase.ENDED

    def tell(self, event: object) -> None:
        """Something happened to the call."""
        self._events.append(event)
        if not self._busy:
            self._busy = True
            self._settle()

    # ── requests that wait ───────────────────────────────────────────────────

    async def wait(self, *, until_answered: bool, deadline: float) -> SipParticipantInfo:
        """The answer for one request. Raises CallFailedError.

        The dial lives as long as somebody waits for it: when the last one goes away, so does it.
        """
        if not until_answered:
            return await self.outcome.until_dialed()
        if not self.dial.request.wait_until_answered:
            return await self._outlast(deadline)
        self._waiting += 1
        self.tell(do.WaiterJoined(deadline))
        try:
            return await self.outcome.until_active()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.tell(do.Abandoned())

    async def _outlast(self, deadline: float) -> SipParticipantInfo:
        """Wait for a call that was placed without waiting, and goes on without us."""
        try:
            async with asyncio.timeout(deadline - self._ports.clock.monotonic()):
                return await self.outcome.until_active()
        except TimeoutError:
            raise CallFailedError(Termination(Cause.NO_ANSWER)) from None

    # ── the loop ─────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        while self._events:
            event = self._events.popleft()
            if self._call is not None:
                now = self._ports.clock.monotonic()
                self._call, commands = step(self._call, event, now)
                self._perform(commands)
        self._busy = False
        self._rearm()
        self._look_for_the_end()

    def _perform(self, commands: list[do.Command]) -> None:
        for command in commands:
            try:
                self._PERFORM[type(command)](self, command)
            except (ServiceError, EngineError) as refusal:
                _log.warning(
                    "command refused",
                    call=self.dial.call_id,
                    command=type(command).__name__,
                    why=str(refusal),
                )
            except Exception:  # noqa: BLE001 - one fault must not keep the call from its end
                _log.exception(
                    "command failed", call=self.dial.call_id, command=type(command).__name__
                )

    def _rearm(self) -> None:
        due = self._call.deadline if self._call is not None else None
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            wait = max(0.0, due - self._ports.clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._timer = self._due = None
        self.tell(do.DeadlineReached())

    def _look_for_the_end(self) -> None:
        if self._call is not None and self._call.finished and not self._errands:
            self._call = None
            self._on_finished(self)

    async def _errand(self, work: Callable[[], Any]) -> None:
        """Something that takes time; the call is not finished before it is."""
        self._errands += 1
        try:
            await work()
        finally:
            self._errands -= 1
            if not self._busy:
                self._look_for_the_end()

    def _send_out(self, work: Callable[[], Any], name: str) -> None:
        self._ports.tasks.spawn(self._errand(work), name=f"{name} {self.dial.call_id}")

    # ── the room ─────────────────────────────────────────────────────────────

    def _join_room(self, _command: do.JoinRoom) -> None:
        self._send_out(self._join, "join")

    async def _join(self) -> None:
        request = self.dial.request
        spec = LocalParticipantSpec(
            room_name=request.room_name,
            identity=self.dial.identity,
            name=request.name,
            metadata=request.metadata,
            attributes=self.dial.attributes,
        )
        try:
            self._seat = await self._ports.rooms.join_local(
                spec, PhoneParticipant(self.tell, self._play_out)
            )
        except ServiceError as refusal:
            self.tell(do.JoinRefused(refusal.message))
            return
        except Exception:
            self.tell(do.JoinRefused("internal error"))
            raise
        self._notes.participant_sid = self._seat.participant_sid
        self._notes.room_sid = self._seat.room_sid
        self._notes.reach(do.CallStatus.DIALING, self._ports.clock.unix_ns())
        self._ports.tell(CallStarted, self._notes)
        self.tell(do.Joined())

    def _publish_track(self, command: do.PublishTrack) -> None:
        if self._seat is None:
            return
        source = None
        if command.tone:
            self._tone = self._ports.engine.play(DIAL_TONE)
            source = self._tone.source
        self._track_sid = self._seat.publish_audio(self.dial.identity, source, _TRACK_MIME_TYPE)

    def _connect_track(self, _command: do.ConnectTrack) -> None:
        if self._seat is not None:
            self._seat.set_source(self._track_sid, self._leg.source)
        self._stop_tone()

    def _hear_room(self, _command: do.HearRoom) -> None:
        if self._seat is not None:
            self._seat.hear(self._leg.sink)

    def _set_status(self, command: do.SetStatus) -> None:
        self._notes.reach(command.status, self._ports.clock.unix_ns())
        status = {"sip.callStatus": command.status.value}
        if not self._change_attributes({**command.attributes, **status}):
            # A carrier with very long headers must not hide that the call was answered.
            self._change_attributes(status)
        self._ports.tell(CallChanged, self._notes)

    def _set_attributes(self, command: do.SetAttributes) -> None:
        self._change_attributes(command.attributes)

    def _change_attributes(self, changes: Mapping[str, str]) -> bool:
        if self._seat is None:
            return True
        try:
            self._seat.set_attributes(changes)
        except ServiceError as refusal:
            _log.warning("attributes refused", call=self.dial.call_id, why=refusal.message)
            return False
        return True

    def _tell_digit(self, command: do.TellDigit) -> None:
        if self._seat is not None:
            self._seat.send_dtmf(code_of(command.digit), command.digit.lower())

    def _leave_room(self, command: do.LeaveRoom) -> None:
        seat = self._seat
        if seat is not None:
            self._send_out(lambda: seat.leave(command.reason), "leave")

    # ── the phone ────────────────────────────────────────────────────────────

    def _send_invite(self, command: do.SendInvite) -> None:
        invite = replace(self.dial.invite, body=command.body)
        try:
            self._session = self._ports.sip.invite(invite, self._sip_event)
        except LocalSipError as error:
            self.tell(do.Undialable(str(error)))

    def _sip_event(self, event: SessionEvent) -> None:
        self.tell(event)

    def _cancel(self, _command: do.Cancel) -> None:
        if self._session is not None:
            self._session.cancel()

    def _bye(self, command: do.Bye) -> None:
        if self._session is None:
            return
        attributes = self._seat.attributes if self._seat is not None else {}
        own = headers_from(attributes, self.dial.attributes_to_headers)
        self._session.bye((("Reason", command.reason), *own))

    def _respond_offer(self, command: do.RespondOffer) -> None:
        if self._session is not None:
            self._session.respond_offer(
                command.offer_id, command.status, command.phrase, command.body
            )

    # ── the sound ────────────────────────────────────────────────────────────

    def media_event(self, event: LegEvent) -> None:
        """Something happened on the leg."""
        if isinstance(event, LevelChanged):
            # By far the most frequent, and of no concern to the call itself.
            if self._seat is not None and self._is_active():
                self._seat.level_changed(event.level, active=event.active)
        elif isinstance(event, DigitReceived):
            self.tell(do.DigitFromPhone(event.digit))
        else:
            meaning = _MEDIA_EVENTS.get(type(event))
            if meaning is not None:
                self.tell(meaning)

    def _is_active(self) -> bool:
        return self._call is not None and self._call.phase is Phase.ACTIVE

    def _update_leg(self, command: do.UpdateLeg) -> None:
        media = command.media
        codecs = (*media.codecs, *media.also_received)
        digits = media.digits
        self._leg.update(
            LegMedia(
                remote=media.remote,
                codecs=tuple(LegCodec(c.payload_type, c.name, c.clock_rate) for c in codecs),
                digits=None
                if digits is None
                else LegCodec(digits.payload_type, digits.name, digits.clock_rate),
                direction=media.direction,
                ptime_ms=media.ptime_ms,
                media_timeout=command.silence,
            )
        )

    def _play_digits(self, command: do.PlayDigits) -> None:
        digits = playable(command.digits)
        if digits:
            self._leg.send_digits(digits)
        else:
            self.tell(do.DigitsPlayed())

    async def _play_out(self) -> None:
        if self._is_active():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PLAY_OUT_LIMIT):
                    await self._leg.play_out()

    def _close_leg(self, _command: do.CloseLeg) -> None:
        self._stop_tone()
        self._leg.close()

    def _stop_tone(self) -> None:
        tone, self._tone = self._tone, None
        if tone is not None:
            tone.stop()

    # ── the books ────────────────────────────────────────────────────────────

    def _store_dial(self, command: do.StoreDial) -> None:
        if command.durable:
            self._send_out(self._store_dial_durably, "store dial")
        else:
            self._ports.calls.save(self.record)

    async def _store_dial_durably(self) -> None:
        try:
            await self._ports.calls.save_durably(self.record)
        except ServiceError as refusal:
            self.tell(do.DialStored(refusal.message))
        else:
            self.tell(do.DialStored())

    def _store_answer(self, command: do.StoreAnswer) -> None:
        self._notes.answered_at = self._ports.clock.unix_ns()
        self._notes.dialog = self._snapshot()
        if command.durable:
            self._send_out(self._store_answer_durably, "store answer")
        else:
            self._ports.calls.save(self.record)

    async def _store_answer_durably(self) -> None:
        """A call goes on without its record: two people are talking."""
        try:
            await self._ports.calls.save_durably(self.record)
        except ServiceError as refusal:
            _log.error("answer not stored", call=self.dial.call_id, why=refusal.message)
        self.tell(do.AnswerStored())

    def _store_end(self, command: do.StoreEnd) -> None:
        ending = command.termination
        self._notes.ended_at = self._ports.clock.unix_ns()
        self._notes.termination = ending
        # Until our BYE is answered the far end may believe in the call: keep what ends it.
        self._notes.dialog = self._snapshot()
        self._ports.calls.save(self.record)
        _log.info(
            "call ended",
            call=self.dial.call_id,
            room=self.dial.request.room_name,
            ending=ending.word,
            sip_status=ending.status,
        )
        self._ports.tell(CallEnded, self._notes)

    def _forget_dialog(self, _command: do.ForgetDialog) -> None:
        if self._notes.dialog is not None:
            self._notes.dialog = None
            self._ports.calls.save(self.record)

    def _snapshot(self) -> DialogSnapshot | None:
        return self._session.snapshot() if self._session is not None else None

    # ── the requests ─────────────────────────────────────────────────────────

    def _report_dialed(self, _command: do.ReportDialed) -> None:
        self.outcome.dialed(
            SipParticipantInfo(
                participant_id=self._notes.participant_sid,
                participant_identity=self.dial.identity,
                room_name=self.dial.request.room_name,
                call_id=self.dial.call_id,
            )
        )

    def _report_active(self, _command: do.ReportActive) -> None:
        self.outcome.became_active()

    def _report_ended(self, command: do.ReportEnded) -> None:
        self.outcome.end(command.termination)

    _PERFORM: ClassVar[Mapping[type[Any], Callable[[CallRunner, Any], None]]] = {
        do.JoinRoom: _join_room,
        do.PublishTrack: _publish_track,
        do.ConnectTrack: _connect_track,
        do.HearRoom: _hear_room,
        do.StoreDial: _store_dial,
        do.StoreAnswer: _store_answer,
        do.StoreEnd: _store_end,
        do.ForgetDialog: _forget_dialog,
        do.SendInvite: _send_invite,
        do.Cancel: _cancel,
        do.Bye: _bye,
        do.RespondOffer: _respond_offer,
        do.UpdateLeg: _update_leg,
        do.CloseLeg: _close_leg,
        do.PlayDigits: _play_digits,
        do.TellDigit: _tell_digit,
        do.SetStatus: _set_status,
        do.SetAttributes: _set_attributes,
        do.LeaveRoom: _leave_room,
        do.ReportDialed: _report_dialed,
        do.ReportActive: _report_active,
        do.ReportEnded: _report_ended,
    }


_MEDIA_EVENTS: Mapping[type[Any], object] = {
    MediaStarted: do.MediaStarted(),
    MediaTimedOut: do.MediaLost(),
    DigitsSent: do.DigitsPlayed(),
}
