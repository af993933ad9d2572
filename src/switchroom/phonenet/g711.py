"""G.711 in both its laws, by tables: what a telephone line sounds like (ITU-T G.711).

Samples are signed 16 bit at 8 kHz, in an ``array("h")``; both laws use their upper 14 and 13 bits.
"""

from __future__ import annotations

from array import array

from switchroom.base.records import record


@record(eq=False)
class Law:
    """One of the two laws. ``silence`` is the octet nearest to zero."""

    name: str
    encode_table: bytes
    decode_table: array[int]
    silence: int

    def encode(self, samples: array[int]) -> bytes:
        """One octet a sample."""
        table = self.encode_table
        return bytes([table[sample & 0xFFFF] for sample in samples])

    def decode(self, payload: bytes) -> array[int]:
        """One sample an octet."""
        table = self.decode_table
        return array("h", [table[octet] for octet in payload])


def _ulaw_to_linear(octet: int) -> int:
    bits = ~octet & 0xFF
    magnitude = ((((bits & 0x0F) << 3) + 0x84) << (bits >> 4 & 0x07)) - 0x84
    return -magnitude if bits & 0x80 else magnitude


def _alaw_to_linear(octet: int) -> int:
    bits = octet ^ 0x55
    exponent = bits >> 4 & 0x07
    magnitude = ((bits & 0x0F) << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    return magnitude if bits & 0x80 else -magnitude


def _nearest(decoded: list[int]) -> bytes:
    """For each 16-bit pattern the octet that decodes to the value nearest to it.

    The decision values of G.711 lie half-way between the decoded values, so that nearest is exact.
    """
    ordered = sorted(range(256), key=lambda octet: decoded[octet])
    table = bytearray(65_536)
    place = 0
    for sample in range(-32_768, 32_768):
        while place < 255 and _is_nearer(decoded, ordered, place, sample):
            place += 1
        table[sample & 0xFFFF] = ordered[place]
    return bytes(table)


def _is_nearer(decoded: list[int], ordered: list[int], place: int, sample: int) -> bool:
    """Whether the next decoded value is nearer or as near (µ-law has two zeros: 0xFF wins)."""
    here, above = decoded[ordered[place]], decoded[ordered[place + 1]]
    return abs(above - sample) <= abs(here - sample)


def _law(name: str, decoded: list[int], silence: int) -> Law:
    return Law(name, _nearest(decoded), array("h", decoded), silence)


PCMU = _law("PCMU", [_ulaw_to_linear(octet) for octet in range(256)], 0xFF)
PCMA = _law("PCMA", [_alaw_to_linear(octet) for octet in range(256)], 0xD5)

LAWS = {law.name: law for law in (PCMU, PCMA)}
