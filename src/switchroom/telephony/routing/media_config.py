"""The `media` part of trunks and calls: codecs, encryption, and how long silence may last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from switchroom.sdp.codecs import PCMA, PCMU, Codec, telephone_event
from switchroom.telephony.errors import InvalidRequestError

#: What the engine speaks towards a phone, in the order in which it is offered.
SUPPORTED: tuple[Codec, ...] = (PCMU, PCMA)
_LONGEST_TIMEOUT = 600.0


class Encryption(IntEnum):
    """SRTP on the phone's side."""

    DISABLE = 0
    ALLOW = 1
    REQUIRE = 2


@dataclass(frozen=True, slots=True)
class ListedCodec:
    """A codec by name; ``rate`` 0 means the name's own."""

    name: str
    rate: int = 0


@dataclass(frozen=True, slots=True)
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

        As in LiveKit a call can raise the encryption and not switch it off, and brings either its
        whole list of codecs or none.
        """
        own = call.encryption not in (None, Encryption.DISABLE)
        listed = call if call.codecs else self
        return MediaConfig(
            listed.only_listed_codecs,
            listed.codecs,
            call.encryption if own else self.encryption,
            call.timeout or self.timeout,
        )


DEFAULT_MEDIA = MediaConfig()


def offered_codecs(config: MediaConfig) -> tuple[Codec, ...]:
    """What to offer, digits last. Raises InvalidRequestError where nothing is left to offer."""
    chosen = SUPPORTED
    if config.only_listed_codecs:
        if not config.codecs:
            raise InvalidRequestError("no codecs specified")
        chosen = tuple(c for c in SUPPORTED if _lists(config.codecs, c))
        if not chosen:
            names = ", ".join(codec.name for codec in SUPPORTED)
            raise InvalidRequestError(f"none of the listed codecs is supported; there are {names}")
    return (*chosen, telephone_event())


def _lists(codecs: Iterable[ListedCodec], wanted: Codec) -> bool:
    return any(
        listed.name.lower() == wanted.name.lower() and listed.rate in (0, wanted.clock_rate)
        for listed in codecs
    )
