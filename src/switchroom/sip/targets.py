"""Where a request can be sent, and in which order (RFC 3263, RFC 2782, RFC 3261 sections 8.1.3.4
and 18.1.1). The answers of DNS come in as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from switchroom.base.ip_addresses import ip_of, is_ip
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.flows import Flow
from switchroom.sip.grammar import find_param
from switchroom.sip.message import Response
from switchroom.sip.uri import NameAddr, Uri

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
"""The transports we serve and the port that a URI means which names none."""

MOST_HOPS: Final = 8
"""More targets than this for one request would only make its failure late."""

_PENALTIES_KEPT: Final = 1_000


class Hop(NamedTuple):
    """One address to send to."""

    transport: str
    ip: str
    port: int
    name: str = ""
    """What the certificate of the peer must be valid for (TLS): a name, or an IP address."""


class SrvRecord(NamedTuple):
    """One SRV record."""

    priority: int
    weight: int
    port: int
    target: str


def in_order(records: Iterable[SrvRecord], draw: Callable[[int], int]) -> list[SrvRecord]:
    """SRV records in the order to try them (RFC 2782).

    Lower priorities first; within one, each comes next with odds of its weight. ``draw(n)`` gives a
    random number from 0 to n.
    """
    chosen: list[SrvRecord] = []
    # Records of weight 0 stand first, so that they have a small chance of being chosen at all.
    rest = sorted(records, key=lambda record: (record.priority, record.weight > 0))
    while rest:
        group = [record for record in rest if record.priority == rest[0].priority]
        wanted = draw(sum(record.weight for record in group))
        for record in group:
            wanted -= record.weight
            if wanted <= 0 or record is group[-1]:
                chosen.append(record)
                rest.remove(record)
                break
    return chosen


class Penalties:
    """Addresses that failed lately. They are tried last for a while, but they are tried."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, int], float] = {}

    def blame(self, hop: Hop, now: float, seconds: float = 30.0) -> None:
        """This one did not answer, or said that it can't."""
        if len(self._until) >= _PENALTIES_KEPT:
            self._until.clear()
        self._until[hop[:3]] = now + seconds

    def forgive(self, hop: Hop) -> None:
        """This one answered."""
        self._until.pop(hop[:3], None)

    def sort(self, hops: Sequence[Hop], now: float) -> list[Hop]:
        """The same hops, the good ones first, their order otherwise kept."""
        if len(hops) < 2 or not self._until:
            return list(hops)
        return sorted(hops, key=lambda hop: self._until.get(hop[:3], 0.0) > now)


def for_size(hops: Sequence[Hop], size: int, limit: int) -> list[Hop]:
    """Section 18.1.1: what is too large for a datagram goes by TCP, and by UDP if it can't."""
    if size <= limit:
        return list(hops)
    by_tcp = [hop._replace(transport="tcp") for hop in hops if hop.transport == "udp"]
    return [*by_tcp, *hops]


def same_flow(hop: Hop, flow: Flow | None) -> Flow | None:
    """The flow that a dialog was set up on, if requests inside it may use it too.

    They may if it leads to where they go, or if that is a private address that only the peer's own
    network can reach (a Contact from behind a NAT). For a connection any port of its host will do.
    """
    if flow is None or flow.transport != hop.transport:
        return None
    peer = flow.remote[0]
    there = hop.ip == peer if flow.reliable else flow.remote == (hop.ip, hop.port)
    hidden = is_private(hop.ip) and not is_private(peer)
    return flow if there or hidden else None


def is_private(ip: str) -> bool:
    """Whether an IP address means nothing outside of its own network."""
    address = ip_of(ip)
    return address is not None and address.is_private


def redirected(response: Response, first: Uri) -> list[Uri]:
    """Where a 3xx sends us, best first, as far as we let ourselves be sent (section 8.1.3.4).

    That is: to SIP URIs on the host that was called first, or on one that shares its domain. Who
    answers a call could otherwise have us call anywhere. From ``sips`` only to ``sips``.
    """
    try:
        contacts = [NameAddr.parse(value) for value in response.headers.values("Contact")]
    except MalformedValueError:
        return []
    schemes = ("sips",) if first.scheme == "sips" else ("sip", "sips")
    fit = [
        contact
        for contact in contacts
        if contact.uri.scheme in schemes and _same_house(contact.uri.host, first.host)
    ]
    fit.sort(key=_preference, reverse=True)
    return [contact.uri.without_headers() for contact in fit]


def _preference(contact: NameAddr) -> float:
    value = find_param(contact.params, "q") or "1"
    try:
        return float(value) if len(value) < 8 else 1.0
    except ValueError:
        return 1.0


def _same_house(host: str, first: str) -> bool:
    ours, theirs = first.lower().rstrip("."), host.lower().rstrip(".")
    if ours == theirs:
        return True
    if is_ip(ours.strip("[]")) or is_ip(theirs.strip("[]")):
        return False
    parent = ours.partition(".")[2]
    # Two labels are a domain of somebody's ("carrier.example"), one is everybody's.
    domain = parent if parent.count(".") >= 1 else ours
    return theirs == domain or theirs.endswith(f".{domain}")
