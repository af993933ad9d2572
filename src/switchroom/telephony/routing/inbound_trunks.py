"""Inbound trunks: who may call us, as records with their rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from switchroom.base.records import record, replace
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.allowed_addresses import check_addresses
from switchroom.telephony.routing.headers import HeaderOptions, check_headers
from switchroom.telephony.routing.media_config import DEFAULT_MEDIA, MediaConfig
from switchroom.telephony.routing.number_patterns import (
    closeness,
    names_a_digit,
    share_a_number,
)
from switchroom.telephony.routing.numbers import normalise
from switchroom.telephony.routing.trunks import check_maps, no_pairs
from switchroom.telephony.routing.updates import (
    NO_MEDIA_UPDATE,
    ListUpdate,
    MediaUpdate,
    either,
    list_with,
)

DEFAULT_REALM = "LiveKit"


@record
class InboundTrunk:
    """LiveKit's ``SIPInboundTrunkInfo``.

    ``numbers`` are those that are called, ``allowed_numbers`` those that may call; both may hold
    patterns (`number_patterns`). Timeouts are seconds, 0 for the server's own;
    ``ringing_timeout_status`` is a SIP status, 0 for the server's own. Times are Unix nanoseconds,
    0 where unknown.
    """

    trunk_id: str = ""
    name: str = ""
    metadata: str = ""
    numbers: tuple[str, ...] = ()
    allowed_addresses: tuple[str, ...] = ()
    allowed_numbers: tuple[str, ...] = ()
    auth_username: str = ""
    auth_password: str = field(default="", repr=False)
    auth_realm: str = ""
    headers: Mapping[str, str] = field(default_factory=no_pairs)
    headers_to_attributes: Mapping[str, str] = field(default_factory=no_pairs)
    attributes_to_headers: Mapping[str, str] = field(default_factory=no_pairs)
    include_headers: HeaderOptions = HeaderOptions.NONE
    ringing_timeout: float = 0.0
    ringing_timeout_status: int = 0
    max_call_duration: float = 0.0
    krisp_enabled: bool = False
    media: MediaConfig = DEFAULT_MEDIA
    created_at: int = 0
    updated_at: int = 0

    @property
    def challenges(self) -> bool:
        """Whether callers must know a password."""
        return bool(self.auth_username and self.auth_password)

    @property
    def realm(self) -> str:
        """What a challenge names as the place that the password is for."""
        return self.auth_realm or DEFAULT_REALM


@record
class InboundTrunkUpdate:
    """A partial update: None leaves a field as it is."""

    numbers: ListUpdate | None = None
    allowed_addresses: ListUpdate | None = None
    allowed_numbers: ListUpdate | None = None
    auth_username: str | None = None
    auth_password: str | None = field(default=None, repr=False)
    auth_realm: str | None = None
    name: str | None = None
    metadata: str | None = None
    media: MediaUpdate = NO_MEDIA_UPDATE

    def applied_to(self, trunk: InboundTrunk) -> InboundTrunk:
        """The trunk with the given fields changed, and checked. Raises InvalidRequestError."""
        changed = replace(
            trunk,
            numbers=list_with(self.numbers, trunk.numbers),
            allowed_addresses=list_with(self.allowed_addresses, trunk.allowed_addresses),
            allowed_numbers=list_with(self.allowed_numbers, trunk.allowed_numbers),
            auth_username=either(self.auth_username, trunk.auth_username),
            auth_password=either(self.auth_password, trunk.auth_password),
            auth_realm=either(self.auth_realm, trunk.auth_realm),
            name=either(self.name, trunk.name),
            metadata=either(self.metadata, trunk.metadata),
            media=self.media.applied_to(trunk.media),
        )
        return checked(changed)


def replacement(current: InboundTrunk, new: InboundTrunk) -> InboundTrunk:
    """`new` in the place of `current`: the same id, checked. Raises InvalidRequestError."""
    if new.trunk_id not in ("", current.trunk_id):
        raise InvalidRequestError(
            "trunk id in the info must be empty or match the id in the update"
        )
    return checked(replace(new, trunk_id=current.trunk_id, created_at=current.created_at))


def checked(trunk: InboundTrunk) -> InboundTrunk:
    """The trunk itself. Raises InvalidRequestError with LiveKit's texts where it has one."""
    _check_lets_not_everybody_in(trunk)
    check_numbers(trunk.numbers, "numbers")
    check_numbers(trunk.allowed_numbers, "allowed_numbers")
    check_addresses(trunk.allowed_addresses)
    check_headers(trunk.headers)
    check_maps(trunk.headers_to_attributes, trunk.attributes_to_headers)
    trunk.media.check()
    if trunk.ringing_timeout_status and not 400 <= trunk.ringing_timeout_status < 700:
        raise InvalidRequestError("ringing_timeout_status must be a SIP error status, 400 to 699")
    return trunk


