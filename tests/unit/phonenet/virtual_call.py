"""A call to a phone script without sockets and without waiting: VirtualLoop and the far end."""

from __future__ import annotations

import asyncio
import selectors
from array import array
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from switchroom.base.tasks import Tasks
from switchroom.phonenet import events
from switchroom.phonenet.facilities import Facilities
from switchroom.phonenet.hearing import crossing_hz
from switchroom.phonenet.line import Line, LineCodecs
from switchroom.phonenet.messages import MessageFolder
from switchroom.phonenet.script import CallInfo, PhoneCall, Script, run_script
from switchroom.phonenet.sounds import Sound, tone
from switchroom.sdp.codecs import PCMA, PCMU, Codec, telephone_event
from switchroom.sdp.offer_answer import LocalMedia, accept_answer, offer
from switchroom.speech.errors import SpeechUnavailable
from switchroom.speech.phrases import parse
from switchroom.speech.spoken import words

_Result = TypeVar("_Result")
_Kind = TypeVar("_Kind", bound=events.Event)


class JumpingSelector(selectors.SelectSelector):
    """Never waits: where the loop would sleep, it moves the clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for ever")
        self.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody waits."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtually(main: Callable[[], Awaitable[_Result]]) -> _Result:
    async def bounded() -> _Result:
        return await asyncio.wait_for(main(), 3600)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(bounded())


class Wire:
    """The phone's media port, joined to a caller's line in memory."""

    address = ("192.0.2.50", 4000)

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.phone: Line | None = None
        self.caller: Line | None = None
        self.remote: tuple[str, int] | None = None
        self.closed = False

    def start(self, line: Line) -> None:
        self.phone = line
        self._beat()

    def send_to(self, remote: tuple[str, int] | None) -> None:
        self.remote = remote

    def close(self) -> None:
        self.closed = True

    def _beat(self) -> None:
        if self.closed or self.phone is None:
            return
        now = self.loop.time()
        packet = self.phone.next_packet()
        if self.caller is not None:
            if packet is not None and self.remote is not None:
                self.caller.receive(packet, now)
            back = self.caller.next_packet()
            if back is not None:
                self.phone.receive(back, now)
        self.loop.call_later(0.020, self._beat)


class PaperTalking:
    """A language of tones: each text has its own, a tenth of a second long for each word.

    `missing` is the sentence with which nothing can be said or understood.
    """

    def __init__(self) -> None:
        self.missing = ""
        self.texts: list[str] = []

    async def spoken(self, text: str, voice: str) -> Sound:
        self._need()
        if text not in self.texts:
            self.texts.append(text)
        sine = tone(400 + 50 * self.texts.index(text)).samples
        return Sound(text, sine[: 800 * len(text.split())])

    async def understood(self, samples: array[int], phrases: tuple[str, ...]) -> str:
        self._need()
        sounding = [sample for sample in samples if abs(sample) > 20]
        hz = crossing_hz(array("h", sounding)) or 0.0
        place = round((hz - 400) / 50)
        said = self.texts[place] if 0 <= place < len(self.texts) else ""
        if not phrases:
            return said
        return " ".join(m.said for m in parse(phrases).in_a_row(words(said)))

    async def get_ready(self, lines: Sequence[str], phrases: tuple[str, ...], voice: str) -> None:
        self._need()

    async def aclose(self) -> None: ...

    def _need(self) -> None:
        if self.missing:
            raise SpeechUnavailable(self.missing)


class KeptMessages(MessageFolder):
    """Messages in memory."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.kept: dict[str, array[int]] = {}

    async def keep(self, name: str, samples: array[int]) -> Path:
        self.kept[name] = samples
        return Path(name)


