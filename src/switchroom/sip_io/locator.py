"""From a host to the addresses to try, as RFC 3263 has it: NAPTR, SRV, A and AAAA."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from switchroom.base.ip_addresses import is_ip
from switchroom.sip.targets import DEFAULT_PORTS, Hop, SrvRecord, in_order
from switchroom.sip_io.dns import Dns
from switchroom.sip_io.errors import ResolveError
from switchroom.sip_io.resolver import Resolver

_SRV_NAMES: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_NAPTR_SERVICES: Final = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_ANY: Final = ("udp", "tcp", "tls")
"""In our order, where neither the URI nor NAPTR says which."""

_HEAD_START: Final = 1.5
"""Seconds that SRV and NAPTR get once the plain addresses are known: a resolver that swallows
such questions must not hold up every call."""
_PATIENCE: Final = 5.0
"""Seconds for everything together."""


class Locator:
    """Asks DNS, and the system for plain addresses."""

    def __init__(self, resolver: Resolver, dns: Dns, draw: Callable[[int], int]) -> None:
        """``draw(n)`` gives a random number from 0 to n, for the weights of SRV records."""
        self._resolver = resolver
        self._dns = dns
        self._draw = draw

    async def locate(self, host: str, port: int | None, transport: str | None) -> list[Hop]:
        """Where to send, in the order to try (raises ResolveError).

        A port in the URI, or an address, rules out SRV (section 4.2). ``transport`` ``None`` means
        what the host prefers, UDP if it does not say.
        """
        first = transport or "udp"
        if is_ip(host):
            return [Hop(first, host, port or DEFAULT_PORTS[first], host)]
        if port is not None or "." not in host.rstrip("."):
            # A bare name is one of this network; asking the world for its SRV is time for naught.
            return await self._plain(host, port, first)
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._by_records(host, transport)
        except TimeoutError:
            raise ResolveError(f"{host}: no answer from DNS") from None

    async def _by_records(self, host: str, transport: str | None) -> list[Hop]:
        plain = asyncio.ensure_future(self._plain(host, None, transport or "udp"))
        services = asyncio.ensure_future(self._services(host, transport))
        try:
            await asyncio.wait((plain, services), return_when=asyncio.FIRST_COMPLETED)
            if not services.done():
                # A host that has no address of its own may still have a service.
                alone = plain.exception() is not None
                await asyncio.wait((services,), timeout=None if alone else _HEAD_START)
            found = services.result() if services.done() else None
            if found is not None:
                return await self._targets(host, found)
            return await plain
        finally:
            for task in (plain, services):
                task.cancel()
            await asyncio.gather(plain, services, return_exceptions=True)

    async def _plain(self, host: str, port: int | None, transport: str) -> list[Hop]:
        addresses = await self._addresses(host)
        return [Hop(transport, ip, port or DEFAULT_PORTS[transport], host) for ip in addresses]

    async def _addresses(self, host: str) -> tuple[str, ...]:
        if is_ip(host):
            return (host,)
        if self._dns.exclusive:
            return await self._dns.addresses(host)
        return await self._resolver.resolve(host)

    async def _services(
        self, host: str, transport: str | None
    ) -> list[tuple[str, SrvRecord]] | None:
        """SRV records with their transport, in the order to try; ``None`` if there are none."""
        names = await self._service_names(host, transport)
        answers = await asyncio.gather(*(self._dns.srv(name) for _, name in names))
        for (found, _), records in zip(names, answers, strict=True):
            if records:
                ordered = in_order(records, self._draw)
                return [(found, record) for record in ordered if record.target not in ("", ".")]
        return None

    async def _service_names(self, host: str, transport: str | None) -> list[tuple[str, str]]:
        wanted = (transport,) if transport else _ANY
        usual = [(kind, f"{_SRV_NAMES[kind]}.{host}") for kind in wanted]
        if transport is not None:
            # Section 4.1: a transport that is named needs no NAPTR.
            return usual
        named = [
            (_NAPTR_SERVICES[service.upper()], replacement)
            for service, replacement in await self._dns.naptr(host)
            if service.upper() in _NAPTR_SERVICES
        ]
        return named or usual

    async def _targets(self, host: str, found: Iterable[tuple[str, SrvRecord]]) -> list[Hop]:
        found = list(found)
        if not found:
            # RFC 2782: a target of "." says that there is no such service.
            raise ResolveError(f"{host}: no SIP service there")
        answers = await asyncio.gather(
            *(self._addresses(record.target) for _, record in found), return_exceptions=True
        )
        hops: list[Hop] = []
        for (transport, record), addresses in zip(found, answers, strict=True):
            if not isinstance(addresses, BaseException):
                # RFC 5922 section 4: the certificate is for the domain that was asked for.
                hops += [Hop(transport, ip, record.port, host) for ip in addresses]
        if not hops:
            raise ResolveError(f"{host}: its SRV records lead nowhere")
        return hops
