"""The network as one thing that starts, runs and stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path

from switchroom.base.clock import SystemClock
from switchroom.base.records import record
from switchroom.phonenet import events
from switchroom.phonenet.carrier import Carrier, Login
from switchroom.phonenet.directory import Directory
from switchroom.phonenet.media_port import UdpMediaPort
from switchroom.phonenet.messages import MessageFolder
from switchroom.phonenet.orders import OrderError, read_order
from switchroom.phonenet.phones import PHONES
from switchroom.phonenet.sounds import melody
from switchroom.sip_io.driver import SipConfig, SipDriver
from switchroom.sip_io.errors import SipStartError


@record
class NetworkConfig:
    """`bind` is the address of both SIP and sound; port 0 lets the system choose, and so does
    `any_port` where the port is taken.

    `messages` is the folder for what callers leave in mailboxes; None is one of our own, see
    :class:`MessageFolder`.
    """

    bind: str = "127.0.0.1"
    port: int = 5070
    any_port: bool = False
    login: Login = field(default_factory=Login)
    directory: Directory = field(default_factory=lambda: Directory(PHONES))
    messages: Path | None = None


class Network:
    """A carrier and its phones, on real sockets."""

    def __init__(self, config: NetworkConfig, report: Callable[[events.Event], None]) -> None:
        self._config = config
        self._report = report
        self._carrier: Carrier | None = None
        self._driver: SipDriver | None = None

    async def start(self) -> events.Ready:
        """Listen; then and not before, Ready is reported. Raises SipStartError."""
        config = self._config
        # Made here and not in the first call, where it would keep all others waiting.
        melody()
        try:
            driver = await self._listen(config.port)
        except SipStartError:
            if not config.any_port:
                raise
            driver = await self._listen(0)
        ready = events.Ready(
            address=_written(*driver.bound[0]),
            username=config.login.username,
            numbers=[phone.as_json() for phone in config.directory],
        )
        self._report(ready)
        return ready

    async def _listen(self, port: int) -> SipDriver:
        """Take calls on this port."""
        config = self._config
        driver = SipDriver(
            SipConfig(
                bind=((config.bind, port),),
                user_agent="switchroom-phonenet",
                port_setting="--port",
            ),
            SystemClock(),
        )
        carrier = Carrier(
            config.directory,
            config.login,
            lambda host: UdpMediaPort.open(driver.local_address_towards(host)),
            self._report,
            MessageFolder(config.messages),
            line=driver,
        )
        driver.set_incoming_handler(carrier.incoming)
        await driver.start()
        self._carrier, self._driver = carrier, driver
        return driver

    def follow(self, line: str | bytes) -> None:
        """Do what a line of `orders` asks for; what cannot be done is told as Misunderstood."""
        try:
            order = read_order(line)
            if self._carrier is not None:
                self._carrier.place(order)
        except OrderError as error:
            self._report(events.Misunderstood(error=str(error)))

    async def stop(self) -> None:
        """End every call, wait until their BYEs are answered or given up, and close the sockets."""
        if self._carrier is None or self._driver is None:
            return
        await self._carrier.aclose()
        await self._driver.stop()
        self._report(events.Stopped(calls=self._carrier.taken))
        self._carrier = self._driver = None


def _written(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
