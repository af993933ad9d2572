"""The `media` part of trunks and calls: codecs, encryption, and how long silence may last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

from switchroom.base.records import record, replace
from switchroom.sdp.codecs import CN, G722, OPUS, PCMA, PCMU, Codec, telephone_event
from switchroom.sdp.crypto import SrtpPolicy
from switchroom.telephony.errors import InvalidRequestError

#: What the engine speaks towards a phone, in the order in which it is offered. Comfort noise is
#: offered only where it is listed: who may leave out the pauses leaves out beginnings of words.
SUPPORTED: tuple[Codec, ...] = (OPUS, G722, PCMU, PCMA, CN)
ON_BY_DEFAULT: tuple[Codec, ...] = (G722, PCMU, PCMA)
_EVENT_NUMBERS = {8_000: 101, 48_000: 110}
_LONGEST_TIMEOUT = 600.0


class Encryption(IntEnum):
    """SRTP on the phone's side."""

    DISABLE = 0
    ALLOW = 1
    REQUIRE = 2


@record
class ListedCodec:
    """A codec by name; ``rate`` 0 means the name's own."""

    name: str
    rate: int = 0


@record
class MediaConfig:
    """LiveKit's ``SIPMediaConfig``: None where a field was not given; ``timeout`` in seconds."""

    only_listed_codecs: bool = False
    codecs: tuple[ListedCodec, ...] = ()
    encryption: Encryption | None = None
    timeout: float | None = None

    def check(self) -> None:
        """Raises InvalidRequestError."""
        for codec in self.codecs:
            if not codec.name:
                raise InvalidRequestError("missing codec name")
            if "/" in codec.name or any(c.isspace() for c in codec.name):
                raise InvalidRequestError("invalid codec name")
        if self.timeout is not None and self.timeout < 0:
            raise InvalidRequestError("media_timeout must not be negative")
        if self.timeout is not None and self.timeout > _LONGEST_TIMEOUT:
            raise InvalidRequestError("media_timeout must not exceed 10m0s")

    def with_legacy_encryption(self, legacy: Encryption) -> MediaConfig:
        """The deprecated ``media_encryption`` field counts where the new one is unset."""
        if self.encryption is None and legacy is not Encryption.DISABLE:
            return replace(self, encryption=legacy)
        return self

    def overlaid(self, call: MediaConfig) -> MediaConfig:
        """A trunk's wishes with those of one call on top.

        A call brings either its whole list of codecs or none. It can switch off encryption that
        the trunk allows, which LiveKit's cannot, but none that the trunk requires.
        """
        listed = call if call.codecs else self
        return MediaConfig(
            listed.only_listed_codecs,
            listed.codecs,
            _overlaid(self.encryption, call.encryption),
            call.timeout or self.timeout,
        )


DEFAULT_MEDIA = MediaConfig()


def _overlaid(trunk: Encryption | None, call: Encryption | None) -> Encryption | None:
    if call is None or (call is Encryption.DISABLE and trunk is Encryption.REQUIRE):
        return trunk
    return call


def srtp_policy(encryption: Encryption | None) -> SrtpPolicy:
    """What the configured encryption means for offers and answers.

    Unset is plain RTP, but a far end that insists on SRTP is not turned away for that.
    """
    match encryption:
        case None:
            return SrtpPolicy.IF_INSISTED
        case Encryption.DISABLE:
            return SrtpPolicy.NEVER
        case Encryption.ALLOW:
            return SrtpPolicy.PREFERRED
        case Encryption.REQUIRE:
            return SrtpPolicy.REQUIRED


def offered_codecs(
    config: MediaConfig, switches: Mapping[str, bool] = MappingProxyType({})
) -> tuple[Codec, ...]:
    """What to offer and to accept, the most wanted first, digits last.

    `switches` are the node's (``sip.codecs``): ``PCMA`` or ``PCMA/8000`` on or off. Raises
    InvalidRequestError where nothing is left to offer.
    """
    if not config.codecs and not config.only_listed_codecs:
        return _offered_by_default(tuple(switches.items()))
    listed = tuple(c for name in config.codecs for c in SUPPORTED if _means(name, c))
    if config.only_listed_codecs:
        if not config.codecs:
            raise InvalidRequestError("no codecs specified")
        return _complete(_once(listed))
    return _complete(_once((*listed, *_defaults(switches.items()))))


@lru_cache(maxsize=8)
def _offered_by_default(switches: tuple[tuple[str, bool], ...]) -> tuple[Codec, ...]:
    """What nearly all calls offer, found once: a node's switches do not change while it runs."""
    return _complete(_defaults(switches))


def _defaults(switches: Iterable[tuple[str, bool]]) -> tuple[Codec, ...]:
    return tuple(c for c in SUPPORTED if _switched_on(c, switches))


def _complete(chosen: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """With digits. Raises InvalidRequestError where there is no sound to offer."""
    if not any(codec.name != CN.name for codec in chosen):
        names = ", ".join(codec.name for codec in SUPPORTED if codec.name != CN.name)
        raise InvalidRequestError(f"none of the listed codecs is supported; there are {names}")
    return (*chosen, *_digits(chosen))


def _means(listed: ListedCodec, codec: Codec) -> bool:
    return listed.name.lower() == codec.name.lower() and listed.rate in (0, codec.clock_rate)


def _switched_on(codec: Codec, switches: Iterable[tuple[str, bool]]) -> bool:
    """The node's word; without one, what LiveKit has on by default."""
    for name, on in switches:
        spelled = name.lower()
        if spelled in (codec.name.lower(), f"{codec.name}/{codec.clock_rate}".lower()):
            return on
    return codec in ON_BY_DEFAULT


def _once(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    return tuple(dict.fromkeys(codecs))


def _digits(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    """A telephone-event for each clock, since it shares the audio's (RFC 4733 section 2.1)."""
    clocks = dict.fromkeys(codec.clock_rate for codec in codecs)
    return tuple(telephone_event(_EVENT_NUMBERS[clock], clock) for clock in clocks)
