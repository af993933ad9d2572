"""The network as a process, called over real sockets by our own SIP and the phones' own RTP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from switchroom.base.clock import SystemClock
from switchroom.phonenet import events
from switchroom.phonenet.client import NetworkDied, PhoneNetwork
from switchroom.phonenet.hearing import Impression
from switchroom.phonenet.line import Line, LineCodecs
from switchroom.phonenet.media_port import UdpMediaPort
from switchroom.phonenet.orders import CallOrder
from switchroom.phonenet.sounds import tone
from switchroom.sdp.codecs import PCMU, telephone_event
from switchroom.sdp.offer_answer import LocalMedia, accept_answer, offer
from switchroom.sip.digest import Credentials
from switchroom.sip.invite_session import (
    Answered,
    ByeReceived,
    DialogEnded,
    Failed,
    InviteSession,
    OutgoingInvite,
    SessionEvent,
)
from switchroom.sip.uri import NameAddr, Uri
from switchroom.sip_io.driver import SipConfig, SipDriver

PATIENCE = 60.0


class TestCall:
    """A call of ours to one of the phones."""

    __test__ = False

    def __init__(self, port: UdpMediaPort) -> None:
        self.port = port
        self.offer = offer(LocalMedia(*port.address, (PCMU, telephone_event()), 1))
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        self.status: int | None = None
        self.hung_up_by_phone = False
        self.line: Line | None = None
        self.session: InviteSession

    def hear(self, event: SessionEvent) -> None:
        match event:
            case Answered(body=body):
                media = accept_answer(self.offer, body)
                self.line = Line(LineCodecs.of(media), ssrc=1, sequence=1, timestamp=1)
                self.port.start(self.line)
                self.port.send_to(media.remote)
                self.answered.set()
            case Failed(failure=failure):
                self.status = failure.status
                self.ended.set()
            case ByeReceived():
                self.hung_up_by_phone = True
                self.ended.set()
            case DialogEnded():
                self.ended.set()

    async def heard_tone(self) -> float:
        """The frequency of the next window that is a tone."""
        found: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def judge(impression: Impression) -> None:
            if impression.tone_hz is not None and not found.done():
                found.set_result(impression.tone_hz)

        assert self.line is not None
        self.line.on_impression = judge
        return await found


class Exchange:
    """Our SIP endpoint and the network's process, both of this test."""

    def __init__(self, network: PhoneNetwork, driver: SipDriver) -> None:
        self.network = network
        self.driver = driver
        self.ports: list[UdpMediaPort] = []
        self._serial = 0

    async def call(
        self, number: str, credentials: Credentials | None = None, transport: str = "udp"
    ) -> TestCall:
        port = await UdpMediaPort.open("127.0.0.1")
        self.ports.append(port)
        call = TestCall(port)
        self._serial += 1
        target = Uri.parse(f"sip:{number}@{self.network.address}")
        call.session = self.driver.invite(
            OutgoingInvite(
                call_id=f"call-{self._serial}@test",
                local_tag=f"tag{self._serial}",
                request_uri=target,
                to=NameAddr(target),
                from_=NameAddr(Uri.parse("sip:+15550199@127.0.0.1"), "Tester"),
                headers=(("X-Order", str(self._serial)),),
                body=call.offer.serialise(),
                credentials=credentials,
                transport=transport,
            ),
            call.hear,
        )
        return call


Open = Callable[..., Awaitable[Exchange]]


@pytest.fixture
async def exchange() -> AsyncIterator[Open]:
    opened: list[Exchange] = []

    async def open_exchange(**options: str) -> Exchange:
        network = PhoneNetwork(**options)  # type: ignore[arg-type]
        await network.start()
        driver = SipDriver(SipConfig(bind=(("127.0.0.1", 0),)), SystemClock())
        await driver.start()
        opened.append(Exchange(network, driver))
        return opened[-1]

    async with asyncio.timeout(PATIENCE):
        yield open_exchange
        for each in opened:
            for port in each.ports:
                port.close()
            await each.driver.stop()
            await each.network.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_both_sides_hear_each_other(exchange: Open, transport: str) -> None:
    here = await exchange()
    call = await here.call("+12025550102", transport=transport)
    await call.answered.wait()
    assert call.line is not None
    call.line.play(tone(440, -18))
    told = await here.network.expect(events.Hears, what="tone")
    assert told.tone_hz == pytest.approx(440, abs=1)
    assert told.level_dbov == pytest.approx(-18, abs=0.2)
    assert await call.heard_tone() == pytest.approx(1000, abs=1)
    call.session.bye()
    ended = await here.network.expect(events.Ended)
    assert (ended.by, ended.reason, ended.number) == ("caller", "hung up", "+12025550102")
    assert ended.heard.tone_hz == pytest.approx(440, abs=1)
    assert call.line.ear.heard().level_dbov == pytest.approx(-20, abs=0.5)
    called = await here.network.expect(events.Called)
    assert (called.caller, called.caller_name) == ("+15550199", "Tester")
    assert called.headers == {"X-Order": "1"}


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("+12025550111", 486),
        ("+12025550113", 404),
        ("+12025550115", 503),
        ("+12025550116", 403),
        ("+12025550118", 488),
        ("606", 606),
        ("nobody", 404),
    ],
)
async def test_phones_that_refuse_do_so_by_their_status(
    exchange: Open, number: str, status: int
) -> None:
    here = await exchange()
    call = await here.call(number)
    await call.ended.wait()
    assert call.status == status
    assert (await here.network.expect(events.Rejected)).status == status


