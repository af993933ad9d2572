"""Dialogs: who talks to whom, along which route, in which order (RFC 3261 section 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from switchroom.base.records import record
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.flows import Flow
from switchroom.sip.headers import tag_of
from switchroom.sip.message import Request, Response
from switchroom.sip.targets import DEFAULT_PORTS
from switchroom.sip.uri import NameAddr, Uri

_GAP: Final = 1_000


@record
class DialogSnapshot:
    """A dialog as plain text and numbers, to be stored and brought back after a crash."""

    call_id: str
    local: str
    """From value of our requests, tag included."""
    remote: str
    """To value of our requests, tag included."""
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int | None
    transport: str | None
    """``udp`` or ``tcp`` if the caller insisted on one."""

    def to_json(self) -> dict[str, Any]:
        """A dict that ``json.dumps`` takes as it is."""
        # Not `asdict`, which looks for records within records: an answered call waits for this.
        return {
            "call_id": self.call_id,
            "local": self.local,
            "remote": self.remote,
            "remote_target": self.remote_target,
            "route_set": list(self.route_set),
            "local_cseq": self.local_cseq,
            "remote_cseq": self.remote_cseq,
            "transport": self.transport,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of to_json (raises KeyError or TypeError for data of another make)."""
        return cls(**{**data, "route_set": tuple(data["route_set"])})


