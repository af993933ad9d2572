"""What a phone can do in a call: the words that phone scripts are written in.

A phone is an ``async`` function of one argument::

    async def greeter(call: PhoneCall) -> None:
        await call.ring(seconds=2)
        await call.answer()
        await call.play(melody())
        heard = await call.listen(until=tone(440), seconds=10)
        call.note("heard the beep" if heard.matched else "no beep came")
        await call.hang_up()

Everything takes its time, so that a script reads like what a person does. When the caller hangs up,
the script is cancelled where it waits. A script that returns hangs up, or, if it never answered,
refuses the call as temporarily unavailable (480).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import field
from typing import NoReturn, Protocol

from switchroom.base.records import record, replace
from switchroom.phonenet import events
from switchroom.phonenet.call_media import CODECS, CallMedia
from switchroom.phonenet.changes import HearingChanges
from switchroom.phonenet.facilities import Facilities
from switchroom.phonenet.hearing import Ear, Heard, Impression
from switchroom.phonenet.line import Line
from switchroom.phonenet.media_port import MediaPort
from switchroom.phonenet.recordings import Message, Recording, keep_message
from switchroom.phonenet.rtp import PressedDigit
from switchroom.phonenet.sounds import Sound, Tone, melody, silence, tone, wav
from switchroom.phonenet.talk import Speech, Talk
from switchroom.phonenet.talking import VOICE
from switchroom.sdp.errors import NotAcceptable, SdpError
from switchroom.speech.errors import SpeechUnavailable

__all__ = ["PhoneCall", "Script", "melody", "silence", "tone", "wav"]

_PATIENCE = 10.0
"""Seconds to wait for a sound or a digit where the script names none."""

_MOST_HEARINGS = 200
"""Changes of sound told for each call; a call with more is music."""


class CallOver(Exception):
    """The script asked for something that needs a call, and there is none (any more)."""


class Signalling(Protocol):
    """The phone's side of the SIP dialog. Nothing here fails or waits."""

    def ring(self, status: int, body: bytes) -> None: ...
    def answer(self, body: bytes) -> None: ...
    def reject(self, status: int, reason: str) -> None: ...
    def hang_up(self) -> None: ...
    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes) -> None: ...


