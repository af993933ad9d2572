"""What the kernel says about processes and about this machine."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """``cpu`` is user and system seconds of a tree of processes, ``busy`` those of the machine."""

    cpu: float
    busy: float
    at: float


def sample(root: int) -> Sample:
    """The CPU time of a process and all that it started, up to now."""
    return Sample(sum(_cpu(pid) for pid in _tree(root)), _busy(), time.monotonic())


def memory(root: int) -> int:
    """Resident bytes of a process and all that it started."""
    return sum(int(_read(pid, "statm").split()[1]) * _PAGE for pid in _tree(root))


def descriptors(root: int) -> int:
    """Open descriptors of a process."""
    return len(list(Path(f"/proc/{root}/fd").iterdir()))


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def describe() -> dict[str, str]:
    """This machine and this checkout, in words."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    total = int(Path("/proc/meminfo").read_text().split()[1]) // 2**20
    return {
        "machine": f"{os.cpu_count()} × {cpu}, {total} GiB, Linux {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "crates")
    return git("rev-parse", "--short=12", "HEAD") + (" with local changes" if changed else "")


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(parents.get(pid, []))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything; empty if gone."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def _busy() -> float:
    """Seconds that all cores together were not idle; waiting for a disk counts as idle."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / _TICK


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return "0 0" if name == "statm" else ""
