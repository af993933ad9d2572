"""``python -m switchroom.phonenet``: the phone network as a process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from switchroom.base.log import configure
from switchroom.phonenet.carrier import Login
from switchroom.phonenet.client import PASSWORD_VARIABLE
from switchroom.phonenet.directory import Directory, DirectoryError, read_numbers
from switchroom.phonenet.events import to_line
from switchroom.phonenet.network import Network, NetworkConfig
from switchroom.phonenet.phones import PHONES
from switchroom.phonenet.pretty import pretty
from switchroom.phonenet.writing import EventWriter
from switchroom.sip_io.errors import SipStartError

_LONGEST_ORDER = 16_384


def main() -> int:
    """Run until the input closes or SIGTERM or SIGINT comes. 1 = cannot listen, 2 = bad usage."""
    options = _parser().parse_args()
    directory = Directory(PHONES)
    if options.numbers:
        try:
            directory = directory.with_phones(read_numbers(options.numbers))
        except DirectoryError as error:
            return _complain(str(error), 2)
    configure("warn")
    writer = EventWriter(pretty if options.pretty else to_line)
    config = NetworkConfig(
        bind=options.bind,
        port=options.port,
        any_port=options.any_port,
        login=Login(options.username, os.environ.get(PASSWORD_VARIABLE, "")),
        directory=directory,
        messages=options.messages,
    )
    try:
        asyncio.run(_run(Network(config, writer.report), detached=options.detached))
    except SipStartError as error:
        return _complain(str(error), 1)
    finally:
        writer.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m switchroom.phonenet",
        description="A simulated phone network: a SIP carrier with phones behind it.",
        epilog=f"A password is read from {PASSWORD_VARIABLE}.",
    )
    parser.add_argument("--bind", default="127.0.0.1", metavar="IP", help="address to listen on")
    parser.add_argument("--port", type=int, default=5070, help="SIP port; 0 = any (5070)")
    parser.add_argument(
        "--any-port", action="store_true", help="where that is taken, any other, as `ready` tells"
    )
    parser.add_argument(
        "--numbers", metavar="FILE.py", help="more phones: NUMBERS = {number: phone}"
    )
    parser.add_argument(
        "--messages",
        type=Path,
        metavar="FOLDER",
        help="where mailboxes keep messages (a new temporary folder)",
    )
    parser.add_argument("--username", default="", help="ask callers to log in by this name")
    parser.add_argument("--pretty", action="store_true", help="events for people, not JSON")
    parser.add_argument(
        "--detached", action="store_true", help="run on when the input closes; end by a signal only"
    )
    return parser


async def _run(network: Network, *, detached: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await network.start()
    try:
        if not detached:
            _read_orders(
                lambda line: _safely(loop, network.follow, line), lambda: _safely(loop, stop.set)
            )
        await stop.wait()
    finally:
        await network.stop()


def _read_orders(follow: Callable[[bytes], None], then: Callable[[], None]) -> None:
    """Orders come as lines; when the input closes, so that no network outlives whoever started it.

    A thread, since input may be of any kind.
    """

    def read() -> None:
        waiting = b""
        while piece := os.read(sys.stdin.fileno(), 4096):
            *lines, waiting = (waiting + piece).split(b"\n")
            for line in lines:
                if line.strip():
                    follow(line)
            waiting = waiting[:_LONGEST_ORDER]
        then()

    threading.Thread(target=read, name="phonenet input", daemon=True).start()


def _safely(loop: asyncio.AbstractEventLoop, what: Callable[..., object], *with_: object) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(what, *with_)  # the loop may be gone by now


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"phonenet: {text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
