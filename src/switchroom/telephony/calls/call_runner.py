"""Drives one call: performs what its machine commands and tells it what came of it.

Each direction has a runner of its own on top of this one, with the commands that only it knows.
Everything happens in the event loop. An event that arrives while another is being handled waits its
turn, so each command is performed in the order in which it was given.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from switchroom.base.errors import ServiceError
from switchroom.base.ip_addresses import is_ip
from switchroom.base.legible import legible
from switchroom.base.log import get_logger
from switchroom.base.tasks import nothing_to_wait_for
from switchroom.base.timers import TOO_EARLY
from switchroom.media import (
    DigitReceived,
    DigitsSent,
    EngineError,
    Leg,
    LegEvent,
    LevelChanged,
    MediaTimedOut,
)
from switchroom.media.player import DIAL_TONE
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.rpc import RpcCode, RpcFailed
from switchroom.sip.errors import LocalSipError
from switchroom.sip.headers import Headers, tag_of
from switchroom.sip.invite_session import (
    Answered,
    Fields,
    IncomingInviteSession,
    InviteSession,
    SessionEvent,
)
from switchroom.sip.message import Request
from switchroom.telephony.calls import call_events as do, transfer
from switchroom.telephony.calls.call import Machine, Phase
from switchroom.telephony.calls.call_books import CallBooks, DialogOf
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.dtmf import playable
from switchroom.telephony.calls.phone_seat import PhoneSeat
from switchroom.telephony.calls.phone_sound import PhoneSound, figures_of
from switchroom.telephony.calls.remote_control import (
    END_CALL,
    GET_REMOTE_HEADERS,
    end_call_headers,
    remote_headers,
)
from switchroom.telephony.calls.transfer import TransferAbandoned
from switchroom.telephony.calls.transfer_desk import TransferDesk
from switchroom.telephony.routing.headers import headers_from

_log = get_logger("telephony")

#: Seconds between the answer to EndCall and the farewell: data and signalling are two ways.
_ANSWER_FIRST = 0.1
#: Seconds that the engine may take to say how the sound of a call went.
_FIGURES_LIMIT = 1.0
_NO_HEADERS = Headers()


class CallRunner:
    """One call from its first step to its end. `on_finished` is told when nothing is left of it.

    A direction's runner calls `run` with its machine, sets `session` when there is one and the
    `remote_headers` of an INVITE (those of an answer come by themselves), and adds its own commands
    to `PERFORM`.
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
        self.remote_headers = _NO_HEADERS
        self.transfers = TransferDesk()
        self._dialogs = 0
        self._agreed: do.UpdateLeg | None = None
        self._looking_up = False
        self._successor: IncomingInviteSession | None = None
        self._successor_headers = self.remote_headers
        self._figures: asyncio.Future[Any] | None = None
        self._on_finished = on_finished
        self._machine: Machine | None = None
        self._events: deque[object] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
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

    def listen(self) -> Callable[[SessionEvent], None]:
        """Who is to hear the events of the call's SIP session: of the last one, if it changes."""
        self._dialogs += 1
        number = self._dialogs

        def on_event(event: SessionEvent) -> None:
            if number == self._dialogs:
                if isinstance(event, Answered):
                    self.remote_headers = event.headers
                self._note_peer()
                self.tell(event)

        return on_event

    def _note_peer(self) -> None:
        """Whom the messages go to: an INVITE finds its way by and by, and may try several."""
        if self.session is not None and self.session.remote:
            self.books.notes.remote_address = self.session.remote

    def take_over(
        self, successor: IncomingInviteSession, invite: Request
    ) -> Callable[[SessionEvent], None]:
        """Let a call with Replaces (RFC 3891) take the place of this one's dialog.

        The call answers it, or refuses it and goes on. The result hears the successor's events.
        """
        self._successor = successor
        self._successor_headers = invite.headers
        self.tell(do.TakenOver(invite.body))
        if self._successor is not None:
            # The call was not up, or has just ended.
            self._successor = None
            successor.reject(481, "Call/Transaction Does Not Exist")
        return self.listen() if self.session is successor else _nobody

    def media_event(self, event: LegEvent) -> None:
        """Something happened on the leg."""
        if isinstance(event, LevelChanged):
            # By far the most frequent, and of no concern to the call itself.
            if self.phase is Phase.ACTIVE:
                self.seat.level_changed(event.level, active=event.active)
        elif isinstance(event, DigitReceived):
            self.tell(do.DigitFromPhone(event.digit))
        else:
            meaning = self.MEANINGS.get(type(event))
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
        due = self._machine.deadline if self._machine is not None else None
        if due != self._due:
            self._rearm(due)
        # A call that waits for a time is not at its end.
        if due is None and not self._errands:
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

    def _rearm(self, due: float | None) -> None:
        """A timer that is too early is let be: most calls end before it, and it sets the next."""
        self._due = due
        if self._timer is not None:
            if due is not None and due >= self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        self._timer_at = due
        wait = max(0.0, due - self.ports.clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait, self._time_over)

    def _time_over(self) -> None:
        """A deadline is told when it has come, and not earlier: it may have moved away, too."""
        self._timer = None
        due = self._due
        if due is not None and due > self.ports.clock.monotonic():
            self._set_timer(due if due > self._timer_at else due + TOO_EARLY)
            return
        self._due = None
        self.tell(do.DeadlineReached())

    def _look_for_the_end(self) -> None:
        if self._machine is not None and self._machine.finished:
            self._machine = None
            self._on_finished(self)

    async def _errand(self, work: Callable[[], Any]) -> None:
        self._errands += 1
        try:
            await work()
        finally:
            self._errand_over()

    def _errand_over(self) -> None:
        self._errands -= 1
        if not self._errands and not self._busy:
            self._look_for_the_end()

    def send_out(self, work: Callable[[], Any], name: str) -> None:
        """Something that takes time; the call is not finished before it is."""
        self.ports.tasks.spawn(self._errand(work), name=f"{name} {self.call_id}")

    # ── the room ─────────────────────────────────────────────────────────────

    def _join_room(self, command: do.JoinRoom) -> None:
        self._join(command.guest)

    def _join(self, guest: do.Guest) -> None:
        try:
            seat = self.seat.join(guest, self.tell, self._play_out)
        except ServiceError as refusal:
            self.tell(do.JoinRefused(refusal.message))
            return
        except Exception:
            self.tell(do.JoinRefused("internal error"))
            raise
        self.seat.offer_methods(
            {GET_REMOTE_HEADERS: self._headers_asked, END_CALL: self._end_asked}
        )
        self.books.seated(guest, seat.room_sid, seat.participant_sid)
        self.tell(do.Joined())

    def _headers_asked(self, payload: str) -> str:
        hides = self.record.hides_numbers
        return remote_headers(self.remote_headers, payload, hides_numbers=hides)

    def _end_asked(self, payload: str) -> str:
        """The answer is on its way to whoever asked before the phone's seat is empty."""
        if self.phase in (None, Phase.ENDED):
            raise RpcFailed(RpcCode.APPLICATION_ERROR, "the call has ended")
        event = do.EndWanted(end_call_headers(payload))
        asyncio.get_running_loop().call_later(_ANSWER_FIRST, self.tell, event)
        return "{}"

    def _publish_track(self, command: do.PublishTrack) -> None:
        self.seat.publish(self.sound.start_tone(DIAL_TONE) if command.tone else None)

    def _connect_track(self, _command: do.ConnectTrack) -> None:
        self.seat.sound_from(self.sound.source)
        self.sound.stop_tone()

    def _hear_room(self, _command: do.HearRoom) -> None:
        self.seat.hear(self.sound.sink)

    def _set_status(self, command: do.SetStatus) -> None:
        status = {"sip.callStatus": str(command.status)}
        if not self.seat.show({**command.attributes, **status}):
            # A carrier with very long headers must not hide that the call was answered.
            self.seat.show(status)
        self.books.changed(command.status)

    def _set_attributes(self, command: do.SetAttributes) -> None:
        self.seat.show(command.attributes)

    def _set_hold(self, command: do.SetHold) -> None:
        self.seat.show({"sip.hold": "true" if command.held else ""})
        self.books.held(held=command.held)

    def _tell_digit(self, command: do.TellDigit) -> None:
        self.seat.tell_digit(command.digit)

    def _leave_room(self, command: do.LeaveRoom) -> None:
        # Not at once: it may be the room that makes us leave, while it tells others as well.
        self._errands += 1
        asyncio.get_running_loop().call_soon(self._leave, command.reason)

    def _leave(self, reason: DisconnectReason) -> None:
        try:
            self.seat.leave(reason)
        finally:
            self._errand_over()

    # ── the phone ────────────────────────────────────────────────────────────

    def _cancel(self, command: do.Cancel) -> None:
        if self.session is not None:
            self.session.cancel(self._farewell(command.reason, command.headers))

    def _bye(self, command: do.Bye) -> None:
        if self.session is not None:
            self.session.bye(self._farewell(command.reason, command.headers))

    def _farewell(self, reason: str, headers: Fields) -> Fields:
        given = (("Reason", reason),) if reason else ()
        return (*given, *self.own_headers(), *headers)

    def _respond_offer(self, command: do.RespondOffer) -> None:
        if self.session is not None:
            self.session.respond_offer(
                command.offer_id, command.status, command.phrase, command.body
            )

    def _answer_successor(self, command: do.AnswerSuccessor) -> None:
        predecessor, successor = self.session, self._successor
        if successor is None:
            return
        self._successor = None
        self.session = successor
        self._dialogs += 1
        self.remote_headers = self._successor_headers
        successor.answer(command.body, self.own_headers())
        if predecessor is not None:
            predecessor.bye((("Reason", 'SIP;cause=200;text="Call taken over"'),))
        self.books.notes.sip_call_id = legible(successor.call_id)
        self.seat.show(
            {
                "sip.callIDFull": successor.call_id,
                "sip.callTag": tag_of(self.remote_headers.get("From") or "") or "",
            }
        )

    def _refuse_successor(self, command: do.RefuseSuccessor) -> None:
        successor, self._successor = self._successor, None
        if successor is not None:
            successor.reject(command.status, command.phrase)

    def respond_refer(self, refer_id: int, status: int, reason: str = "") -> None:
        """Answer the phone's wish to be transferred."""
        if self.session is not None:
            self.session.respond_refer(refer_id, status, reason)

    def notify_refer(self, refer_id: int, status: int, reason: str) -> None:
        """Tell the phone how the call goes that it wished for."""
        if self.session is not None:
            self.session.notify_refer(refer_id, status, reason)

    def _respond_refer(self, command: do.RespondRefer) -> None:
        self.respond_refer(command.refer_id, command.status, command.phrase)

    def _dial_referred(self, command: do.DialReferred) -> None:
        if not self.ports.referred(self.call_id, command):
            self.respond_refer(command.refer_id, 603, "Decline")

    def _refer(self, command: transfer.Refer) -> None:
        self.books.transfer_begins(command.plan)
        self.seat.show({"sip.transferStatus": "ongoing"})
        if self.session is None:
            return
        try:
            self.session.refer(command.plan.refer_to, (*self.own_headers(), *command.plan.headers))
        except LocalSipError as error:
            self.tell(TransferAbandoned())
            _log.warning("REFER cannot be sent", call=self.call_id, why=str(error))

    def _report_transfer(self, command: transfer.ReportTransfer) -> None:
        record = self.books.transfer_ends(command.result)
        self.seat.show({"sip.transferStatus": record.status.name.lower()})
        self.transfers.settle(record)

    def _ring_phone(self, _command: transfer.RingPhone) -> None:
        self.seat.hear_only(self.sound.sink, self.sound.start_ringing())

    def _restore_sound(self, _command: transfer.RestoreSound) -> None:
        self.seat.hear_only(self.sound.sink, None)
        self.sound.stop_ringing()
        self.seat.hear(self.sound.sink)

    def own_headers(self) -> Fields:
        """What our requests say of the participant, as ``attributes_to_headers`` asks for it."""
        if self._machine is None:
            return ()
        rules = self._machine.call.plan.attributes_to_headers
        return headers_from(self.seat.attributes, rules) if rules else ()

    # ── the sound ────────────────────────────────────────────────────────────

    def _update_leg(self, command: do.UpdateLeg) -> None:
        self.books.sounds(command.media)
        self._agreed = command
        remote = command.media.remote
        if remote is None or is_ip(remote[0]):
            self.sound.update(command.media, remote, command.patience)
        else:
            # Rare, and allowed (RFC 4566 section 5.7): until the name is known we only receive.
            self.sound.update(command.media, None, command.patience)
            if not self._looking_up:
                self._looking_up = True
                self.send_out(self._resolve, "resolve media address of")

    async def _resolve(self) -> None:
        """One look-up at a time, however often the phone tells another name meanwhile."""
        done: do.UpdateLeg | None = None
        try:
            while self._agreed is not None and self._agreed is not done:
                done = self._agreed
                if done.media.remote is not None and not is_ip(done.media.remote[0]):
                    await self._look_up(done, *done.media.remote)
        finally:
            self._looking_up = False

    async def _look_up(self, command: do.UpdateLeg, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        # A leg has one kind of address, and sends to no other.
        family = socket.AF_INET6 if ":" in self.sound.address[0] else socket.AF_INET
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            _log.warning("no address for sound", call=self.call_id, host=host, why=str(error))
            return
        if self._agreed is command and self.phase in (Phase.ANSWERED, Phase.ACTIVE):
            address = found[0][4]
            self.sound.update(command.media, (str(address[0]), port), command.patience)

    def _set_processing(self, command: do.SetProcessing) -> None:
        self.sound.process(denoise=command.denoise, detect_tones=command.detect_tones)

    def _play_digits(self, command: do.PlayDigits) -> None:
        digits = playable(command.digits)
        if digits:
            self.sound.send_digits(digits)
        else:
            self.tell(do.DigitsPlayed())

    def _play_out(self) -> asyncio.Future[None]:
        if self.phase is Phase.ACTIVE:
            return self.sound.play_out()
        return nothing_to_wait_for()

    def _close_leg(self, _command: do.CloseLeg) -> None:
        if self.books.notes.answered_at:
            self._figures = self.sound.figures()
        self.sound.close()

    # ── the books ────────────────────────────────────────────────────────────

    def _store_answer(self, command: do.StoreAnswer) -> None:
        self.books.answered(self._dialog_of())
        if not command.at_once:
            self.books.save()
            return
        # An errand without a task, for whoever waits for the answer waits for this.
        self._errands += 1
        self.books.save_now().add_done_callback(self._answer_stored)

    def _answer_stored(self, written: asyncio.Future[None]) -> None:
        """A call goes on without its record: two people are talking."""
        try:
            written.result()
        except ServiceError as refusal:
            _log.error("answer not stored", call=self.call_id, why=refusal.message)
        try:
            self.tell(do.AnswerStored())
        finally:
            self._errand_over()

    def _store_end(self, command: do.StoreEnd) -> None:
        self._note_peer()
        self.books.ended(command.termination, self._dialog_of())
        figures, self._figures = self._figures, None
        if figures is None:
            self.books.closed(None)
            return
        # An errand without a task: every call has it, and nothing else of it waits.
        self._errands += 1
        limit = asyncio.get_running_loop().call_later(_FIGURES_LIMIT, figures.cancel)
        figures.add_done_callback(partial(self._close_books, limit))

    def _close_books(self, limit: asyncio.TimerHandle, figures: asyncio.Future[Any]) -> None:
        limit.cancel()
        try:
            self.books.closed(figures_of(figures))
        finally:
            self._errand_over()

    def _forget_dialog(self, _command: do.ForgetDialog) -> None:
        self.books.forget_dialog()

    def _dialog_of(self) -> DialogOf | None:
        return self.session.snapshot if self.session is not None else None

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
        do.AnswerSuccessor: _answer_successor,
        do.RefuseSuccessor: _refuse_successor,
        do.RespondRefer: _respond_refer,
        do.DialReferred: _dial_referred,
        do.SetHold: _set_hold,
        do.SetProcessing: _set_processing,
        transfer.Refer: _refer,
        transfer.ReportTransfer: _report_transfer,
        transfer.RingPhone: _ring_phone,
        transfer.RestoreSound: _restore_sound,
        do.RespondOffer: _respond_offer,
        do.UpdateLeg: _update_leg,
        do.CloseLeg: _close_leg,
        do.PlayDigits: _play_digits,
        do.TellDigit: _tell_digit,
        do.SetStatus: _set_status,
        do.SetAttributes: _set_attributes,
        do.LeaveRoom: _leave_room,
    }
    #: What events of the leg mean to every call; a direction may add its own.
    MEANINGS: ClassVar[Mapping[type[Any], object]] = {
        MediaTimedOut: do.MediaLost(),
        DigitsSent: do.DigitsPlayed(),
    }


def _nobody(_event: SessionEvent) -> None:
    """Whose call was refused has nothing to hear."""
