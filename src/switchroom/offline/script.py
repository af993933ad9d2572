"""The script of a rule-based model, as it was read: what to do, and when. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class AtStart:
    """The model is asked to speak before anybody said anything."""


@dataclass(frozen=True, slots=True)
class OnHearing:
    """The user said one of these phrases."""

    phrases: Phrases


@dataclass(frozen=True, slots=True)
class OnResult:
    """This tool returned; with ``phrases``, it returned one of them."""

    tool: str
    phrases: Phrases | None = None


@dataclass(frozen=True, slots=True)
class OnTold:
    """The agent's code asked for this reply with one of these instructions."""

    phrases: Phrases


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The user said something that no other rule is for."""


Trigger = AtStart | OnHearing | OnResult | OnTold | Otherwise


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True, eq=False)
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