class Caller:
    """The far end: takes down what the phone signals, and can talk, listen and hang up."""

    def __init__(self, script: Script, codecs: tuple[Codec, ...] = (PCMU, PCMA)) -> None:
        self.loop = asyncio.get_running_loop()
        self.local = LocalMedia("192.0.2.9", 5000, (*codecs, telephone_event()), 1)
        self.offer = offer(self.local)
        self.wire = Wire()
        self.signals: list[str] = []
        self.told: list[tuple[float, events.Event]] = []
        self.digits = ""
        self.line: Line | None = None
        self.started = self.loop.time()
        self.talking = PaperTalking()
        self.after_calls = Tasks("after calls")
        self.messages = KeptMessages()
        self.facilities = Facilities(
            self._report, self.after_calls, self.messages, self.talking, self.loop.time
        )
        self._script = script
        self._bodies: list[bytes] = []
        self.answered = asyncio.Event()
        self._news = asyncio.Event()

    def dial(self, body: bytes | None = None) -> None:
        info = CallInfo("c1", "+12025550100", "+15550199")
        offered = self.offer.serialise() if body is None else body
        self.call = PhoneCall(info, offered, self, self._open_port, self.facilities)
        self.task = self.loop.create_task(run_script(self.call, self._script))
        self.call.on_over = self._over

    def _over(self) -> None:
        if asyncio.current_task() is not self.task:
            self.loop.call_soon(self.task.cancel)

    async def _open_port(self) -> Wire:
        return self.wire

    def _report(self, event: events.Event) -> None:
        self.told.append((self.loop.time() - self.started, event))
        self._news.set()

    def ring(self, status: int, body: bytes) -> None:
        self.signals.append(str(status))
        if body:
            self._connect(body)

    def answer(self, body: bytes) -> None:
        self.signals.append("200")
        self._bodies.append(body)
        if self.offer.serialise() and self.call._offer:
            self._connect(body)
            self.call.acknowledged(b"")
        self.answered.set()

    def reject(self, status: int, reason: str) -> None:
        self.signals.append(str(status))

    def hang_up(self) -> None:
        self.signals.append("BYE")

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes) -> None:
        self.signals.append(f"{offer_id}:{status}")
        self._bodies.append(body)

    def _connect(self, body: bytes) -> None:
        codecs = LineCodecs.of(accept_answer(self.offer, body))
        if self.line is None:
            self.line = self.wire.caller = Line(codecs, ssrc=7, sequence=0, timestamp=0)
            self.line.on_digit = self._digit

    def _digit(self, pressed: object) -> None:
        self.digits += getattr(pressed, "digit", "")

    def say(self, sound: Sound, seconds: float) -> None:
        assert self.line is not None
        self.line.play(sound, seconds)

    async def says(self, text: str) -> None:
        """Say a text in the language of tones, to its end."""
        assert self.line is not None
        sound = await self.talking.spoken(text, "")
        done = asyncio.Event()
        self.line.play(sound)
        self.line.on_played = done.set
        await done.wait()

    async def until_told(self, kind: type[events.Event], count: int = 1) -> None:
        """Wait until the phone has told of so many events of a kind."""
        while len(self.all_of(kind)) < count:
            self._news.clear()
            await self._news.wait()

    def all_of(self, kind: type[_Kind]) -> list[_Kind]:
        return [event for _, event in self.told if isinstance(event, kind)]

    def hangs_up(self) -> None:
        self.call.finish("caller", "hung up")

    def times_of(self, kind: type[events.Event]) -> list[float]:
        return [round(at, 2) for at, event in self.told if isinstance(event, kind)]

    def only(self, kind: type[_Kind]) -> _Kind:
        (found,) = [event for _, event in self.told if isinstance(event, kind)]
        return found


def play_out(script: Script, *acts: Callable[[Caller], Awaitable[None]]) -> Caller:
    """Dial a phone, do the acts, and wait until its script is over."""

    async def main() -> Caller:
        caller = Caller(script)
        caller.dial()
        for act in acts:
            await act(caller)
        await caller.task
        await caller.after_calls.until_idle(60)
        return caller

    return virtually(main)


async def until_answered(caller: Caller) -> None:
    await caller.answered.wait()


def after(seconds: float) -> Callable[[Caller], Awaitable[None]]:
    return lambda _: asyncio.sleep(seconds)


async def hang_up(caller: Caller) -> None:
    caller.hangs_up()


def kinds(caller: Caller) -> list[str]:
    return [event.kind for _, event in caller.told]
