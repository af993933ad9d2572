"""Events for people: the time, the call, and what happened in words."""

from __future__ import annotations

import time
from functools import singledispatch

from switchroom.phonenet import events
from switchroom.phonenet.hearing import Heard
from switchroom.sip.responses import reason_phrase


def pretty(event: events.Event) -> str:
    """One line (that of Ready has the directory beneath it)."""
    clock = time.strftime("%H:%M:%S", time.localtime(event.time)) + f"{event.time % 1:.3f}"[1:]
    call = f"{event.call:<5}" if isinstance(event, events.CallEvent) else "     "
    return f"{clock}  {call} {words(event)}"


@singledispatch
def words(event: events.Event) -> str:
    """What happened."""
    return event.kind


@words.register
def _(event: events.Ready) -> str:
    lines = [f"  {n['number']:<14} {n['name']:<16} {n['does']}" for n in event.numbers]
    return "\n".join([f"the carrier listens on {event.address}", *lines])


@words.register
def _(event: events.Called) -> str:
    return f"{event.caller or 'somebody'} calls {event.number}"


@words.register
def _(event: events.Dials) -> str:
    return f"{event.name} ({event.caller}) dials {event.number} at {event.to}"


@words.register
def _(event: events.Misunderstood) -> str:
    return f"cannot do that: {event.error}"


@words.register
def _(event: events.Ringing) -> str:
    return "rings" if event.status == 180 else f"speaks before the answer ({event.status})"


@words.register
def _(event: events.Answered) -> str:
    return f"answers: {event.codec} with {event.media}"


@words.register
def _(event: events.Rejected) -> str:
    return f"refuses: {event.status} {event.reason or reason_phrase(event.status)}".rstrip()


@words.register
def _(event: events.Plays) -> str:
    return f"plays {event.sound}"


@words.register
def _(event: events.Hears) -> str:
    tone = f" of {event.tone_hz:.0f} Hz" if event.tone_hz is not None else ""
    level = "" if event.what == "silence" else f" at {event.level_dbov:.1f} dBov"
    return f"hears {event.what}{tone}{level}"


@words.register
def _(event: events.Listened) -> str:
    return f"has listened for {event.heard.seconds:.1f} s: {_heard(event.heard)}"


@words.register
def _(event: events.Said) -> str:
    return f"says: {event.text}"


@words.register
def _(event: events.Understood) -> str:
    waited = "" if event.replied_after is None else f" ({event.replied_after:.2f} s later)"
    return f"understands: {event.text}{waited}" if event.text else "does not understand a word"


@words.register
def _(event: events.MessageKept) -> str:
    return f"keeps a message of {event.seconds:.1f} s: {event.transcript or '?'} ({event.path})"


@words.register
def _(event: events.Digit) -> str:
    return f"hears the key {event.digit} ({event.duration_ms} ms)"


@words.register
def _(event: events.Held) -> str:
    return f"is asked to change the media: {event.direction}"


@words.register
def _(event: events.Noted) -> str:
    return f"notes: {event.note}"


@words.register
def _(event: events.Failed) -> str:
    return f"has a broken script: {event.error}"


@words.register
def _(event: events.Ended) -> str:
    keys = f", keys {event.digits}" if event.digits else ""
    return (
        f"ended by the {event.by} ({event.reason}) after {event.talk_seconds:.1f} s; "
        f"heard {_heard(event.heard)}{keys}; {event.lost} packets lost"
    )


@words.register
def _(event: events.Stopped) -> str:
    return f"the carrier stops after {event.calls} calls"


def _heard(heard: Heard) -> str:
    if not heard.audible_seconds:
        return "nothing"
    tone = "sound" if heard.tone_hz is None else f"{heard.tone_hz:.0f} Hz"
    level = f"{heard.level_dbov:.1f} dBov"
    return f"{tone} for {heard.audible_seconds:.1f} s at {level}, {heard.gaps} gaps"
