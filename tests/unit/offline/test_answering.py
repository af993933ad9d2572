"""Who answered, by their first words."""

from __future__ import annotations

import pytest

from switchroom.offline.answering import category_of
from switchroom.offline.script import Category

OPENING_HOURS = (
    "thank you for calling truly pizza in dana point our hours of operation are eleven to eight "
    "sunday through thursday"
)


@pytest.mark.parametrize(
    ("transcript", "category"),
    [
        ("Hello?", Category.HUMAN),
        ("hello this is lisa", Category.HUMAN),
        ("yeah", Category.HUMAN),
        (
            "Good morning, this is John speaking, who is calling and what is it about?",
            Category.HUMAN,
        ),
        (
            "I'm away from my desk. If you leave a message, I will get back to you.",
            Category.VOICEMAIL,
        ),
        ("You have reached 555 0100. Please leave a message after the beep.", Category.VOICEMAIL),
        ("Maria can't come to the phone right now", Category.VOICEMAIL),
        (
            "The person you called has a voice mailbox that hasn't been set up yet.",
            Category.UNAVAILABLE,
        ),
        ("the mailbox is full and can not accept messages", Category.UNAVAILABLE),
        ("The number you dialed is not in service", Category.UNAVAILABLE),
        ("Thank you for calling. For sales, press 1.", Category.IVR),
        ("please state your name and why you are calling", Category.IVR),
        ("", Category.UNCERTAIN),
        (OPENING_HOURS, Category.UNCERTAIN),
    ],
)
def test_a_greeting_has_its_category(transcript: str, category: Category) -> None:
    assert category_of(transcript) is category
