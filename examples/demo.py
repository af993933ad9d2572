"""The demo: an agent phones a patient over SIP, they talk, and the appointment is confirmed.

    make demo

It starts ``switchroom dev`` (the server, and phones behind a simulated carrier), the offline models
that stand in for LiveKit Inference, and the worker of ``agents/appointment_confirmation.py``, which
livekit-agents runs, unmodified. Then the agent is dispatched three times: to a patient who answers,
to a busy line, and to a voicemail. What is shown is what each side reports, and it is judged.

    python examples/demo.py --listen             listen in with a browser
    python examples/demo.py --appointments 20    the first call only, twenty times
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

from demonstration import verdict
from demonstration.calls import (
    Stage,
    call_busy_line,
    call_patient,
    call_voicemail,
    everything_running,
)
from demonstration.journal import Overdue
from demonstration.programs import ProgramFailed, running_page
from demonstration.timeline import Timeline

# What the client remarks about streams that end together with their room is no news here.
logging.getLogger("livekit").setLevel(logging.ERROR)

# The key of `switchroom dev` is as short as that of `livekit-server --dev`.
warnings.filterwarnings("ignore", message="The HMAC key is")


async def three_calls(stage: Stage) -> bool:
    """A patient, a busy line, a voicemail; whether all went as it should."""
    patient = await call_patient(stage)
    busy = await call_busy_line(stage)
    voicemail = await call_voicemail(stage)
    timeline = stage.timeline
    verdict.show_turns(timeline, patient)
    judged = [
        verdict.show_checks(timeline, checks, about)
        for about, checks in (
            ("Was it right? 1. The patient", verdict.check_patient(patient)),
            ("2. The busy line", verdict.check_busy(busy)),
            ("3. The voicemail", verdict.check_voicemail(voicemail)),
        )
    ]
    calls = "3 calls, all as they should be" if all(judged) else "not all was as it should be"
    timeline.console.print(f"\n  [bold]{calls}[/bold]")
    return all(judged)


async def appointments(stage: Stage, count: int) -> bool:
    """The patient again and again; whether every transcript was right."""
    journals = []
    right = 0
    for number in range(1, count + 1):
        journals.append(await call_patient(stage, number))
        right += verdict.show_checks(stage.timeline, verdict.check_patient(journals[-1]))
    verdict.show_latency(stage.timeline, journals)
    stage.timeline.console.print(f"  {right} of {count} calls were right")
    return right == count


async def with_a_listener(stage: Stage) -> bool:
    """The three calls, once a person has opened the page that listens in."""
    if os.environ.get("SWITCHROOM_TEST_NETWORK") == "private":
        raise ProgramFailed("no browser reaches the private test network; run it outside")
    async with running_page(stage.server) as address:
        stage.timeline.console.print(f"\n  To listen in, open {address}")
        stage.timeline.console.print("  The calls begin when you press Enter.")
        pressed = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, pressed.set)
        await pressed.wait()
        asyncio.get_running_loop().remove_reader(sys.stdin)
        return await three_calls(stage)


async def main(asked: argparse.Namespace) -> int:
    """Exit status 0 if everything was as it should be, 130 if somebody stopped it."""
    timeline = Timeline()
    began = time.monotonic()
    timeline.console.print("[bold]Switchroom demo[/bold]: an agent phones people, offline\n")
    end_when_told()
    try:
        with tempfile.TemporaryDirectory(prefix="switchroom-demo-") as data:
            async with everything_running(timeline, Path(data)) as stage:
                good = await perform(stage, asked)
    except (ProgramFailed, Overdue) as failed:
        timeline.failed(str(failed))
        return 1
    except asyncio.CancelledError:
        timeline.failed("stopped")
        return 130
    timeline.console.print(f"  {time.monotonic() - began:.0f} s in all. ", end="")
    timeline.console.print("Yours to try: [bold]make dev[/bold], then call the numbers it shows.\n")
    return 0 if good else 1


async def perform(stage: Stage, asked: argparse.Namespace) -> bool:
    """What was asked for."""
    if asked.listen:
        return await with_a_listener(stage)
    if asked.appointments:
        return await appointments(stage, asked.appointments)
    return await three_calls(stage)


def end_when_told() -> None:
    """Ctrl-C and SIGTERM end the programs in order."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An agent phones people, offline.")
    parser.add_argument("--listen", action="store_true", help="wait for a listener in a browser")
    parser.add_argument("--appointments", type=int, metavar="N", help="the first call N times")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(options())))
