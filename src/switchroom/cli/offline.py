"""`switchroom offline`: agents without keys, for tests and demos."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from switchroom.base import log
from switchroom.offline.errors import OfflineError
from switchroom.offline.journal import Event, to_line
from switchroom.offline.script_file import load_script
from switchroom.speech.errors import SpeechError
from switchroom.speech.pcm import Pcm, from_wav
from switchroom.speech.phrases import Phrases
from switchroom.speech.recognition import Recogniser
from switchroom.speech.synthesis import say as speak

from .errors import CommandFailed, Mistyped

if TYPE_CHECKING:
    from switchroom.offline.server import Gateway

_SERVER_MISSING = "aiohttp is missing; pip install 'switchroom[offline]'"

app = typer.Typer()


@app.command("serve")
def serve_offline(
    script: Annotated[Path, typer.Option(help="what the model says and does, in YAML")],
    port: Annotated[int, typer.Option(help="TCP port; 0 takes any that is free")] = 7890,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    keys: Annotated[
        list[str] | None,
        typer.Option(help='only agents with this API key, as "key: secret"; may be repeated'),
    ] = None,
    attached: Annotated[
        bool, typer.Option("--attached", help="end as well when standard input closes")
    ] = False,
) -> None:
    """Stand in for cloud models until told to stop (SIGTERM or Ctrl-C).

    Each line of output is JSON. The first has LIVEKIT_INFERENCE_URL and OPENAI_BASE_URL: set them
    in the agent's environment, and the documentation's model strings run here, whatever they are.
    The others tell what was understood, replied and spoken.
    """
    log.configure("info")
    known = dict(_key(text) for text in keys or ())
    try:
        # Here, because the server's library comes with the extra and the other commands go without.
        from switchroom.offline.server import Gateway  # noqa: PLC0415
    except ImportError as missing:
        raise CommandFailed(_SERVER_MISSING) from missing
    try:
        gateway = Gateway(script, host=host, port=port, keys=known)
        asyncio.run(_serve(gateway, attached=attached))
    except (OfflineError, SpeechError) as failed:
        raise CommandFailed(str(failed)) from None


@app.command("check")
def check_script(
    script: Annotated[Path, typer.Argument(metavar="FILE", help="the script, in YAML")],
) -> None:
    """Read a script and say what is wrong with it, or what is in it."""
    try:
        read = load_script(script)
        if read.book.written and not read.listens_freely:
            asyncio.run(_prepare(read.book))
    except (OfflineError, SpeechError) as wrong:
        raise CommandFailed(str(wrong)) from None
    print(
        f"{script}: {read.name}: {len(read.rules)} rules, "
        f"{len(read.book.written)} phrases to listen for"
    )


@app.command("say")
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="what to say, in English")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the WAV file to write")],
    voice: Annotated[str, typer.Option(help="rms, slt, awb, kal16 or kal")] = "rms",
    rate: Annotated[int, typer.Option(help="samples a second")] = 16_000,
) -> None:
    """Speak a text into a WAV file."""
    try:
        sound = asyncio.run(speak(text, voice, rate))
        output.write_bytes(sound.wav())
    except SpeechError as failed:
        raise CommandFailed(str(failed)) from None
    except OSError as failed:
        raise CommandFailed(f"{output}: {failed.strerror}") from None
    print(f"{output}: {sound.seconds:.2f} s")


@app.command("hear")
def hear(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a WAV file of 16 bit")],
    phrase: Annotated[
        list[str] | None, typer.Option(help="listen for this phrase; may be repeated")
    ] = None,
    script: Annotated[Path | None, typer.Option(help="listen for this script's phrases")] = None,
) -> None:
    """Print what is said in a WAV file."""
    try:
        book = load_script(script).book if script is not None else phrase or None
        asyncio.run(_hear(from_wav(file.read_bytes()), book))
    except (OfflineError, SpeechError) as failed:
        raise CommandFailed(str(failed)) from None
    except OSError as failed:
        raise CommandFailed(f"can't read {file}: {failed.strerror}") from None


async def _serve(gateway: Gateway, *, attached: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def tell(event: Event) -> None:
        try:
            print(to_line(event), flush=True)
        except BrokenPipeError:
            stop.set()

    gateway.journal.on_event = tell
    if attached:
        _when_input_closes(lambda: loop.call_soon_threadsafe(stop.set))
    async with gateway:
        ready = {
            "LIVEKIT_INFERENCE_URL": gateway.inference_url,
            "OPENAI_BASE_URL": gateway.openai_url,
        }
        print(json.dumps(ready), flush=True)
        await stop.wait()


def _when_input_closes(then: Callable[[], object]) -> None:
    """So that no gateway outlives whoever started it. A thread, since input may be of any kind."""

    def read() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        with contextlib.suppress(RuntimeError):
            then()  # the loop may be gone by now

    threading.Thread(target=read, name="gateway input", daemon=True).start()


async def _prepare(phrases: Phrases) -> None:
    """Whether every word can be pronounced."""
    async with Recogniser(phrases, several=True) as recogniser:
        await recogniser.prepare()


async def _hear(sound: Pcm, book: Phrases | list[str] | None) -> None:
    async with Recogniser(book, several=True) as recogniser:
        await recogniser.prepare()
        begun = time.perf_counter()
        heard = await recogniser.recognise(sound)
    took = time.perf_counter() - begun
    print(heard.written or "(nothing was understood)")
    print(f"{sound.seconds:.2f} s of sound took {took:.3f} s", file=sys.stderr)


def _key(text: str) -> tuple[str, str]:
    key, colon, secret = text.partition(":")
    if not (key.strip() and colon and secret.strip()):
        raise Mistyped('--keys must look like "key: secret"')
    return key.strip(), secret.strip()
