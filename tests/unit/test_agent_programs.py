"""The programs of examples/agents are typed as the packages are that they are written for."""

from __future__ import annotations

import asyncio
import sys

from interop.agents import EXAMPLES, PYTHON, ROOT, needs_agents


@needs_agents
async def test_agents_fit_the_packages_that_they_are_written_for() -> None:
    programs = [*EXAMPLES.glob("*.py"), *(ROOT / "tests/interop/agent_programs").glob("*.py")]
    checker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mypy", "--config-file=", "--strict"),
        *("--cache-dir", ".mypy_cache/agents", "--python-executable", str(PYTHON)),
        *map(str, programs),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    complaints, _ = await checker.communicate()
    assert checker.returncode == 0, complaints.decode()