def check_numbers(numbers: Iterable[str], what: str) -> None:
    """Raises InvalidRequestError for an empty entry, which LiveKit would take for no filter."""
    if any(not number.strip() for number in numbers):
        raise InvalidRequestError(f"{what}: empty element in the list")


def _check_lets_not_everybody_in(trunk: InboundTrunk) -> None:
    """A pattern without a digit, or a user name without its password, protects nobody."""
    limited = any(names_a_digit(number) for number in trunk.numbers)
    if not (trunk.challenges or trunk.allowed_addresses or limited):
        open_to_all = "; a number without a digit lets everybody in" if trunk.numbers else ""
        raise InvalidRequestError(
            "for security, one of the fields must be set: "
            f"AuthUsername+AuthPassword, AllowedAddresses or Numbers{open_to_all}"
        )


def check_conflicts(trunk: InboundTrunk, others: Iterable[InboundTrunk]) -> None:
    """Raises InvalidRequestError if a call could belong to `trunk` and to one of `others` alike.

    That is so where both take the same called number for the same callers, equally closely. Other
    overlaps are no conflict: the closer entry gets the call.
    """
    for other in others:
        if other.trunk_id == trunk.trunk_id:
            continue
        if not share_a_number(trunk.numbers, other.numbers):
            continue
        if share_a_number(trunk.allowed_numbers, other.allowed_numbers):
            raise InvalidRequestError(_conflict(trunk, other))


def _conflict(trunk: InboundTrunk, other: InboundTrunk) -> str:
    numbers = " ".join(f'"{number}"' for number in trunk.numbers)
    shared = next(
        (own for own in trunk.allowed_numbers if share_a_number((own,), other.allowed_numbers)), ""
    )
    callers = f'and AllowedNumber "{shared}"' if shared else "without AllowedNumbers set"
    return (
        f'Conflicting inbound SIP Trunks: "{trunk.trunk_id or "<new>"}" and "{other.trunk_id}", '
        f"using the same number(s) [{numbers}] {callers}"
    )


def listed(
    trunks: Iterable[InboundTrunk],
    *,
    ids: frozenset[str] = frozenset(),
    numbers: frozenset[str] = frozenset(),
    after_id: str = "",
    limit: int = 0,
) -> list[InboundTrunk]:
    """Those that match, by id. Empty filters match all, and `limit` 0 is none.

    A trunk without numbers matches any number, and one with a pattern those that fit.
    """
    wanted = [normalise(number) for number in numbers]
    found = [
        trunk
        for trunk in sorted(trunks, key=lambda trunk: trunk.trunk_id)
        if trunk.trunk_id > after_id
        and (not ids or trunk.trunk_id in ids)
        and (not numbers or _serves_one_of(trunk, wanted))
    ]
    return found[:limit] if limit > 0 else found


def _serves_one_of(trunk: InboundTrunk, numbers: Iterable[str]) -> bool:
    return any(closeness(trunk.numbers, number) is not None for number in numbers) or any(
        normalise(own) in numbers for own in trunk.numbers
    )
