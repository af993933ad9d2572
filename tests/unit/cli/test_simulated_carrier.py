from __future__ import annotations

import json

import pytest

from switchroom.cli.errors import CommandFailed
from switchroom.cli.simulated_carrier import simulated_carrier


async def test_the_carrier_runs_for_as_long_as_the_body_and_says_good_bye() -> None:
    async with simulated_carrier("--port", "0") as carrier:
        ready = await carrier.ready()
        assert ready.address.startswith("127.0.0.1:")
        assert ready.numbers
    assert [json.loads(line)["event"] async for line in carrier.lines()] == ["stopped"]


async def test_a_second_carrier_takes_another_port() -> None:
    async with simulated_carrier("--port", "0") as one:
        (host, _, port) = (await one.ready()).address.partition(":")
        async with simulated_carrier("--port", port, "--any-port") as other:
            ready = await other.ready()
    assert ready.address.startswith(f"{host}:")
    assert ready.address != f"{host}:{port}"


async def test_a_carrier_that_does_not_start_is_said_so(capfd: pytest.CaptureFixture[str]) -> None:
    async with simulated_carrier("--bind", "203.0.113.250") as carrier:
        with pytest.raises(CommandFailed, match="the simulated carrier did not start"):
            await carrier.ready()
    assert "203.0.113.250" in capfd.readouterr().err
