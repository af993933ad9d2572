"""Keys of SRTP as session descriptions exchange them (SDES: RFC 4568, RFC 6188, RFC 7714)."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from enum import Enum
from types import MappingProxyType

from switchroom.base.records import record, replace
from switchroom.sdp.codecs import bounded_number
from switchroom.sdp.errors import SdpError

#: Octets of master key and salt together.
KEY_SIZES: Mapping[str, int] = MappingProxyType(
    {
        "AES_CM_128_HMAC_SHA1_80": 30,
        "AEAD_AES_128_GCM": 28,
        "AEAD_AES_256_GCM": 44,
        "AES_CM_128_HMAC_SHA1_32": 30,
        "AES_256_CM_HMAC_SHA1_80": 46,
        "AES_256_CM_HMAC_SHA1_32": 46,
    }
)

#: What we offer, the most wanted first. The first one is the one that everybody has: some devices
#: look at no other line. The rest of `KEY_SIZES` is taken where it is offered.
OFFERED = (
    "AES_CM_128_HMAC_SHA1_80",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
    "AES_CM_128_HMAC_SHA1_32",
)

#: As if in line with the names of RFC 4568; RFC 6188 has the size before the mode.
_OTHER_SPELLINGS = {
    "AES_CM_256_HMAC_SHA1_80": "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_256_HMAC_SHA1_32": "AES_256_CM_HMAC_SHA1_32",
}

_LONGEST_TAG = 999_999_999  # RFC 4568 section 9.1: up to nine digits
_LONGEST_MKI = 128  # octets, section 6.1
_MOST_LINES = 32


class SrtpPolicy(Enum):
    """What we think of encrypted sound."""

    NEVER = "never"
    """Plain RTP or nothing."""
    IF_INSISTED = "if insisted"
    """Plain RTP, but who offers nothing else gets SRTP."""
    PREFERRED = "preferred"
    """SRTP wherever the far end has it, else plain RTP."""
    REQUIRED = "required"
    """SRTP or nothing."""

    @property
    def offers(self) -> bool:
        """Whether our own offers are of SRTP."""
        return self in (SrtpPolicy.PREFERRED, SrtpPolicy.REQUIRED)


@record
class CryptoAttribute:
    """One ``a=crypto`` line. ``key`` is master key and salt, of the suite's `KEY_SIZES`.

    ``mki_size`` is the octets by which each packet names its key, 0 where it does not.
    """

    tag: int
    suite: str
    key: bytes = field(repr=False)
    mki_size: int = 0

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{b64encode(self.key).decode()}"


@record
class NegotiatedCrypto:
    """A suite and both sides' keys (master key and salt), each for what that side sends."""

    suite: str
    our_key: bytes = field(repr=False)
    their_key: bytes = field(repr=False)
    their_mki_size: int = 0


class FreshKeys:
    """A key for each suite we have, those that are offered first. `random` gives so many octets.

    Each suite has a key of its own (RFC 4568 section 6.1), and a call keeps its keys. They are
    drawn when they are first looked at, which in most calls they never are.
    """

    __slots__ = ("_drawn", "_random")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._drawn: tuple[CryptoAttribute, ...] = ()

    def __iter__(self) -> Iterator[CryptoAttribute]:
        if not self._drawn:
            rest = (suite for suite in KEY_SIZES if suite not in OFFERED)
            self._drawn = tuple(
                CryptoAttribute(tag, suite, self._random(KEY_SIZES[suite]))
                for tag, suite in enumerate((*OFFERED, *rest), start=1)
            )
        return iter(self._drawn)


def offered(keys: Iterable[CryptoAttribute]) -> tuple[CryptoAttribute, ...]:
    """Those of our keys that stand in an offer."""
    return tuple(key for key in keys if key.suite in OFFERED)


