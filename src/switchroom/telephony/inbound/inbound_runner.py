"""Drives a call to us: ringing, answering, prompts, and who else is in the room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from switchroom.base.errors import ServiceError
from switchroom.base.log import get_logger
from switchroom.base.records import record, replace
from switchroom.media import EngineError, Leg, MediaStarted, Player, PlayerEvent, Tone, WavFile
from switchroom.rooms.data import DispatchEnded
from switchroom.sip.invite_session import Fields, IncomingInviteSession
from switchroom.telephony.calls import call_events as do
from switchroom.telephony.calls.call import Phase
from switchroom.telephony.calls.call_ports import CallPorts
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.call_runner import CallRunner
from switchroom.telephony.inbound import inbound_events as desk
from switchroom.telephony.inbound.company import can_be_heard
from switchroom.telephony.inbound.inbound_events import (
    ForwardFailed,
    NobodyComes,
    PinAccepted,
    PinRefused,
    SomebodyHeard,
    Sound,
    SoundPlayed,
)
from switchroom.telephony.routing.caller_naming import free_identity
from switchroom.telephony.routing.dispatch_rules import DispatchRule

_log = get_logger("telephony")

Forwarding = Callable[[str, str], Awaitable[str]]
"""Phones a number from a room; returns its identity there once it is active.

