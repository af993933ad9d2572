"""The RTP side of a phone call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Literal

from switchroom.base.ip_addresses import is_ip
from switchroom.base.records import record

from .errors import BadAddress, EngineError
from .events import (
    DigitReceived,
    DigitsSent,
    LegEvent,
    LevelChanged,
    MediaStarted,
    MediaTimedOut,
)
from .graph import Send, Sink, Source
from .peer import Request
from .stats import LegStats

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DIGITS = frozenset("0123456789*#ABCDabcdwW")


@record
class LegCodec:
    """One payload type of the session description."""

    payload_type: int
    """0 to 127."""
    name: str
    """``PCMU``, ``PCMA``, ``telephone-event`` …; compared without case."""
    clock_rate: int
    """Ticks a second."""
    parameters: str = ""
    """What the phone's ``fmtp`` says of it, such as ``useinbandfec=1``."""


CryptoSuite = Literal[
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
]

CRYPTO_KEY_SIZES: Mapping[CryptoSuite, int] = MappingProxyType(
    {
        "AES_CM_128_HMAC_SHA1_80": 30,
        "AES_CM_128_HMAC_SHA1_32": 30,
        "AES_256_CM_HMAC_SHA1_80": 46,
        "AES_256_CM_HMAC_SHA1_32": 46,
        "AEAD_AES_128_GCM": 28,
        "AEAD_AES_256_GCM": 44,
    }
)
"""Octets of master key and salt together, of each suite (RFC 4568, RFC 6188, RFC 7714)."""


@record
class LegCrypto:
    """SRTP by keys that session descriptions exchange (RFC 4568)."""

    suite: CryptoSuite
    our_key: bytes = field(repr=False)
    """Master key and salt of what we send, as many octets as ``CRYPTO_KEY_SIZES`` says."""
    their_key: bytes = field(repr=False)
    """The same of what the phone sends."""
    their_mki_size: int = 0
    """Octets of the master key identifier in the phone's packets."""


@record
class LegMedia:
    """What was negotiated with a phone, whole. Directions are ours (RFC 3264 §5.1)."""

    remote: tuple[str, int] | None
    """IP address and RTP port of the phone's session description; none while it has none."""
    codecs: tuple[LegCodec, ...]
    """All that is understood from the phone, ``CN`` and further clocks of ``telephone-event`` among
    it; the first audio codec is sent."""
    digits: LegCodec | None = None
    """``telephone-event`` (RFC 4733) as we send it, if negotiated."""
    direction: Direction = "sendrecv"
    ptime_ms: int = 20
    """Length of the packets that the phone is sent, 10 to 60. At the usual 20, packets that are
    passed through keep theirs; Opus has 20 always."""
    media_timeout: float | None = None
    """Seconds without a packet after which :class:`MediaTimedOut` is told."""
    first_timeout: float | None = None
    """The same before the first packet of all; none if that is no different."""
    crypto: LegCrypto | None = None
    """SRTP, if negotiated: then nothing else is sent or taken."""
    rtcp_mux: bool = False
    """RTCP goes over the port of RTP (RFC 5761)."""


