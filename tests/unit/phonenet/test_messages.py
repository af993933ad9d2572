from __future__ import annotations

import asyncio
import os
import stat
import tempfile
import wave
from array import array
from pathlib import Path

import pytest

from switchroom.phonenet.messages import MessageFolder
from switchroom.phonenet.network import NetworkConfig
from switchroom.phonenet.sounds import tone, wav

SECOND = tone(440).samples


async def test_a_message_is_a_wav_file_of_the_line(tmp_path: Path) -> None:
    path = await MessageFolder(tmp_path / "not" / "yet").keep("a-1", SECOND)
    assert path == tmp_path / "not" / "yet" / "message-a-1.wav"
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
    assert wav(path).samples == SECOND


async def test_a_name_from_a_caller_leads_nowhere_else(tmp_path: Path) -> None:
    path = await MessageFolder(tmp_path).keep("../../etc/päss\0wd-1", array("h", [1]))
    assert path == tmp_path / "message-etcpsswd-1.wav"


async def test_without_a_folder_messages_are_for_nobody_elses_eyes_or_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.umask(0)
    try:
        first, other = MessageFolder(None), MessageFolder(None)
        paths = await asyncio.gather(*(first.keep(str(n), SECOND) for n in range(4)))
        (folder,) = {path.parent for path in paths}
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (await other.keep("1", SECOND)).parent != folder
    finally:
        os.umask(before)


def test_without_a_message_no_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    MessageFolder(NetworkConfig().messages)
    assert not any(tmp_path.iterdir())


async def test_only_the_newest_hundred_messages_are_kept(tmp_path: Path) -> None:
    folder = MessageFolder(tmp_path)
    someone_elses = tmp_path / "greeting.wav"
    someone_elses.touch()
    for number in range(103):
        path = await folder.keep(str(number), array("h", [1]))
        os.utime(path, (number, number))
    await folder.keep("last", array("h", [1]))
    kept = set(os.listdir(tmp_path)) - {"greeting.wav"}  # noqa: PTH208 – names are enough
    assert kept == {"message-last.wav", *(f"message-{n}.wav" for n in range(4, 103))}
    assert someone_elses.exists()
