"""The script of a rule-based model, as it was read: what to do, and when. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from switchroom.base.records import record
from switchroom.offline.templates import Fact
from switchroom.speech.phrases import Phrases

START = "start"
"""The state in which every conversation begins."""

PAUSE = 0.25
"""Seconds of silence that end an utterance. flite pauses for 0.14 s at a comma; people need 0.5."""

BUILT_IN = ("heard", "last", "result")
"""Names that are always known: the user's last words, the model's, and the last tool result."""


class Category(StrEnum):
    """Who answered a call, in the words of LiveKit's answering machine detection."""

    HUMAN = "human"
    IVR = "machine-ivr"
    VOICEMAIL = "machine-vm"
    UNAVAILABLE = "machine-unavailable"
    UNCERTAIN = "uncertain"


@record
class AtStart:
    """The model is asked to speak before anybody said anything."""


@record
class OnHearing:
    """The user said one of these phrases."""

    phrases: Phrases


@record
class OnResult:
    """This tool returned; with ``phrases``, it returned one of them."""

    tool: str
    phrases: Phrases | None = None


@record
class OnTold:
    """The agent's code asked for this reply with one of these instructions."""

    phrases: Phrases


@record
class Otherwise:
    """The user said something that no other rule is for."""


Trigger = AtStart | OnHearing | OnResult | OnTold | Otherwise


@record
class Rule:
    """When ``trigger`` happens in one of ``states`` (any, if empty): say, call, and go on.

    Of several texts in ``say`` the next is taken each time, and the last one from then on.
    """

    line: int
    trigger: Trigger
    states: frozenset[str] = frozenset()
    say: tuple[str, ...] = ()
    tool: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    next: str = ""


@record(eq=False)
class Script:
    """A whole script. ``book`` holds every phrase that a user may say, for the recogniser."""

    rules: tuple[Rule, ...]
    book: Phrases
    facts: tuple[Fact, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    answering: tuple[tuple[Category, Phrases], ...] = ()
    name: str = ""
    voice: str = "rms"
    listens_freely: bool = False
    pause: float = PAUSE
