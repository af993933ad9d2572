"""Voicemail: a greeting, a beep, and a message that is kept."""

from __future__ import annotations

from collections.abc import Sequence

from switchroom.phonenet.recordings import Recording
from switchroom.phonenet.script import PhoneCall, Script
from switchroom.phonenet.sounds import tone
from switchroom.phonenet.talking import VOICE


def mailbox(
    does: str,
    *,
    greeting: str,
    expects: Sequence[str] = (),
    rings: float = 1.0,
    pause: float = 0.3,
    beep_hz: int = 1000,
    beep_seconds: float = 0.3,
    silence: float = 4.0,
    limit: float = 60.0,
    voice: str = VOICE,
) -> Script:
    """A phone that nobody picks up: it says `greeting`, beeps, and keeps what the caller says.

    The message ends when the caller hangs up, after so many seconds of `silence`, or at `limit`;
    then the mailbox hangs up. It is transcribed as the phrases it `expects`, or freely without any.
    `does` says in a line what the phone does. Times are in seconds.
    """

    async def take_message(call: PhoneCall) -> None:
        await call.ring(seconds=0)
        await call.get_ready_to_talk([greeting], expects, voice=voice)
        await call.wait(rings)
        await call.answer()
        await call.say(greeting, voice=voice)
        await call.wait(pause)
        await call.play(tone(beep_hz), seconds=beep_seconds)
        recording = Recording(silence=silence, limit=limit)
        try:
            await call.record(recording)
        finally:
            call.keep_message(recording, expects)
        await call.hang_up()

    take_message.__name__, take_message.__doc__ = "mailbox", does
    return take_message
