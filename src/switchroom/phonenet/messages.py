"""Messages that callers leave: WAV files in a folder, the newest hundred."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import wave
from array import array
from pathlib import Path

from switchroom.phonenet.sounds import RATE

_MOST_KEPT = 100
"""A message is at most a minute, so that the folder stays below 100 MB."""


class MessageFolder:
    """Where messages are kept. The folder is made with the first one.

    Without a `folder` it is one of our own among the system's temporary files, under a name that
    nobody can know before and closed to other users (0700): what callers say is not for them.
    """

    def __init__(self, folder: Path | None) -> None:
        self._given = folder
        self._own: Path | None = None
        # Messages of several calls are written by threads of their own.
        self._making = threading.Lock()

    async def keep(self, name: str, samples: array[int]) -> Path:
        """Write a message of 8 kHz samples; the path is absolute. Raises OSError.

        `name` may come from a caller: only its letters and digits count.
        """
        safe = "".join(c for c in name if c == "-" or (c.isascii() and c.isalnum()))
        return await asyncio.to_thread(self._write, safe, samples)

    def _write(self, name: str, samples: array[int]) -> Path:
        folder = self._folder()
        path = (folder / f"message-{name}.wav").resolve()
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        _forget_old(folder)
        return path

    def _folder(self) -> Path:
        if self._given is not None:
            self._given.mkdir(parents=True, exist_ok=True)
            return self._given
        with self._making:
            if self._own is None:
                self._own = Path(tempfile.mkdtemp(prefix="switchroom-messages-"))
            return self._own


def _forget_old(folder: Path) -> None:
    kept = sorted(folder.glob("message-*.wav"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-_MOST_KEPT]:
        path.unlink(missing_ok=True)
