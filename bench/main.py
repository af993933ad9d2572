"""The benchmarks' command; started by ``bench/run``, which lays the network first."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import agents
import capacity
import decoding
import dispatch
import report
import set_up
from rig import FailedError, network
from twirp import ApiError


async def _clients(*, quick: bool) -> dict[str, Any]:
    """Needs more than the others: a browser, and the Python client."""
    import clients  # noqa: PLC0415 - loaded only where it is asked for

    return await clients.measure(quick=quick)


async def _sound(*, quick: bool) -> dict[str, Any]:
    """Needs measures of speech quality, and PJSIP to compare with."""
    import sound  # noqa: PLC0415 - loaded only where it is asked for

    return await sound.measure(quick=quick)


async def _noise(*, quick: bool) -> dict[str, Any]:
    """Needs recordings of real noise, which the environment of agents has."""
    import noise  # noqa: PLC0415 - loaded only where it is asked for

    return await noise.measure(quick=quick)


_PROGRAMS = {
    "sound": _sound,
    "noise": _noise,
    "capacity": capacity.measure,
    "agents": agents.measure,
    "decoding": decoding.measure,
    "clients": _clients,
    "dispatch": dispatch.measure,
    "set-up": set_up.measure,
}
_FOLDER = Path("bench/results")


def main() -> int:
    """Runs one program or all, keeps their figures, and writes the page from what is kept."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("program", nargs="?", choices=sorted(_PROGRAMS))
    parser.add_argument("--quick", action="store_true", help="one run, short windows: not kept")
    chosen = parser.parse_args()
    programs = [chosen.program] if chosen.program else list(_PROGRAMS)
    for name in programs:
        print(f"› {name}: {network().description}", flush=True)
        try:
            figures = asyncio.run(_PROGRAMS[name](quick=chosen.quick))
        except (FailedError, ApiError) as failed:
            print(f"✗ {name}: {failed}", file=sys.stderr)
            return 1
        figures["network"] = network().description
        if chosen.quick:
            print(report.section(name, figures))
            continue
        _FOLDER.mkdir(exist_ok=True)
        (_FOLDER / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
    if not chosen.quick:
        report.write(_FOLDER, Path("bench/RESULTS.md"))
        print("› bench/RESULTS.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
