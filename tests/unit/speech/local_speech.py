"""What the tests of real speech share: the telephone line, and a visible skip without the peers."""

from __future__ import annotations

import importlib.util
import shutil
from array import array

import pytest

from switchroom.phonenet.g711 import PCMU
from switchroom.speech.pcm import Pcm

needs_flite = pytest.mark.skipif(
    shutil.which("flite") is None, reason="flite is missing: apt-get install flite"
)
needs_recogniser = pytest.mark.skipif(
    importlib.util.find_spec("pocketsphinx") is None,
    reason="pocketsphinx is missing: pip install 'switchroom[offline]'",
)


def over_the_phone(sound: Pcm) -> Pcm:
    """As it arrives at the other end of a telephone line: 8 kHz, µ-law."""
    narrow = array("h", sound.at(8000).samples)
    return Pcm(PCMU.decode(PCMU.encode(narrow)).tobytes(), 8000)
