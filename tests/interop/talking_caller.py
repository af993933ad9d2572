"""A caller of ours with a voice, for phones that talk: our SIP, the phones' RTP, flite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from switchroom.base.clock import SystemClock
from switchroom.phonenet.hearing import Impression
from switchroom.phonenet.line import Line, LineCodecs
from switchroom.phonenet.media_port import UdpMediaPort
from switchroom.phonenet.sounds import RATE, Sound
from switchroom.phonenet.talking import without_silence
from switchroom.sdp.codecs import PCMU, telephone_event
from switchroom.sdp.offer_answer import LocalMedia, accept_answer, offer
from switchroom.sip.invite_session import (
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    InviteSession,
    OutgoingInvite,
    SessionEvent,
)
from switchroom.sip.uri import NameAddr, Uri
from switchroom.sip_io.driver import SipConfig, SipDriver
from switchroom.speech.synthesis import say


class TalkingCaller:
    """One call. `status` and `reason` are those of a refusal."""

    session: InviteSession

    def __init__(self, port: UdpMediaPort) -> None:
        self._port = port
        self.offer = offer(LocalMedia(*port.address, (PCMU, telephone_event()), 1))
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        self.status: int | None = None
        self.reason = ""
        self.line: Line | None = None

    def hear(self, event: SessionEvent) -> None:
        """What the SIP session tells."""
        match event:
            case Answered(body=body):
                media = accept_answer(self.offer, body)
                self.line = Line(LineCodecs.of(media), ssrc=1, sequence=1, timestamp=1)
                self._port.start(self.line)
                self._port.send_to(media.remote)
                self.answered.set()
            case Failed(failure=failure):
                self.status, self.reason = failure.status, failure.reason
                self.ended.set()
            case ByeReceived() | DialogEnded():
                self.ended.set()
            case _:
                pass

    async def says(self, text: str) -> None:
        """Say it, to its end."""
        assert self.line is not None
        pcm = await say(text, rate=RATE)
        done = asyncio.Event()
        self.line.play(Sound(text, without_silence(pcm.samples)))
        self.line.on_played = done.set
        await done.wait()

    async def hears_beep(self, hz: int) -> None:
        """Wait until a tone has come and gone."""
        assert self.line is not None
        gone = asyncio.Event()
        beeping = False

        def judge(impression: Impression) -> None:
            nonlocal beeping
            heard = impression.tone_hz
            if heard is not None and abs(heard - hz) < 10:
                beeping = True
            elif beeping and not impression.audible:
                gone.set()

        self.line.on_impression = judge
        await gone.wait()

    def hang_up(self) -> None:
        self.session.bye()


@asynccontextmanager
async def call(number: str, carrier: str) -> AsyncIterator[TalkingCaller]:
    """Call a number; everything is closed at the end."""
    driver = SipDriver(SipConfig(bind=(("127.0.0.1", 0),)), SystemClock())
    await driver.start()
    port = await UdpMediaPort.open("127.0.0.1")
    caller = TalkingCaller(port)
    target = Uri.parse(f"sip:{number}@{carrier}")
    invite = OutgoingInvite(
        call_id=f"{id(caller)}@test",
        local_tag="tag",
        request_uri=target,
        to=NameAddr(target),
        from_=NameAddr(Uri.parse("sip:+15550199@127.0.0.1"), "Tester"),
        headers=(),
        body=caller.offer.serialise(),
        credentials=None,
        transport="udp",
    )
    caller.session = driver.invite(invite, caller.hear)
    try:
        yield caller
    finally:
        port.close()
        await driver.stop()