async def test_digits_go_both_ways(exchange: Open) -> None:
    here = await exchange()
    call = await here.call("+12025550105")
    await call.answered.wait()
    assert call.line is not None
    back: list[str] = []
    call.line.on_digit = lambda pressed: back.append(pressed.digit)
    call.line.press("42#")
    assert (await here.network.expect(events.Noted)).note == "digits: 42"
    await call.ended.wait()
    assert "".join(back) == "42"
    assert call.hung_up_by_phone


async def test_callers_must_log_in_where_a_password_is_set(exchange: Open) -> None:
    here = await exchange(username="trunk", password="right")
    refused = await here.call("+12025550103", Credentials("trunk", "wrong"))
    await refused.ended.wait()
    assert refused.status == 407
    anonymous = await here.call("+12025550103")
    await anonymous.ended.wait()
    assert anonymous.status == 407
    await here.call("+12025550103", Credentials("trunk", "right"))
    await here.network.expect(events.Answered)
    assert len([e for e in here.network.events if isinstance(e, events.Called)]) == 1


async def test_a_locked_trunk_takes_nobodys_password(exchange: Open) -> None:
    here = await exchange(username="trunk", password="right")
    call = await here.call("+12025550117", Credentials("trunk", "right"))
    await call.ended.wait()
    assert call.status == 407


async def test_a_caller_may_give_up_while_it_rings(exchange: Open) -> None:
    here = await exchange()
    call = await here.call("+12025550110")
    await here.network.expect(events.Ringing)
    call.session.cancel()
    await call.ended.wait()
    ended = await here.network.expect(events.Ended)
    assert (ended.by, ended.reason) == ("caller", "gave up")


async def test_a_dozen_calls_at_once_hear_their_own_tone(exchange: Open) -> None:
    here = await exchange()
    calls = [await here.call("+12025550101") for _ in range(12)]
    for place, call in enumerate(calls):
        await call.answered.wait()
        assert call.line is not None
        call.line.play(tone(400 + 100 * place))
    for place, call in enumerate(calls):
        assert await call.heard_tone() == pytest.approx(400 + 100 * place, abs=1)
    for call in calls:
        call.session.bye()
        assert (await here.network.expect(events.Ended)).lost == 0


def open_files_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_nothing_is_left_of_a_call_that_is_over(exchange: Open) -> None:
    here = await exchange()
    process = here.network._process
    assert process is not None
    before = open_files_of(process.pid)
    for _ in range(20):
        call = await here.call("+12025550103")
        await call.answered.wait()
        call.session.bye()
        await here.network.expect(events.Ended)
    refused = await here.call("+12025550111")  # by its answer all earlier sockets are closed
    await refused.ended.wait()
    assert open_files_of(process.pid) == before


async def test_phones_of_our_own_are_called_like_the_others(exchange: Open, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.py"
    numbers.write_text(
        "async def teapot(call):\n    await call.reject(418, 'Teapot')\nNUMBERS = {'418': teapot}\n"
    )
    here = await exchange(numbers=str(numbers))
    call = await here.call("418")
    await call.ended.wait()
    assert (await here.network.expect(events.Rejected)).reason == "Teapot"


async def test_a_network_that_stops_hangs_up_first(exchange: Open) -> None:
    here = await exchange()
    call = await here.call("+12025550103")
    await call.answered.wait()
    await here.network.stop()
    await call.ended.wait()
    assert call.hung_up_by_phone
    ended, stopped = here.network.events[-2:]
    assert isinstance(ended, events.Ended)
    assert ended.by == "network"
    assert stopped == events.Stopped(calls=1, time=stopped.time)


async def test_the_process_ends_by_signal_too() -> None:
    async with asyncio.timeout(PATIENCE):
        network = PhoneNetwork()
        await network.start()
        process = network._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        with pytest.raises(NetworkDied):
            await network.expect(events.Called)
        await network.stop()


async def run(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "switchroom.phonenet",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_taken_port_and_a_bad_file_are_told_in_one_line(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE), PhoneNetwork() as network:
        status, said = await run("--port", network.address.rpartition(":")[2])
        assert (status, said.count("\n")) == (1, 1)
        assert said.endswith("is in use: stop what uses it, or set --port\n")
        status, said = await run("--numbers", str(tmp_path / "missing.py"))
        assert (status, said.count("\n")) == (2, 1)
        assert "missing.py" in said


async def test_a_closed_input_ends_it_and_words_are_for_people() -> None:
    async with asyncio.timeout(PATIENCE):
        status, said = await run("--port", "0", "--pretty")
    assert status == 0
    assert "the carrier listens on 127.0.0.1:" in said
    assert "the carrier stops after 0 calls" in said


async def test_a_phone_of_one_network_calls_a_phone_of_another_presses_keys_and_hears_them() -> (
    None
):
    async with asyncio.timeout(PATIENCE), PhoneNetwork() as here, PhoneNetwork() as there:
        here.place(CallOrder("+12025550105", there.address, as_="listener", press="42#"))
        called = await there.expect(events.Called)
        assert (called.caller, called.caller_name) == ("+12025550103", "Listener")
        await here.expect(events.Answered)
        noted = await there.expect(events.Noted)
        assert noted.note == "digits: 42"
        ended = await here.expect(events.Ended)
        assert (ended.by, ended.digits) == ("callee", "42")
        assert ended.heard.audible_seconds > 0.3


async def test_orders_that_make_no_sense_are_told_and_disturb_nothing() -> None:
    async with asyncio.timeout(PATIENCE), PhoneNetwork() as network:
        for wrong in (CallOrder("1", "x y"), CallOrder("1", "127.0.0.1:9", as_="nobody")):
            network.place(wrong)
            await network.expect(events.Misunderstood)
        network.place(CallOrder("1", "127.0.0.1:9", headers={"X": "a\nb"}))
        assert (await network.expect(events.Failed)).error
