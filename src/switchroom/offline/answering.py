"""Who answered the call? What the agents' answering machine detection asks of its model. Pure.

livekit-agents sends the words heard so far with two tools: ``save_prediction(label)`` and, as often
as it can still wait, ``postpone_termination(seconds)``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from switchroom.offline.script import Category
from switchroom.speech.phrases import Phrases
from switchroom.speech.spoken import words

SAVE = "save_prediction"
POSTPONE = "postpone_termination"

_UNAVAILABLE = (
    r"mailbox (is|was) full|not (been )?set up|hasn't been set up|not in service|disconnected"
    r"|can ?not be completed|not accepting|no longer in use|not available to take messages"
)
_MENU = (
    r"press (the )?(\w+ key|star|pound|zero|one|two|three|four|five|six|seven|eight|nine)"
    r"|main menu|your extension|(state|say) your name|listen to the following"
    r"|for (sales|support)"
)
_VOICEMAIL = (
    r"leave (me |us )?(a|your) (\w+ )?message|(after|at) the (tone|beep)|voice ?mail"
    r"|voice mailbox|not (available|here|at home)|unavailable"
    r"|can('t| ?not) (take|come to|answer)|(get|call) (back to )?you back|get back to you"
    r"|away from (my|the) (desk|phone)|you have reached|record your message"
)

# In this order: a full mailbox speaks of a mailbox too, a menu may offer to leave a message.
_SIGNS = (
    (Category.UNAVAILABLE, _UNAVAILABLE),
    (Category.IVR, _MENU),
    (Category.VOICEMAIL, _VOICEMAIL),
)
_PATTERNS = tuple((category, re.compile(rf"\b(?:{signs})\b")) for category, signs in _SIGNS)

_GREETING = re.compile(r"\b(hello|hi|hey|speaking|this is|who|yes|yeah|good (morning|evening))\b")
_MOST_HUMAN_WORDS = 12


def category_of(transcript: str, own: Sequence[tuple[Category, Phrases]] = ()) -> Category:
    """Judge the words that were heard after a call was answered; ``own`` phrases come first."""
    for category, phrases in own:
        if phrases.match(transcript) is not None:
            return category
    said = words(transcript)
    text = " ".join(said)
    for category, pattern in _PATTERNS:
        if pattern.search(text):
            return category
    if said and (len(said) <= _MOST_HUMAN_WORDS or _GREETING.search(text)):
        return Category.HUMAN
    return Category.UNCERTAIN