Raises ServiceError. Giving up waiting ends the dial.
"""


@record
class Lobby:
    """What one call needs of the house beside `CallPorts`.

    ``route`` finds the guest and the rule for a PIN. ``headers`` are the trunk's, for the 200.
    """

    session: IncomingInviteSession
    headers: Fields
    sounds: Mapping[Sound, Tone | WavFile]
    route: Callable[[str], tuple[do.Guest, DispatchRule] | None]
    forward: Forwarding


class InboundRunner(CallRunner):
    """A call to us."""

    session: IncomingInviteSession

    def __init__(
        self,
        lobby: Lobby,
        leg: Leg,
        ports: CallPorts,
        record: CallRecord,
        on_finished: Callable[[CallRunner], None],
    ) -> None:
        super().__init__(leg, ports, record, on_finished)
        self.session = lobby.session
        self._lobby = lobby
        self._player: Player | None = None
        self._heard = False
        self._deserted = False
        self._forwarding: asyncio.Task[None] | None = None
        self._forwarded = ""

    def tell(self, event: object) -> None:
        """As `CallRunner.tell`; news of agents count when the last hope is gone."""
        if isinstance(event, DispatchEnded):
            self._deserted = True
            self._look_around()
        else:
            super().tell(event)

    # ── the room ─────────────────────────────────────────────────────────────

    def _join(self, guest: do.Guest) -> None:
        """Who calls a second time gets another identity, or he would throw himself out."""
        rooms = self.ports.rooms
        identity = free_identity(
            guest.identity, lambda taken: rooms.find(guest.room_name, taken) is not None
        )
        super()._join(replace(guest, identity=identity))

    def _watch_company(self, _command: desk.WatchCompany) -> None:
        seat = self.seat.taken
        if seat is not None:
            seat.watch_company(self._look_around)
            self._look_around()

    def _look_around(self) -> None:
        seat = self.seat.taken
        if seat is None:
            return
        company = seat.company
        if self._forwarded and all(other.identity != self._forwarded for other in company):
            self._forwarded = ""
            self._part(seat.room_name, seat.identity)
        if can_be_heard(company):
            self._somebody_speaks()
        elif self._deserted and not company and not seat.expects_agents:
            self._deserted = False
            super().tell(NobodyComes())

    def _somebody_speaks(self) -> None:
        if self._heard:
            return
        self._heard = True
        if self.phase is Phase.ACTIVE:
            self._stop_player()
        super().tell(SomebodyHeard())

    # ── the caller ───────────────────────────────────────────────────────────

    def _ring(self, _command: desk.Ring) -> None:
        self.session.ring()

    def _answer(self, command: desk.Answer) -> None:
        self.session.answer(command.body, (*self._lobby.headers, *self.own_headers()))
        _log.info("call answered", call=self.call_id)

    def _reject(self, command: do.Reject) -> None:
        headers = (*self.own_headers(), *command.headers)
        self.session.reject(command.status, command.phrase, headers)

    def _redirect(self, command: desk.RedirectCaller) -> None:
        contact = ("Contact", f"<{command.uri}>")
        self.session.reject(302, "Moved Temporarily", (contact, *self.own_headers()))

    # ── what the caller hears ────────────────────────────────────────────────

    def _play(self, command: desk.PlayToPhone) -> None:
        self._stop_player()
        on_event = None if command.sound.repeats else self._player_event
        try:
            self._player = self.ports.engine.play(self._lobby.sounds[command.sound], on_event)
        except EngineError as error:
            _log.error("a sound cannot be played", sound=command.sound.value, why=str(error))
            super().tell(SoundPlayed())
            return
        self.sound.sink.set_inputs({self._player.source: 1.0})

    def _player_event(self, _event: PlayerEvent) -> None:
        self._stop_player()
        super().tell(SoundPlayed())

    def _stop_sound(self, _command: desk.StopSound) -> None:
        self._stop_player()

    def _stop_player(self) -> None:
        player, self._player = self._player, None
        if player is not None:
            player.stop()

    # ── the PIN, the fallback, the books ─────────────────────────────────────

    def _try_pin(self, command: desk.TryPin) -> None:
        routed = self._lobby.route(command.pin)
        if routed is None:
            super().tell(PinRefused())
            return
        guest, rule = routed
        notes = self.books.notes
        notes.rule_id, notes.hides_numbers = rule.rule_id, rule.hide_phone_number
        super().tell(PinAccepted(guest))

    def _forward(self, command: desk.ForwardTo) -> None:
        seat = self.seat.taken
        if seat is not None:
            work = self._bring(seat.room_name, command.number)
            self._forwarding = self.ports.tasks.spawn(work, name=f"forward {self.call_id}")

    async def _bring(self, room_name: str, number: str) -> None:
        try:
            self._forwarded = await self._lobby.forward(room_name, number)
        except ServiceError as refusal:
            super().tell(ForwardFailed(refusal.message))
        self._look_around()

    def _part(self, room_name: str, identity: str) -> None:
        """One side of a forwarded call has gone: the other one has nobody to talk to."""
        self.send_out(lambda: self._remove(room_name, identity), "part")

    async def _remove(self, room_name: str, identity: str) -> None:
        try:
            await self.ports.rooms.remove_participant(room_name, identity)
        except ServiceError:
            return  # it has left by itself

    def _close_leg(self, command: do.CloseLeg) -> None:
        self._stop_player()
        if self._forwarding is not None:
            self._forwarding.cancel()
        if self._forwarded:
            self._part(self.books.notes.room_name, self._forwarded)
            self._forwarded = ""
        super()._close_leg(command)

    def _note_seat(self, _command: desk.NoteSeat) -> None:
        self.books.save()
        seat = self.seat.taken
        if seat is not None:
            there = ", ".join(other.identity for other in seat.company) or "nobody"
            agents = "on their way" if seat.expects_agents else "none was asked for, or none came"
            _log.info(
                "caller is in its room",
                call=self.call_id,
                room_name=seat.room_name,
                there=there,
                agents=agents,
            )

    PERFORM: ClassVar[Mapping[type[Any], Callable[[Any, Any], None]]] = {
        **CallRunner.PERFORM,
        do.Reject: _reject,
        do.CloseLeg: _close_leg,
        desk.Ring: _ring,
        desk.Answer: _answer,
        desk.RedirectCaller: _redirect,
        desk.WatchCompany: _watch_company,
        desk.PlayToPhone: _play,
        desk.StopSound: _stop_sound,
        desk.TryPin: _try_pin,
        desk.ForwardTo: _forward,
        desk.NoteSeat: _note_seat,
    }
    MEANINGS: ClassVar[Mapping[type[Any], object]] = {
        **CallRunner.MEANINGS,
        MediaStarted: do.MediaStarted(),
    }
