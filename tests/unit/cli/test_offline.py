"""The commands of `switchroom offline`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unit.speech.local_speech import needs_flite, needs_recogniser

if TYPE_CHECKING:
    from unit.cli.conftest import Run

SCRIPT = "rules:\n  - hears: [hello]\n    say: Good morning.\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "greeter.yaml"
    file.write_text(SCRIPT, encoding="utf-8")
    return file


@needs_flite
@needs_recogniser
def test_a_script_is_checked_and_summed_up(run: Run, script: Path) -> None:
    assert run("offline", "check", str(script)).out == (
        f"{script}: greeter: 1 rules, 1 phrases to listen for\n"
    )


def test_a_script_that_is_wrong_is_refused_with_its_line(run: Run, script: Path) -> None:
    script.write_text(SCRIPT + "    next: 3\n    jump: 4\n", encoding="utf-8")
    answer = run("offline", "check", str(script))
    assert answer.status == 1
    assert f"{script}, line 5: a rule has no 'jump'" in answer.err


@needs_flite
@needs_recogniser
def test_a_word_that_cannot_be_pronounced_is_named(run: Run, script: Path) -> None:
    script.write_text(SCRIPT.replace("hello", "привет"), encoding="utf-8")
    assert "привет" in run("offline", "check", str(script)).err


@needs_flite
@needs_recogniser
def test_what_is_said_can_be_heard(run: Run, script: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "hello.wav")
    assert file in run("offline", "say", "Hello?", "-o", file, "--rate", "8000").out
    assert run("offline", "hear", file, "--script", str(script)).out == "hello\n"
    assert run("offline", "hear", file, "--phrase", "Hello.").out == "Hello.\n"
    assert run("offline", "hear", file, "--phrase", "banana").out == "(nothing was understood)\n"


def test_what_cannot_be_done_is_said_in_a_line(run: Run, tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    for command, complaint in (
        (("say", "hi", "-o", f"{missing}/x.wav", "--voice", "hal"), "there is no voice 'hal'"),
        (("hear", missing), "No such file"),
        (("serve", "--script", missing), "can't be read"),
    ):
        answer = run("offline", *command)
        assert answer.status == 1
        assert complaint in answer.err
    mistyped = run("offline", "serve", "--script", missing, "--keys", "nonsense")
    assert mistyped.status == 2
    assert "must look like" in mistyped.err


@needs_flite
@needs_recogniser
@pytest.mark.parametrize("attached", [False, True])
async def test_the_gateway_says_where_it_is_and_ends_when_told(
    script: Path, attached: bool
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "switchroom.cli.main", "offline", "serve"),
        *("--script", str(script), "--port", "0", *(["--attached"] if attached else [])),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    assert ready["LIVEKIT_INFERENCE_URL"].startswith("http://127.0.0.1:")
    assert ready["LIVEKIT_INFERENCE_URL"] == ready["OPENAI_BASE_URL"]
    if attached:
        process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0
