"""The engine's life: ports, stopping, failing, and that nothing is left of what was closed."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from pathlib import Path
from typing import cast

import pytest

from switchroom.media import (
    BadAddress,
    Engine,
    EngineConfig,
    EngineError,
    EngineFailed,
    EngineStopped,
    LegEvent,
    LegMedia,
    NoPortAvailable,
    PeerKind,
    PortInUse,
    Tone,
)

from .telephone import Telephone


def ignore(_: object) -> None:
    """For events that nobody waits for."""


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_port_that_is_taken_is_named(engine: Engine) -> None:
    [(ip, port)] = engine.rtc_addresses
    with pytest.raises(PortInUse, match=rf"rtc port {port} on {ip} is in use: .* set rtc.udp_port"):
        await Engine(EngineConfig((ip,), port, (45_000, 45_001))).start()


async def test_an_address_that_is_not_ours_is_named(engine: Engine) -> None:
    with pytest.raises(BadAddress, match=r"192\.0\.2\.1"):
        await Engine(EngineConfig(("192.0.2.1",), 0, (45_000, 45_001))).start()
    with pytest.raises(BadAddress, match=r"192\.0\.2\.1"):
        engine.open_leg("192.0.2.1", ignore)
    with pytest.raises(BadAddress, match='"nowhere" is not an IP address'):
        engine.open_leg("nowhere", ignore)


async def test_a_leg_has_an_even_port_of_the_range_and_the_one_above(engine: Engine) -> None:
    leg = engine.open_leg("127.0.0.1", ignore)
    host, port = leg.local_address
    assert (host, port % 2) == ("127.0.0.1", 0)
    assert 45_000 <= port <= 45_198
    for taken in (port, port + 1):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
            pytest.raises(OSError, match="in use"),
        ):
            other.bind((host, taken))


async def test_the_last_port_is_followed_by_a_refusal_at_once_and_a_closed_leg_frees_one() -> None:
    engine = Engine(EngineConfig(("127.0.0.1",), 0, (45_300, 45_303)))
    await engine.start()
    legs = [engine.open_leg("127.0.0.1", ignore) for _ in range(2)]
    with pytest.raises(NoPortAvailable, match="from 45300 to 45303 on 127"):
        engine.open_leg("127.0.0.1", ignore)
    legs[0].close()
    await engine.stats()
    assert engine.open_leg("127.0.0.1", ignore).local_address == legs[0].local_address
    await engine.stop()


async def test_a_command_that_cannot_be_read_takes_no_other_with_it(engine: Engine) -> None:
    rude = await engine.open_peer(PeerKind.ANSWERER, ignore)
    polite = await engine.open_peer(PeerKind.OFFERER, ignore)
    describing = asyncio.ensure_future(polite.describe())
    rude.add_remote_candidate("candidate:\ud800")
    wrong = engine.open_leg("127.0.0.1", ignore)
    wrong.set_processing(denoise=cast("bool", "no truth value"))
    assert (await describing).ice_ufrag
    assert len((await engine.stats()).peers) == 2


async def test_a_request_that_cannot_be_read_is_refused(engine: Engine) -> None:
    peer = await engine.open_peer(PeerKind.ANSWERER, ignore)
    with pytest.raises(EngineError, match="surrogates not allowed"):
        await peer.accept_offer("\ud800")


async def test_what_is_asked_of_a_failed_engine_is_refused_with_the_answer_and_not_before(
    engine: Engine,
) -> None:
    """Who ends a call asks for its figures, and goes on to close the leg."""
    leg = engine.open_leg("127.0.0.1", ignore)
    engine._fail("as if the thread had ended")
    figures = leg.ask_stats()
    leg.close()
    with pytest.raises(EngineFailed, match="as if the thread had ended"):
        await figures


async def test_a_thousand_legs_leave_nothing_behind() -> None:
    engine = Engine(EngineConfig(("127.0.0.1",), 0, (45_400, 45_599)))
    await engine.start()
    before = descriptors()
    tone = engine.play(Tone((((440.0,), 1.0),)))
    for _ in range(10):
        legs = [engine.open_leg("127.0.0.1", ignore) for _ in range(100)]
        for leg, other in zip(legs, legs[1:] + legs[:1], strict=True):
            leg.update(LegMedia(("127.0.0.1", 9), ()))
            leg.sink.set_inputs({other.source: 1.0, tone.source: 0.5})
        stats = await engine.stats()
        assert (len(stats.legs), stats.sources, stats.sinks) == (100, 101, 100)
        for leg in legs:
            leg.close()
        await engine.stats()
    tone.stop()
    stats = await engine.stats()
    assert (stats.legs, stats.peers) == ((), ())
    assert (stats.players, stats.sources, stats.sinks) == (0, 0, 0)
    assert descriptors() == before
    for port in range(45_400, 45_600):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", port))
    await engine.stop()


async def test_a_stopped_engine_has_neither_thread_nor_descriptors_and_says_so() -> None:
    gc.collect()
    threads, before = threading.active_count(), descriptors()
    engine = Engine(EngineConfig(("127.0.0.1",), 0, (45_000, 45_199)))
    await engine.start()
    leg = engine.open_leg("127.0.0.1", ignore)
    peer = await engine.open_peer(PeerKind.OFFERER, ignore)
    asked = asyncio.ensure_future(peer.describe())
    await engine.stop()
    await engine.stop()
    await asyncio.gather(asked, return_exceptions=True)
    for refused in (engine.stats(), peer.describe(), engine.open_peer(PeerKind.OFFERER, ignore)):
        with pytest.raises(EngineStopped):
            await refused
    with pytest.raises(EngineStopped):
        engine.open_leg("127.0.0.1", ignore)
    leg.close()
    peer.close()
    del engine, leg, peer
    # asyncio's helper thread tells that it has stopped the engine, and lets go of it after that.
    await asyncio.get_running_loop().shutdown_default_executor()
    gc.collect()
    assert descriptors() <= before
    assert threading.active_count() <= threads


async def test_a_listener_that_fails_does_not_deafen_the_others(engine: Engine) -> None:
    def fail(event: LegEvent) -> None:
        raise RuntimeError("a fault of the listener")

    deaf = engine.open_leg("127.0.0.1", fail)
    deaf.update(LegMedia(("127.0.0.1", 9), (), media_timeout=0.01))
    phone = Telephone(engine, "PCMU")
    await phone.connect()
    phone.leg.send_digits("1")
    await phone.hear(40)
    assert [type(event).__name__ for event in phone.events] == ["DigitsSent"]


async def test_a_failed_media_thread_is_told_to_whoever_asks(engine: Engine) -> None:
    asked = asyncio.ensure_future(engine.stats())
    before = engine.failed
    engine._dispatch(("engine_failed", 0, "out of memory"))
    assert (before, engine.failed) == (False, True)
    with pytest.raises(EngineFailed, match="out of memory"):
        engine.open_leg("127.0.0.1", ignore)
    await asyncio.gather(asked, return_exceptions=True)