class Dialog:
    """One side of a dialog. Built by ``as_caller``, ``as_callee`` or ``restore``."""

    __slots__ = (
        "_routes",
        "_target",
        "call_id",
        "flow",
        "local",
        "local_cseq",
        "local_tag",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "request_target",
        "route_set",
        "transport",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str | None,
        remote: str,
        remote_tag: str | None,
        remote_target: Uri,
        route_set: tuple[str, ...],
        local_cseq: int,
        remote_cseq: int | None,
        transport: str | None,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.local_tag = local_tag or ""
        self.remote_tag = remote_tag or ""
        self.route_set = route_set
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.transport = transport
        self.request_target: str
        """The Request-URI that ``request`` writes (a digest is made over it)."""
        self._aim(remote_target)
        self.flow: Flow | None = None
        """What it was set up on, as long as this process lives."""

    @classmethod
    def as_caller(cls, request: Request, response: Response, transport: str | None) -> Self:
        """The UAC's dialog from its INVITE and a 101–299 response (section 12.1.2).

        Never raises: a 2xx has to be acknowledged somewhere, however bad its headers are.
        """
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            local_tag=request.from_tag,
            remote=response.headers.get("To") or "",
            remote_tag=response.to_tag,
            remote_target=_target_of(response) or request.uri,
            # The proxies recorded themselves in the order of the request: reversed for us.
            route_set=tuple(reversed(_routes_of(response))),
            local_cseq=request.cseq.number,
            remote_cseq=None,
            transport=transport,
        )

    @classmethod
    def as_callee(cls, request: Request, local_tag: str, transport: str | None) -> Self:
        """The UAS's dialog from the INVITE it is about to answer (section 12.1.1).

        Raises MalformedValueError if there is no usable Contact.
        """
        target = _target_of(request)
        if target is None:
            raise MalformedValueError("missing Contact")
        return cls(
            call_id=request.call_id,
            local=f"{request.headers.get('To')};tag={local_tag}",
            local_tag=local_tag,
            remote=request.headers.get("From") or "",
            remote_tag=request.from_tag,
            remote_target=target,
            route_set=_routes_of(request),
            local_cseq=0,
            remote_cseq=request.cseq.number,
            transport=transport,
        )

    @classmethod
    def restore(cls, snapshot: DialogSnapshot) -> Self:
        """A stored dialog (raises MalformedValueError if it was not stored by us)."""
        return cls(
            call_id=snapshot.call_id,
            local=snapshot.local,
            local_tag=tag_of(snapshot.local),
            remote=snapshot.remote,
            remote_tag=tag_of(snapshot.remote),
            remote_target=Uri.parse(snapshot.remote_target),
            route_set=snapshot.route_set,
            local_cseq=snapshot.local_cseq,
            remote_cseq=snapshot.remote_cseq,
            transport=snapshot.transport,
        )

    def snapshot(self) -> DialogSnapshot:
        """The dialog as it stands."""
        return DialogSnapshot(
            call_id=self.call_id,
            local=self.local,
            remote=self.remote,
            remote_target=self._target,
            route_set=self.route_set,
            local_cseq=self.local_cseq,
            remote_cseq=self.remote_cseq,
            transport=self.transport,
        )

    def request(
        self,
        method: str,
        via: str,
        contact: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        cseq: int | None = None,
    ) -> Request:
        """A request inside this dialog (section 12.2.1.1).

        ``cseq`` is given for ACK and for a request that is tried again as it was; otherwise the
        next number is taken.
        """
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        return Request.compose(
            method,
            self.request_target,
            via=via,
            routes=self._routes,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            number=cseq,
            fields=(("Contact", contact), *headers) if contact else headers,
            body=body,
        )

    def next_hop(self) -> Uri:
        """Where requests of this dialog are sent: the first route if any, else the remote target.

        The route set wins over the Contact (section 8.1.2), also where their transports differ.
        """
        return NameAddr.parse(self.route_set[0]).uri if self.route_set else self.remote_target

    def straight(self) -> Flow | None:
        """Its flow, if that is UDP and leads right to the address that requests go to.

        Then there is no target to be found, no other one, and nothing to connect.
        """
        flow, target = self.flow, self.remote_target
        if flow is None or flow.transport != "udp" or self.transport not in (None, "udp"):
            return None
        if self.route_set or target.params or target.scheme != "sip":
            return None
        there = target.host.strip("[]"), target.port or DEFAULT_PORTS["udp"]
        return flow if flow.remote == there else None

    def _aim(self, remote_target: Uri) -> None:
        """Where requests go from now on, and along which route (section 12.2.1.1)."""
        self.remote_target = remote_target
        self._target = self.request_target = str(remote_target.without_headers())
        self._routes = self.route_set
        first = NameAddr.parse(self.route_set[0]).uri if self.route_set else None
        if first is not None and not first.loose_routing:
            # A strict router of RFC 2543 wants itself in the Request-URI, the target as last route.
            self.request_target = str(first.without_headers())
            self._routes = (*self.route_set[1:], f"<{self._target}>")

    def accepts_cseq(self, number: int) -> bool:
        """Whether an incoming request is in order; if so the number is remembered (12.2.2)."""
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def confirm(self, response: Response) -> None:
        """The 2xx of an early dialog of ours sets its route and target anew, and no more
        (section 13.2.2.4): requests that are on their way in it have taken their numbers."""
        self.route_set = tuple(reversed(_routes_of(response)))
        self._aim(_target_of(response) or self.remote_target)

    def leave_a_gap(self) -> None:
        """Numbers may have been used that are not known here; the next one has to be higher than
        all of them, and by how much does not matter (section 12.2.2)."""
        self.local_cseq += _GAP

    def refresh_target(self, message: Request | Response) -> None:
        """Take a new remote target from a target refresh request or its 2xx (section 12.2)."""
        target = _target_of(message)
        if target is not None:
            self._aim(target)


def _target_of(message: Request | Response) -> Uri | None:
    # A missing Contact breaks section 12.1.1; whoever asks has to do with what is known already.
    try:
        contact = message.contact
    except MalformedValueError:
        return None
    return contact.uri if contact and contact.uri.scheme in ("sip", "sips") else None


def _routes_of(message: Request | Response) -> tuple[str, ...]:
    # A set with one unreadable entry is useless as a whole: then the Contact has to do.
    try:
        routes = message.record_route
        if not routes:
            return ()
        return routes if all(NameAddr.parse(route).uri.host for route in routes) else ()
    except MalformedValueError:
        return ()