class Leg:
    """A phone: ``source`` is what it says, ``sink`` what it hears.

    RTP is symmetric: it goes to where the phone's packets come from, and until they come to where
    its session description says. From the first :meth:`update` with a remote address on, the phone
    gets a continuous stream, silence where there is nothing else.
    """

    def __init__(
        self,
        leg: int,
        source: Source,
        sink: Sink,
        local_address: tuple[str, int],
        *,
        send: Send,
        request: Request,
        on_event: Callable[[LegEvent], None],
        on_close: Callable[[int], None],
    ) -> None:
        self.id = leg
        self.source = source
        self.sink = sink
        self.local_address = local_address
        """Address and even port of RTP; RTCP is one above."""
        self._send = send
        self._request = request
        self._on_event = on_event
        self._on_close = on_close
        self._closed = False
        self._playing_out: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"<Leg {self.id} at {self.local_address[0]}:{self.local_address[1]}>"

    def update(self, media: LegMedia) -> None:
        """Send and accept ``media`` from now on: 183, 200, re-INVITE and hold are all this.

        Raises :class:`BadAddress` if ``remote`` is a name and not an IP address,
        :class:`EngineError` if a key has not the size of its suite.
        """
        if media.remote is not None:
            _check_address(media.remote)
        if media.crypto is not None:
            _check_keys(media.crypto)
        self._send(
            "update_leg",
            self.id,
            media.remote,
            list(map(_codec, media.codecs)),
            None if media.digits is None else _codec(media.digits),
            media.direction,
            media.ptime_ms,
            media.media_timeout,
            None if media.crypto is None else _crypto(media.crypto),
            media.rtcp_mux,
            media.first_timeout,
        )

    def set_processing(self, *, denoise: bool = False, detect_tones: bool = False) -> None:
        """What is done to the phone's sound before anybody hears it; all of it, whole.

        ``denoise`` takes away the noise behind the voice. ``detect_tones`` tells keys by their
        tones, too (:class:`DigitReceived`), for phones that send no telephone events.
        """
        self._send("set_processing", self.id, denoise, detect_tones)

    def stats(self) -> Awaitable[LegStats]:
        """Counters since the leg was opened, as they are when the commands before are done.

        The result may be awaited after :meth:`close`, if it was asked for before. Raises
        :class:`EngineError` if the leg is closed, :class:`EngineStopped`.
        """
        return _stats(self.ask_stats())

    def ask_stats(self) -> asyncio.Future[Any]:
        """As :meth:`stats`, for who does not wait in a task: the result is for :func:`stats_of`."""
        return self._request("leg_stats", self.id)

    def send_digits(self, digits: str) -> None:
        """Press keys, one after another: ``0-9 * # A-D``, ``w`` for half a second of nothing.

        :class:`DigitsSent` follows when the last one has been sent. Raises :class:`EngineError` for
        other characters.
        """
        unknown = set(digits) - _DIGITS
        if unknown:
            raise EngineError(f"{min(unknown)!r} is not a digit or 'w'")
        self._send("send_digits", self.id, digits)

    def play_out(self) -> asyncio.Future[None]:
        """Done when the phone has been sent what was received for it by now.

        That is at once, but for a phone that hears a mix: 120 ms at most then.
        """
        played_out: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            played_out.set_result(None)
        else:
            self._playing_out.append(played_out)
            self._send("play_out", self.id)
        return played_out

    def close(self) -> None:
        """Say good-bye (RTCP) and free the ports. No event comes afterwards."""
        if not self._closed:
            self._closed = True
            self._played_out()
            self._send("close_leg", self.id)
            self._on_close(self.id)
            # Whoever hears the events holds the leg as a rule: so that nobody has to look for both.
            self._on_event = _nobody

    def handle(self, news: tuple[Any, ...]) -> None:
        """For the engine: one of the compiled engine's event tuples."""
        match news:
            case ("media_started", _, ip, port):
                self._on_event(MediaStarted((ip, port)))
            case ("media_timed_out", _):
                self._on_event(MediaTimedOut())
            case ("digit_received", _, digit, duration_ms):
                self._on_event(DigitReceived(digit, duration_ms))
            case ("digits_sent", _):
                self._on_event(DigitsSent())
            case ("played_out", _):
                self._played_out()
            case ("level_changed", _, _, level, active):
                self._on_event(LevelChanged(self.source, level, active))

    def _played_out(self) -> None:
        waiting, self._playing_out = self._playing_out, []
        for played_out in waiting:
            if not played_out.done():
                played_out.set_result(None)


def _nobody(_event: LegEvent) -> None:
    """A leg that is closed has nothing to tell."""


async def _stats(counts: Awaitable[Any]) -> LegStats:
    return stats_of(await counts)


def stats_of(counted: Any) -> LegStats:
    """What `Leg.ask_stats` was answered. Raises :class:`EngineError` if the leg was closed."""
    if counted is None:
        raise EngineError("the leg is closed")
    return LegStats(**counted)


def _codec(codec: LegCodec) -> tuple[int, str, int, str]:
    return codec.payload_type, codec.name, codec.clock_rate, codec.parameters


def _crypto(crypto: LegCrypto) -> tuple[str, bytes, bytes, int]:
    return crypto.suite, crypto.our_key, crypto.their_key, crypto.their_mki_size


def _check_keys(crypto: LegCrypto) -> None:
    size = CRYPTO_KEY_SIZES.get(crypto.suite)
    if size is None:
        raise EngineError(f"{crypto.suite!r} is no crypto suite of SRTP")
    if len(crypto.our_key) != size or len(crypto.their_key) != size:
        raise EngineError(f"{crypto.suite} takes {size} octets of key and salt")


def _check_address(address: tuple[str, int]) -> None:
    if not is_ip(address[0]):
        raise BadAddress(f"{address[0]!r} is not an IP address")
