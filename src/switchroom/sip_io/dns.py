"""Questions to DNS itself: SRV, NAPTR, and plain addresses where a server is named for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from switchroom.base.clock import Clock
from switchroom.sip.flows import Address
from switchroom.sip.targets import SrvRecord
from switchroom.sip_io.errors import ResolveError

_ONE_TRY: Final = 1.5
_ALL_TRIES: Final = 3.0
_REMEMBER: Final = (5.0, 300.0)
"""A record's time to live is kept to within these bounds, in seconds."""
_REMEMBER_FAILURE: Final = 10.0
_KEPT: Final = 1_024

_Record = TypeVar("_Record")
Answer = tuple[float, tuple[object, ...]]


class Dns:
    """A stub resolver that never raises for records that are not there, and remembers them."""

    def __init__(self, clock: Clock, servers: Sequence[Address] = ()) -> None:
        """``servers`` are asked in place of the system's, for plain addresses too."""
        self.exclusive = bool(servers)
        self._clock = clock
        self._known: dict[tuple[str, str], Answer] = {}
        self._resolver = _resolver(servers)

    async def srv(self, name: str) -> list[SrvRecord]:
        """The SRV records of a name; empty if it has none or nobody answers."""
        return [
            SrvRecord(record.priority, record.weight, record.port, str(record.target).rstrip("."))
            for record in await self._ask(name, "SRV", SRV)
        ]

    async def naptr(self, name: str) -> list[tuple[str, str]]:
        """(service, SRV name) of its NAPTR records that end in SRV, in order of preference."""
        records = await self._ask(name, "NAPTR", NAPTR)
        records.sort(key=lambda record: (record.order, record.preference))
        return [
            (record.service.decode("ascii", "replace"), str(record.replacement).rstrip("."))
            for record in records
            if record.flags.lower() == b"s"
        ]

    async def addresses(self, name: str) -> tuple[str, ...]:
        """A and AAAA of a name (raises ResolveError)."""
        four, six = await asyncio.gather(
            self._ask(name, "A", object), self._ask(name, "AAAA", object)
        )
        found = tuple(map(str, (*four, *six)))
        if not found:
            raise ResolveError(f"{name}: no such host")
        return found

    async def _ask(self, name: str, kind: str, make: type[_Record]) -> list[_Record]:
        key = (name.lower(), kind)
        known = self._known.get(key)
        if known is None or known[0] < self._clock.monotonic():
            if len(self._known) >= _KEPT:
                self._known.clear()
            life, records = await self._look_up(name, kind)
            known = self._known[key] = (self._clock.monotonic() + life, records)
        return [record for record in known[1] if isinstance(record, make)]

    async def _look_up(self, name: str, kind: str) -> Answer:
        if self._resolver is None:
            return _REMEMBER_FAILURE, ()
        try:
            answer = await self._resolver.resolve(name, kind, search=False)
        except (dns.exception.DNSException, OSError, ValueError):
            # No such name, no such record, no answer, an answer that can't be read.
            return _REMEMBER_FAILURE, ()
        least, most = _REMEMBER
        life = max(least, min(most, answer.rrset.ttl if answer.rrset is not None else least))
        return life, tuple(answer)


def _resolver(servers: Sequence[Address]) -> dns.asyncresolver.Resolver | None:
    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
    except (dns.exception.DNSException, OSError):
        return None  # a machine without resolv.conf has /etc/hosts at most
    if servers:
        resolver.nameservers = [ip for ip, _ in servers]
        resolver.nameserver_ports = dict(servers)
    resolver.timeout = _ONE_TRY
    resolver.lifetime = _ALL_TRIES
    return resolver
