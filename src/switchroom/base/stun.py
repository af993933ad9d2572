"""STUN binding requests (RFC 8489): which address the rest of the world sees this machine at. Pure.

Only what a lookup needs: a request without attributes, and the mapped address of its answer.
"""

from __future__ import annotations

import ipaddress
import struct

_BINDING_REQUEST, _BINDING_SUCCESS = 0x0001, 0x0101
_MAGIC_COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_MAPPED_ADDRESS, _XOR_MAPPED_ADDRESS = 0x0001, 0x0020
_IPV4, _IPV6 = 1, 2


def binding_request(transaction: bytes) -> bytes:
    """A request; `transaction` is 12 random bytes that its answer repeats (section 5)."""
    return _HEADER.pack(_BINDING_REQUEST, 0, _MAGIC_COOKIE, transaction)


def mapped_address(answer: bytes, transaction: bytes) -> str | None:
    """The address in an answer to that request; None for anything else that came."""
    if len(answer) < _HEADER.size:
        return None
    kind, length, cookie, echoed = _HEADER.unpack_from(answer)
    known = (kind, cookie, echoed) == (_BINDING_SUCCESS, _MAGIC_COOKIE, transaction)
    if not known or length != len(answer) - _HEADER.size:
        return None
    found: dict[int, str] = {}
    at = _HEADER.size
    while at + 4 <= len(answer):
        attribute, size = struct.unpack_from("!HH", answer, at)
        value = answer[at + 4 : at + 4 + size]
        if attribute in (_MAPPED_ADDRESS, _XOR_MAPPED_ADDRESS) and len(value) == size:
            address = _address(value, transaction, masked=attribute == _XOR_MAPPED_ADDRESS)
            if address is not None:
                found[attribute] = address
        # Section 14: values are padded to a multiple of four bytes.
        at += 4 + (size + 3) // 4 * 4
    # Section 14.2: old servers know the plain form only, which some NATs rewrite.
    return found.get(_XOR_MAPPED_ADDRESS) or found.get(_MAPPED_ADDRESS)


def _address(value: bytes, transaction: bytes, *, masked: bool) -> str | None:
    size = {_IPV4: 4, _IPV6: 16}.get(value[1]) if len(value) >= 4 else None
    if size is None or len(value) != 4 + size:
        return None
    raw = value[4:]
    if masked:
        mask = struct.pack("!I", _MAGIC_COOKIE) + transaction
        raw = bytes(byte ^ bit for byte, bit in zip(raw, mask, strict=False))
    return str(ipaddress.ip_address(raw))
