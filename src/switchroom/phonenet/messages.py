"""Messages that callers leave: WAV files in a folder, the newest hundred."""

from __future__ import annotations

import asyncio
import wave
from array import array
from pathlib import Path

from switchroom.phonenet.sounds import RATE

_MOST_KEPT = 100
"""A message is at most a minute, so that the folder stays below 100 MB."""


class MessageFolder:
    """Where messages are kept. The folder is made with the first one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def keep(self, name: str, samples: array[int]) -> Path:
        """Write a message of 8 kHz samples; the path is absolute. Raises OSError.

        `name` may come from a caller: only its letters and digits count.
        """
        safe = "".join(c for c in name if c == "-" or (c.isascii() and c.isalnum()))
        return await asyncio.to_thread(self._write, safe, samples)

    def _write(self, name: str, samples: array[int]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = (self.folder / f"message-{name}.wav").resolve()
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        self._forget_old()
        return path

    def _forget_old(self) -> None:
        kept = sorted(self.folder.glob("message-*.wav"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_MOST_KEPT]:
            path.unlink(missing_ok=True)
