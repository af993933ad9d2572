"""Outbound trunks: the ways to the telephone network, as records with their rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import IntEnum
from types import MappingProxyType

from switchroom.base.records import record, replace
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.headers import HeaderOptions, check_header_names, check_headers
from switchroom.telephony.routing.media_config import DEFAULT_MEDIA, MediaConfig
from switchroom.telephony.routing.numbers import normalise
from switchroom.telephony.routing.updates import (
    NO_MEDIA_UPDATE,
    ListUpdate,
    MediaUpdate,
    either,
    list_with,
)

_NO_PAIRS: Mapping[str, str] = MappingProxyType({})


def no_pairs() -> Mapping[str, str]:
    """The empty mapping, as a field's default."""
    return _NO_PAIRS


class Transport(IntEnum):
    """What carries the SIP messages; AUTO leaves it to the address."""

    AUTO = 0
    UDP = 1
    TCP = 2
    TLS = 3

    @property
    def parameter(self) -> str | None:
        """The value of a URI's ``transport`` parameter, None for AUTO."""
        return None if self is Transport.AUTO else self.name.lower()


@record
class OutboundTrunk:
    """LiveKit's ``SIPOutboundTrunkInfo``.

    ``address`` is ``host`` or ``host:port``. Times are Unix nanoseconds, 0 where unknown.
    """

    trunk_id: str = ""
    name: str = ""
    metadata: str = ""
    address: str = ""
    transport: Transport = Transport.AUTO
    destination_country: str = ""
    numbers: tuple[str, ...] = ()
    auth_username: str = ""
    auth_password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=no_pairs)
    headers_to_attributes: Mapping[str, str] = field(default_factory=no_pairs)
    attributes_to_headers: Mapping[str, str] = field(default_factory=no_pairs)
    include_headers: HeaderOptions = HeaderOptions.NONE
    media: MediaConfig = DEFAULT_MEDIA
    from_host: str = ""
    created_at: int = 0
    updated_at: int = 0


@record
class OutboundTrunkUpdate:
    """A partial update: None leaves a field as it is."""

    address: str | None = None
    transport: Transport | None = None
    destination_country: str | None = None
    numbers: ListUpdate | None = None
    auth_username: str | None = None
    auth_password: str | None = field(default=None, repr=False)
    name: str | None = None
    metadata: str | None = None
    media: MediaUpdate = NO_MEDIA_UPDATE
    from_host: str | None = None

    def applied_to(self, trunk: OutboundTrunk) -> OutboundTrunk:
        """The trunk with the given fields changed, and checked. Raises InvalidRequestError."""
        changed = replace(
            trunk,
            address=either(self.address, trunk.address),
            transport=trunk.transport if self.transport is None else self.transport,
            destination_country=either(self.destination_country, trunk.destination_country),
            numbers=list_with(self.numbers, trunk.numbers),
            auth_username=either(self.auth_username, trunk.auth_username),
            auth_password=either(self.auth_password, trunk.auth_password),
            name=either(self.name, trunk.name),
            metadata=either(self.metadata, trunk.metadata),
            media=self.media.applied_to(trunk.media),
            from_host=either(self.from_host, trunk.from_host),
        )
        return checked(changed)


def replacement(current: OutboundTrunk, new: OutboundTrunk) -> OutboundTrunk:
    """`new` in the place of `current`: the same id, checked. Raises InvalidRequestError."""
    if new.trunk_id not in ("", current.trunk_id):
        raise InvalidRequestError(
            "trunk id in the info must be empty or match the id in the update"
        )
    return checked(replace(new, trunk_id=current.trunk_id, created_at=current.created_at))


def checked(trunk: OutboundTrunk) -> OutboundTrunk:
    """The trunk with its addresses in one form. Raises InvalidRequestError with LiveKit's texts."""
    if not trunk.numbers:
        raise InvalidRequestError("no trunk numbers specified")
    if not trunk.address:
        raise InvalidRequestError("no outbound address specified")
    address, transport = read_address(trunk.address, trunk.transport, "trunk address")
    check_maps(trunk.headers_to_attributes, trunk.attributes_to_headers)
    check_headers(trunk.headers)
    trunk.media.check()
    return replace(
        trunk, address=address, transport=transport, from_host=read_from_host(trunk.from_host)
    )


def check_maps(
    headers_to_attributes: Mapping[str, str], attributes_to_headers: Mapping[str, str]
) -> None:
    """Raises InvalidRequestError where one of a trunk's two maps names no header."""
    check_header_names(attributes_to_headers.values())
    check_header_names(headers_to_attributes)


_SCHEME = re.compile(r"(sips?):(.*)", re.IGNORECASE | re.DOTALL)
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9._])?"
_HOST_PORT = re.compile(rf"({_NAME}|\[[0-9A-Fa-f:.]{{2,45}}\])(?::(\d{{1,5}}))?", re.ASCII)


def read_address(text: str, transport: Transport, what: str) -> tuple[str, Transport]:
    """``host[:port]`` and the transport, from a host or from a SIP URI with only a host.

    LiveKit refuses ``sip:host`` and ``sips:host:5061;transport=tls``; they say clearly what is
    meant, so they are taken. Raises InvalidRequestError, `what` being the field's name in its text.
    """
    address = text.strip()
    scheme = _SCHEME.fullmatch(address)
    if scheme is not None:
        address, transport = _read_uri(scheme[1].lower(), scheme[2], transport, what)
    elif "transport=" in address:
        raise InvalidRequestError(f"{what} should not contain transport parameter")
    if any(mark in address for mark in "@;"):
        kind = "domain name" if what == "trunk hostname" else "hostname"
        raise InvalidRequestError(f"{what} should be a {kind} or IP, not SIP URI")
    host = _HOST_PORT.fullmatch(address)
    if host is None or not 0 < int(host[2] or 1) < 65536:
        raise InvalidRequestError(f"{what} must be a host name or IP, with a port where needed")
    return address, transport


def _read_uri(scheme: str, rest: str, transport: Transport, what: str) -> tuple[str, Transport]:
    """Host and transport of a URI; other parameters stay behind, and are then refused."""
    host, *parameters = rest.split(";")
    said = Transport.TLS if scheme == "sips" else Transport.AUTO
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() != "transport" or value.upper() not in ("UDP", "TCP", "TLS"):
            return rest, transport
        said = Transport[value.upper()]
    if said not in (Transport.AUTO, transport) and transport is not Transport.AUTO:
        raise InvalidRequestError(
            f"{what} says {said.name}, but the transport field says {transport.name}"
        )
    return host, transport if said is Transport.AUTO else said


def read_from_host(text: str) -> str:
    """The host for From, empty for our own. Raises InvalidRequestError."""
    return read_address(text, Transport.AUTO, "from_host")[0] if text else ""


def listed(
    trunks: Iterable[OutboundTrunk],
    *,
    ids: frozenset[str] = frozenset(),
    numbers: frozenset[str] = frozenset(),
    after_id: str = "",
    limit: int = 0,
) -> list[OutboundTrunk]:
    """Those that match, by id. Empty filters match all, and `limit` 0 is none.

    A trunk without numbers would match any number, as in LiveKit.
    """
    wanted = {normalise(number) for number in numbers}
    found = [
        trunk
        for trunk in sorted(trunks, key=lambda trunk: trunk.trunk_id)
        if trunk.trunk_id > after_id
        and (not ids or trunk.trunk_id in ids)
        and (
            not wanted or not trunk.numbers or not wanted.isdisjoint(map(normalise, trunk.numbers))
        )
    ]
    return found[:limit] if limit > 0 else found