def parse_crypto(value: str) -> CryptoAttribute:
    """``1 AES_CM_128_HMAC_SHA1_80 inline:…|2^31|1:4`` as a record.

    Raises SdpError for what is malformed, of a suite that we lack, or asks for what we don't do: a
    line that is not understood wholly must not be used (RFC 4568 section 6.3).
    """
    fields = value.split()
    if len(fields) < 3:
        raise SdpError("a=crypto is not '<tag> <suite> <key>'")
    tag = bounded_number(fields[0][:10], _LONGEST_TAG, "crypto tag")
    suite = _OTHER_SPELLINGS.get(fields[1].upper(), fields[1].upper())
    if suite not in KEY_SIZES:
        raise SdpError(f"the crypto suite {fields[1][:40]!r}")
    for parameter in fields[3:]:
        _check_session_parameter(parameter)
    # Several keys may follow one another; the first one is in use first (section 6.1).
    method, _, information = fields[2].partition(";")[0].partition(":")
    if method.lower() != "inline":
        raise SdpError(f"the crypto key method {method[:20]!r}")
    key, mki_size = _key_information(information)
    if len(key) != KEY_SIZES[suite]:
        raise SdpError(f"a key of {len(key)} octets for {suite}")
    return CryptoAttribute(tag, suite, key, mki_size)


def usable(values: Iterable[str]) -> tuple[CryptoAttribute, ...]:
    """The lines that we understand, in their order. One that cannot be used is no line."""
    found: list[CryptoAttribute] = []
    for value in values:
        if len(found) == _MOST_LINES:
            break
        try:
            found.append(parse_crypto(value))
        except SdpError:
            continue
    return tuple(found)


def answered(
    theirs: Iterable[CryptoAttribute], ours: Iterable[CryptoAttribute]
) -> tuple[CryptoAttribute, NegotiatedCrypto] | None:
    """Our line in answer to theirs, and what it settles: the first of theirs that we have.

    None where there is none. Their tag names the line that was taken (RFC 4568 section 5.1.2).
    """
    own = {key.suite: key for key in ours}
    for line in theirs:
        key = own.get(line.suite)
        if key is not None:
            return replace(key, tag=line.tag), _both(key, line)
    return None


def accepted(
    theirs: Iterable[CryptoAttribute], ours: Iterable[CryptoAttribute]
) -> NegotiatedCrypto | None:
    """What their answer to our lines settles, None if it takes none of them.

    The tag says which line was taken (RFC 4568 section 5.1.3). Some number their own; then the
    suite decides, as each stands in one line of ours.
    """
    own = {key.suite: key for key in ours}
    lines = tuple(theirs)
    for line in sorted(lines, key=lambda line: (line.suite, line.tag) not in _named(own)):
        if line.suite in own:
            return _both(own[line.suite], line)
    return None


def _named(own: Mapping[str, CryptoAttribute]) -> set[tuple[str, int]]:
    return {(key.suite, key.tag) for key in own.values()}


def _both(ours: CryptoAttribute, theirs: CryptoAttribute) -> NegotiatedCrypto:
    return NegotiatedCrypto(ours.suite, ours.key, theirs.key, theirs.mki_size)


def _key_information(text: str) -> tuple[bytes, int]:
    """``<key and salt>[|lifetime][|MKI:length]`` (RFC 4568 section 6.1)."""
    encoded, *rest = text.split("|")
    try:
        # Some leave out the padding; what is not of the alphabet is an error.
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SdpError("a crypto key that is not base64") from None
    if len(rest) > 2:
        raise SdpError("a crypto key with more than a lifetime and an MKI")
    mki_size = 0
    for part in rest:
        value, colon, length = part.partition(":")
        if colon:
            _check_digits(value, "MKI")
            mki_size = bounded_number(length, _LONGEST_MKI, "MKI length")
        elif part:
            # 2^48 packets are more than a call has, and no shorter lifetime is seen: not counted.
            _check_digits(part.removeprefix("2^"), "key lifetime")
    return key, mki_size


def _check_digits(text: str, what: str) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 40):
        raise SdpError(f"{what} {text[:20]!r} is not a number")


def _check_session_parameter(text: str) -> None:
    """Section 6.3: what begins with ``-`` may be passed over; WSH only hints at a window's size."""
    name, _, value = text.partition("=")
    if text.startswith("-") or name.upper() == "WSH" or (name.upper() == "KDR" and value == "0"):
        return
    raise SdpError(f"the crypto session parameter {text[:40]!r}")