@record
class CallInfo:
    """What came with a call: an id of ours, who calls whom, and the headers beginning with X-."""

    call: str
    number: str
    caller: str
    caller_name: str = ""
    sip_call_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class PhoneCall:
    """One call, seen from the phone that is rung.

    `info` says who calls; `digits` is what the far end has pressed so far. `dialled` is whether
    this phone has placed the call itself.
    """

    dialled = False

    def __init__(
        self,
        info: CallInfo,
        offer: bytes,
        signalling: Signalling,
        open_port: Callable[[], Awaitable[MediaPort]],
        facilities: Facilities,
    ) -> None:
        self.info = info
        self.digits = ""
        self._offer = offer
        self._signalling = signalling
        self._open_port = open_port
        self._facilities = facilities
        self._report = facilities.report
        self._now = asyncio.get_running_loop().time
        self._media: CallMedia | None = None
        self._talk: Talk | None = None
        self._changes = HearingChanges()
        self._told = 0
        self._news = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._ringing_since: float | None = None
        self._answered_at: float | None = None
        self._over = False
        self.on_over: Callable[[], None] = lambda: None

    # ── before the answer ────────────────────────────────────────────────────

    async def ring(self, seconds: float | None = 2.0) -> None:
        """Ring (180) for so long; None rings until the caller gives up."""
        self._rings(180)
        self._signalling.ring(180, b"")
        await self.wait(seconds)

    async def announce(self, sound: Sound, seconds: float | None = None) -> None:
        """Let the caller hear something before the call is answered (183 with early media)."""
        await self._open_media()
        media = self._require_media()
        self._rings(183)
        if media.line is None:
            # A caller without an offer has not said where it listens.
            self._signalling.ring(183, b"")
            await self.wait(sound.seconds if seconds is None else seconds)
            return
        self._signalling.ring(183, media.described())
        await self.play(sound, seconds)

    async def answer(self, codecs: Sequence[str] = ("PCMU", "PCMA")) -> None:
        """Pick up, with the caller's favourite among `codecs`.

        An offer without any of them is refused by 488, which ends the script.
        """
        for name in codecs:
            if name not in CODECS:
                raise ValueError(f"a phone of this network has no codec {name!r}")
        self._ring_if_silent()
        await self._open_media(codecs)
        media = self._require_media()
        self._answered_at = self._now()
        self._signalling.answer(media.described())
        if media.line is None:
            await self._acknowledged.wait()
        self._tell_answered()

    async def reject(self, status: int, reason: str = "") -> NoReturn:
        """Refuse the call with a SIP status of 400 to 699. Ends the script."""
        if not 400 <= status <= 699:
            raise ValueError(f"{status} does not refuse a call")
        self._require_unanswered()
        self._signalling.reject(status, reason)
        self._report(events.Rejected(call=self.info.call, status=status, reason=reason))
        self.finish("phone", f"refused ({status})")
        raise CallOver

    # ── in the call ──────────────────────────────────────────────────────────

    async def play(self, sound: Sound, seconds: float | None = None) -> None:
        """Play a sound to its end, or for so long. An endless one without time plays for good."""
        self._report(events.Plays(call=self.info.call, sound=sound.name))
        await self._play_out(sound, seconds)

    def start_playing(self, sound: Sound, seconds: float | None = None) -> Line:
        """Play a sound and go on with the script at once."""
        line = self._require_line()
        line.on_played = lambda: None
        line.play(sound, seconds)
        self._report(events.Plays(call=self.info.call, sound=sound.name))
        return line

    def stop_playing(self) -> None:
        """Fall silent."""
        self._require_line().stop()

    async def listen(self, seconds: float | None = None, until: Tone | None = None) -> Heard:
        """Listen for so long, or until a tone was there for 200 ms (10 s if no time is given).

        ``matched`` of what was heard says whether the tone came.
        """
        line = self._require_line()
        if until is not None and seconds is None:
            seconds = _PATIENCE
        ear = Ear(until.hz if until is not None else None)
        line.listening = ear
        try:
            await self._until(lambda: ear.matched, seconds)
        finally:
            line.listening = None
            heard = ear.heard()
            if not self._over:
                self._report(events.Listened(call=self.info.call, heard=heard))
        return heard

    async def say(self, text: str, voice: str = VOICE) -> None:
        """Say a text, to its end. Raises SpeechUnavailable where nothing can speak."""
        talk = self._talking()
        sound = await self._facilities.talking.spoken(text, voice)
        self._report(events.Said(call=self.info.call, text=text, seconds=round(sound.seconds, 3)))
        await self._play_out(sound, None)
        talk.has_spoken()

    async def listen_for_speech(
        self, phrases: Sequence[str] = (), seconds: float = _PATIENCE
    ) -> Speech | None:
        """What the caller says next; None if nothing begins within so many seconds.

        An utterance ends with 0.7 s of silence. It is understood as one or several of `phrases`
        (without any: as whatever it may be, which succeeds less often). What the caller said since
        the phone's first word is not lost if the script listens later.
        Raises SpeechUnavailable where nothing can listen.
        """
        return await self._talking().listen(phrases, seconds)

    async def hear_speech_begin(self, seconds: float = _PATIENCE) -> bool:
        """Wait until the caller begins to speak; False if that takes longer."""
        return await self._talking().begins(seconds)

    async def get_ready_to_talk(
        self, lines: Sequence[str], phrases: Sequence[str] = (), voice: str = VOICE
    ) -> None:
        """Think of what to say and to listen for, so that it takes no time when it is needed.

        Before the answer, a phone that cannot talk here refuses the call by this and says why.
        Raises SpeechUnavailable.
        """
        await self._facilities.talking.get_ready(tuple(lines), tuple(phrases), voice)

    async def record(self, recording: Recording) -> None:
        """Record what is heard until the recording has enough."""
        line = self._require_line()
        line.followers.append(recording)
        recording.on_end = self._news.set
        try:
            await self._until(lambda: recording.ended, None)
        finally:
            line.followers.remove(recording)

    def keep_message(self, recording: Recording, phrases: Sequence[str] = ()) -> None:
        """Keep what was recorded, if anything, and report it with its transcript.

        This can be done after the call as well, and takes the phone no time.
        """
        samples = recording.message()
        if not samples:
            return
        info, facilities = self.info, self._facilities
        message = Message(info.call, info.number, samples, recording.because, tuple(phrases))
        keeping = keep_message(message, facilities)
        facilities.after_calls.spawn(keeping, name=f"{info.call} message")

    async def collect(
        self, count: int | None = None, until: str = "#", seconds: float = _PATIENCE
    ) -> str:
        """The keys that the caller presses from now on.

        Ends after `count` keys, at a key of `until` (which is left out), or `seconds` after the
        last one.
        """
        self._require_line()
        start = len(self.digits)

        def enough() -> bool:
            pressed = self.digits[start:]
            return (count is not None and len(pressed) >= count) or pressed[-1:] in set(until)

        while not enough() and await self._next_digit(seconds):
            pass
        return self.digits[start:].rstrip(until)

    async def press(self, digits: str) -> None:
        """Press keys: 0–9, *, #, A–D; ``w`` waits half a second. Raises ValueError."""
        line = self._require_line()
        done = asyncio.Event()
        line.on_pressed = done.set
        line.press(digits)
        await done.wait()

    async def echo(self, seconds: float | None = None) -> None:
        """Send back what is heard; None does so until the caller hangs up."""
        line = self._require_line()
        line.echoing = True
        try:
            await self.wait(seconds)
        finally:
            line.echoing = False

    @asynccontextmanager
    async def playing(self, sound: Sound) -> AsyncIterator[None]:
        """``async with call.playing(tone(1000)):`` plays while the block runs."""
        self.start_playing(sound)
        try:
            yield
        finally:
            if not self._over:
                self.stop_playing()

    def vanish(self) -> None:
        """Send nothing any more, as a phone whose network is gone. SIP still works."""
        self._require_line().muted = True

    async def hang_up(self) -> None:
        """End the call."""
        self._require_line()
        self._signalling.hang_up()
        self.finish("phone", "hung up")

    # ── at any time ──────────────────────────────────────────────────────────

    async def wait(self, seconds: float | None) -> None:
        """Let time pass; None waits until the caller hangs up."""
        if self._over:
            raise CallOver
        if seconds is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(seconds)

    def note(self, text: str) -> None:
        """Put a remark into the report."""
        self._report(events.Noted(call=self.info.call, note=text))

    # ── what the carrier tells ───────────────────────────────────────────────

    @property
    def answered(self) -> bool:
        return self._answered_at is not None

    @property
    def over(self) -> bool:
        return self._over

    def acknowledged(self, body: bytes) -> None:
        """The ACK to our 200 has come; with a late offer it brings the answer."""
        media = self._media
        if media is not None and media.line is None and not self._over:
            try:
                media.accept(body)
            except SdpError as error:
                self._signalling.hang_up()
                self.finish("phone", f"cannot use the caller's answer: {error}")
                return
            self._listen_to(media)
        self._acknowledged.set()

    def offered(self, offer_id: int, body: bytes) -> None:
        """The caller wants other media in a running call (hold, another address)."""
        media = self._media
        if media is None or self._over:
            self._signalling.respond_offer(offer_id, 491, "Request Pending", b"")
            return
        try:
            answer = media.answer(body) if body else media.offer()
        except SdpError:
            self._signalling.respond_offer(offer_id, 488, "Not Acceptable Here", b"")
            return
        self._signalling.respond_offer(offer_id, 200, "OK", answer)
        if media.agreed is not None:
            self._report(events.Held(call=self.info.call, direction=media.agreed.direction))

    def leave(self, by: str, reason: str, status: int = 480, phrase: str = "") -> None:
        """End the call from this side, in whatever state it is. A `phrase` explains a refusal."""
        if self._over:
            return
        if self.answered:
            self._signalling.hang_up()
        else:
            self._signalling.reject(status, phrase)
            self._report(events.Rejected(call=self.info.call, status=status, reason=phrase))
        self.finish(by, reason)

    def broke(self, error: Exception) -> None:
        """The script failed: say so, and end the call by 500 or BYE."""
        self._report(events.Failed(call=self.info.call, error=f"{type(error).__name__}: {error}"))
        self.leave("phone", "the phone's script failed", 500)

    def finish(self, by: str, reason: str) -> None:
        """The call is over; what is still to be told is told. Does nothing the second time."""
        if self._over:
            return
        self._over = True
        self._report(self._summary(by, reason))
        if self._media is not None:
            self._media.close()
        if self._talk is not None:
            self._talk.over()
        self.on_over()

    # ── inside ───────────────────────────────────────────────────────────────

    async def _play_out(self, sound: Sound, seconds: float | None) -> None:
        line = self._require_line()
        done = asyncio.Event()
        line.play(sound, seconds)
        line.on_played = done.set
        await done.wait()

    def _talking(self) -> Talk:
        line = self._require_line()
        if self._talk is None:
            self._talk = Talk(self.info.call, line, self._facilities)
        return self._talk

    def _rings(self, status: int) -> None:
        self._require_unanswered()
        if self._ringing_since is None:
            self._ringing_since = self._now()
        self._report(events.Ringing(call=self.info.call, status=status))

    def _ring_if_silent(self) -> None:
        self._require_unanswered()
        if self._ringing_since is None:
            self._ringing_since = self._now()

    async def _open_media(self, codecs: Sequence[str] = ("PCMU", "PCMA")) -> None:
        self._require_unanswered()
        if self._media is not None:
            return
        port = await self._open_port()
        if self._over:
            port.close()
            raise CallOver
        media = self._media = CallMedia(port, codecs)
        if not self._offer:
            media.offer()
            return
        try:
            media.answer(self._offer)
        except NotAcceptable:
            await self.reject(488, "Not Acceptable Here")
        except SdpError:
            await self.reject(400, "Bad Session Description")
        self._listen_to(media)

    def _listen_to(self, media: CallMedia) -> None:
        line = media.line
        if line is None:
            return
        line.on_digit = self._pressed
        line.on_impression = self._heard

    def _tell_answered(self) -> None:
        media = self._require_media()
        agreed = media.agreed
        if agreed is not None:
            where = "nowhere" if agreed.remote is None else "{}:{}".format(*agreed.remote)
            codec = agreed.codecs[0].name
            self._report(events.Answered(call=self.info.call, codec=codec, media=where))

    def _pressed(self, pressed: PressedDigit) -> None:
        self.digits += pressed.digit
        self._report(
            events.Digit(call=self.info.call, digit=pressed.digit, duration_ms=pressed.duration_ms)
        )
        self._news.set()

    def _heard(self, impression: Impression) -> None:
        self._news.set()
        change = self._changes.add(impression)
        if change is None or self._told >= _MOST_HEARINGS:
            return
        self._told += 1
        self._report(
            events.Hears(
                call=self.info.call,
                what=change.what,
                level_dbov=round(change.level_dbov, 1),
                tone_hz=None if change.tone_hz is None else round(change.tone_hz, 1),
            )
        )

    async def _next_digit(self, seconds: float) -> bool:
        """Wait for one more key; False if none came in time."""
        known = len(self.digits)
        await self._until(lambda: len(self.digits) > known, seconds)
        return len(self.digits) > known

    async def _until(self, satisfied: Callable[[], bool], seconds: float | None) -> None:
        """Wait until what was heard satisfies, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                while not satisfied():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return

    def _require_unanswered(self) -> None:
        if self._over:
            raise CallOver
        if self.answered:
            raise RuntimeError("the call is answered already")

    def _require_media(self) -> CallMedia:
        if self._over or self._media is None:
            raise CallOver
        return self._media

    def _require_line(self) -> Line:
        line = self._require_media().line
        if line is None:
            raise CallOver
        return line

    def _summary(self, by: str, reason: str) -> events.Ended:
        now = self._now()
        answered = self._answered_at
        rang = 0.0 if self._ringing_since is None else (answered or now) - self._ringing_since
        ended = events.Ended(
            call=self.info.call,
            by=by,
            reason=reason,
            number=self.info.number,
            ring_seconds=round(rang, 3),
            talk_seconds=0.0 if answered is None else round(now - answered, 3),
            heard=Heard(),
            digits=self.digits,
        )
        line = self._media.line if self._media is not None else None
        if line is None:
            return ended
        return replace(
            ended,
            heard=line.ear.heard(),
            packets_sent=line.sent,
            packets_received=line.received,
            lost=line.arrivals.lost,
            jitter_ms=round(line.jitter.ms, 2),
        )


Script = Callable[[PhoneCall], Awaitable[None]]


async def run_script(call: PhoneCall, script: Script) -> None:
    """Let a phone's script have the call, and see to it that the call ends when the script does."""
    try:
        await script(call)
    except CallOver:
        # The script went on after the end, or the caller's offer was refused.
        return
    except asyncio.CancelledError:
        if call.over:
            return
        call.leave("network", "the network was stopped")
        raise
    except SpeechUnavailable as error:
        call.leave("phone", f"cannot talk here: {error}", phrase=str(error))
    except Exception as error:  # noqa: BLE001 – a phone's own code: its failure ends its call only
        call.broke(error)
    else:
        call.leave("phone", "hung up" if call.answered else "did not answer")
