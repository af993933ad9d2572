"""Drives one call: performs what its machine commands and tells it what came of it.

Each direction has a runner of its own on top of this one, with the commands that only it knows.
Everything happens in the event loop. An event that arrives while another is being handled waits its
turn, so each command is performed in the order in which it was given.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from switchroom.base.errors import ServiceError
from switchroom.base.log import get_logger
from switchroom.media import (
    DigitReceived,
    DigitsSent,
    EngineError,
    Leg,
    LegEvent,
    LevelChanged,
    MediaStarted,
    MediaTimedOut,
)
from switchroom.media.player import DIAL_TONE
from switchroom.sip.dialog import DialogSnapshot
from switchroom.sip.invite_session import InviteSession
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call import Machine, Phase
from switchroom.telephony.calls.call_books import CallBooks
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.dtmf import playable
from switchroom.telephony.calls.phone_seat import PhoneSeat
from switchroom.telephony.calls.phone_sound import PhoneSound
from switchroom.telephony.routing.headers import headers_from

_log = get_logger("telephony")


class CallRunner:
    """One call from its first step to its end. `on_finished` is told when nothing is left of it.

    A direction's runner calls `run` with its machine, sets `session` when there is one, and adds
    its own commands to `PERFORM`.
    """

    def __init__(
        self,
        leg: Leg,
        ports: CallPorts,
        record: CallRecord,
        on_finished: Callable[[CallRunner], None],
    ) -> None:
        self.call_id = record.call_id
        self.ports = ports
        self.books = CallBooks(ports, record)
        self.seat = PhoneSeat(ports.rooms, record.call_id)
        self.sound = PhoneSound(ports.engine, leg)
        self.session: InviteSession | None = None
        self._on_finished = on_finished
        self._machine: Machine | None = None
        self._events: deque[object] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._errands = 0

    def run(self, machine: Machine, commands: Sequence[object]) -> None:
        """Begin with this machine and its first commands."""
        self._machine = machine
        self._busy = True
        self._perform(commands)
        self._settle()

    @property
    def record(self) -> CallRecord:
        """What is known of the call so far."""
        return self.books.record

    @property
    def phase(self) -> Phase | None:
        """How far the call has come; None before its first step and after its last."""
        return None if self._machine is None else self._machine.call.phase

    @property
    def ending(self) -> bool:
        """Whether the call is over, though its farewell may still be on the wire."""
        return self.phase is Phase.ENDED

    def tell(self, event: object) -> None:
        """Something happened to the call: an event of its machine, or of its SIP session."""
        self._events.append(event)
        if not self._busy:
            self._busy = True
            self._settle()

    def media_event(self, event: LegEvent) -> None:
        """Something happened on the leg."""
        if isinstance(event, LevelChanged):
            # By far the most frequent, and of no concern to the call itself.
            if self.phase is Phase.ACTIVE:
                self.seat.level_changed(event.level, active=event.active)
        elif isinstance(event, DigitReceived):
            self.tell(do.DigitFromPhone(event.digit))
        else:
            meaning = _MEDIA_EVENTS.get(type(event))
            if meaning is not None:
                self.tell(meaning)

    # ── the loop ─────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        while self._events:
            event = self._events.popleft()
            if self._machine is not None:
                now = self.ports.clock.monotonic()
                self._machine, commands = self._machine.step(event, now)
                self._perform(commands)
        self._busy = False
        self._rearm()
        self._look_for_the_end()

    def _perform(self, commands: Sequence[object]) -> None:
        for command in commands:
            try:
                self.PERFORM[type(command)](self, command)
            except (ServiceError, EngineError) as refusal:
                _log.warning(
                    "command refused",
                    call=self.call_id,
                    command=type(command).__name__,
                    why=str(refusal),
                )
            except Exception:  # noqa: BLE001 - one fault must not keep the call from its end
                _log.exception("command failed", call=self.call_id, command=type(command).__name__)

    def _rearm(self) -> None:
        due = self._machine.deadline if self._machine is not None else None
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            wait = max(0.0, due - self.ports.clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._timer = self._due = None
        self.tell(do.DeadlineReached())

    def _look_for_the_end(self) -> None:
        if self._machine is not None and self._machine.finished and not self._errands:
            self._machine = None
            self._on_finished(self)

    async def _errand(self, work: Callable[[], Any]) -> None:
        self._errands += 1
        try:
            await work()
        finally:
            self._errands -= 1
            if not self._busy:
                self._look_for_the_end()

    def send_out(self, work: Callable[[], Any], name: str) -> None:
        """Something that takes time; the call is not finished before it is."""
        self.ports.tasks.spawn(self._errand(work), name=f"{name} {self.call_id}")

    # ── the room ─────────────────────────────────────────────────────────────

    def _join_room(self, command: do.JoinRoom) -> None:
        self.send_out(lambda: self._join(command.guest), "join")

    async def _join(self, guest: do.Guest) -> None:
        try:
            seat = await self.seat.join(guest, self.tell, self._play_out)
        except ServiceError as refusal:
            self.tell(do.JoinRefused(refusal.message))
            return
        except Exception:
            self.tell(do.JoinRefused("internal error"))
            raise
        self.books.seated(guest, seat.room_sid, seat.participant_sid)
        self.tell(do.Joined())

    def _publish_track(self, command: do.PublishTrack) -> None:
        self.seat.publish(self.sound.start_tone(DIAL_TONE) if command.tone else None)

    def _connect_track(self, _command: do.ConnectTrack) -> None:
        self.seat.sound_from(self.sound.source)
        self.sound.stop_tone()

    def _hear_room(self, _command: do.HearRoom) -> None:
        self.seat.hear(self.sound.sink)

    def _set_status(self, command: do.SetStatus) -> None:
        status = {"sip.callStatus": command.status.value}
        if not self.seat.show({**command.attributes, **status}):
            # A carrier with very long headers must not hide that the call was answered.
            self.seat.show(status)
        self.books.changed(command.status)

    def _set_attributes(self, command: do.SetAttributes) -> None:
        self.seat.show(command.attributes)

    def _tell_digit(self, command: do.TellDigit) -> None:
        self.seat.tell_digit(command.digit)

    def _leave_room(self, command: do.LeaveRoom) -> None:
        self.send_out(lambda: self.seat.leave(command.reason), "leave")

    # ── the phone ────────────────────────────────────────────────────────────

    def _cancel(self, _command: do.Cancel) -> None:
        if self.session is not None:
            self.session.cancel()

    def _bye(self, command: do.Bye) -> None:
        if self.session is not None:
            self.session.bye((("Reason", command.reason), *self.own_headers()))

    def _respond_offer(self, command: do.RespondOffer) -> None:
        if self.session is not None:
            self.session.respond_offer(
                command.offer_id, command.status, command.phrase, command.body
            )

    def own_headers(self) -> tuple[tuple[str, str], ...]:
        """What our requests say of the participant, as ``attributes_to_headers`` asks for it."""
        if self._machine is None:
            return ()
        rules = self._machine.call.plan.attributes_to_headers
        return headers_from(self.seat.attributes, rules) if rules else ()

    # ── the sound ────────────────────────────────────────────────────────────

    def _update_leg(self, command: do.UpdateLeg) -> None:
        self.sound.update(command.media, command.silence)

    def _play_digits(self, command: do.PlayDigits) -> None:
        digits = playable(command.digits)
        if digits:
            self.sound.send_digits(digits)
        else:
            self.tell(do.DigitsPlayed())

    async def _play_out(self) -> None:
        if self.phase is Phase.ACTIVE:
            await self.sound.play_out()

    def _close_leg(self, _command: do.CloseLeg) -> None:
        self.sound.close()

    # ── the books ────────────────────────────────────────────────────────────

    def _store_answer(self, command: do.StoreAnswer) -> None:
        self.books.answered(self._snapshot())
        if command.durable:
            self.send_out(self._store_answer_durably, "store answer")
        else:
            self.books.save()

    async def _store_answer_durably(self) -> None:
        """A call goes on without its record: two people are talking."""
        try:
            await self.books.save_durably()
        except ServiceError as refusal:
            _log.error("answer not stored", call=self.call_id, why=refusal.message)
        self.tell(do.AnswerStored())

    def _store_end(self, command: do.StoreEnd) -> None:
        self.books.ended(command.termination, self._snapshot())

    def _forget_dialog(self, _command: do.ForgetDialog) -> None:
        self.books.forget_dialog()

    def _snapshot(self) -> DialogSnapshot | None:
        return self.session.snapshot() if self.session is not None else None

    PERFORM: ClassVar[Mapping[type[Any], Callable[[Any, Any], None]]] = {
        do.JoinRoom: _join_room,
        do.PublishTrack: _publish_track,
        do.ConnectTrack: _connect_track,
        do.HearRoom: _hear_room,
        do.StoreAnswer: _store_answer,
        do.StoreEnd: _store_end,
        do.ForgetDialog: _forget_dialog,
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
    }


_MEDIA_EVENTS: Mapping[type[Any], object] = {
    MediaStarted: do.MediaStarted(),
    MediaTimedOut: do.MediaLost(),
    DigitsSent: do.DigitsPlayed(),
}
