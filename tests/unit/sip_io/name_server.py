"""A little DNS server on a socket: it knows what the test tells it, and can keep silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """``zone`` maps (name, type) to records as text, such as ``10 60 5070 a.example.``"""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()
        """Types of record about which no question is answered."""
        self.ttl = 60
        self.asked: list[tuple[str, str]] = []
        self.address = ("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = str(question.name).rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if kind in self.silent or self._transport is None:
            return
        answer = dns.message.make_response(query, recursion_available=True)
        records = self.zone.get((name, kind))
        if records:
            rrset = dns.rrset.from_text(question.name, self.ttl, "IN", kind, *records)
            answer.answer.append(rrset)
        elif not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
