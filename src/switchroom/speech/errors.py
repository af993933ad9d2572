"""What can go wrong with local speech, each with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence


class SpeechError(Exception):
    """Something could not be said or heard; ``str()`` is for the user."""


class SpeechUnavailable(SpeechError):
    """A program or package is missing; the message names the command that installs it."""


class CannotSay(SpeechError):
    """The text or the voice is not one that can be spoken."""


class CannotHear(SpeechError):
    """The sound is not one that can be listened to, or listening to it failed."""


class TooBusy(CannotHear):
    """More utterances wait to be heard than fit the queue."""


class PhraseError(SpeechError):
    """A phrase to listen for is not well formed."""


class UnknownWords(PhraseError):
    """Words nobody knows how to pronounce. ``words`` lists them as they were given."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        named = ", ".join(repr(word) for word in words)
        super().__init__(
            f"no pronunciation for {named}: the recogniser's dictionary is English, so write the "
            "words as they sound (letters and apostrophes), or install flite, which guesses"
        )


FLITE_MISSING = "flite is missing; Debian: apt-get install flite"
NUMPY_MISSING = "numpy is missing; pip install 'switchroom[offline]'"
POCKETSPHINX_MISSING = "pocketsphinx is missing; pip install 'switchroom[offline]'"
