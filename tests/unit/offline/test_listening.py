"""What the gateway makes of sound that can't be listened to."""

from __future__ import annotations

import sys

import pytest

from switchroom.offline.journal import Journal
from switchroom.offline.listening import Listener
from switchroom.speech.pcm import silence
from unit.offline.scripts import DENTIST


async def test_without_numpy_nothing_is_heard_and_nothing_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    listener = Listener(DENTIST, Journal())
    assert await listener.understand(silence(1, 8000)) == ""
    await listener.stop()
