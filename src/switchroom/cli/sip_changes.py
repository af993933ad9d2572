"""What creating, changing and deleting trunks and rules have in common: send, then say which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import typer
from google.protobuf.message import Message
from livekit.protocol import sip as proto

from switchroom.base.records import record

from .api_client import call
from .connection import connection_of
from .errors import Mistyped
from .output import print_answers
from .request_file import read_request


@record
class Noun:
    """One kind of thing in LiveKit's messages: ``info`` is it, ``change`` is some of its fields."""

    name: str
    wrapper: str
    """The field of a request that holds the thing; files are written with and without it."""
    method: str
    """What follows Create and Update in the names of the methods."""
    id_field: str
    label: str
    info: type[Message]
    change: Callable[..., Message]
    update: Callable[..., Message]

    def create(self, context: typer.Context, requests: Iterable[Message], *, as_json: bool) -> None:
        """Create a thing for each request."""
        self._send(context, f"SIP/Create{self.method}", requests, as_json=as_json)

    def change_each(
        self,
        context: typer.Context,
        files: Sequence[str],
        known_as: str,
        written: Mapping[str, Any],
        *,
        as_json: bool,
    ) -> None:
        """Replace a thing by each of ``files``, then set the fields ``written`` of ``known_as``.

        Raises :class:`Mistyped` if that is nothing, or not clear of which thing.
        """
        if not files and not written:
            raise Mistyped("say what to change: a JSON file, or --id and the fields to change")
        if known_as and len(files) > 1:
            raise Mistyped(f"--id names one {self.name}, and {len(files)} files are given")
        requests = [self._replacement(file, known_as) for file in files]
        if written:
            requests.append(self._partial_update(known_as, written))
        self._send(context, f"SIP/Update{self.method}", requests, as_json=as_json)

    def _replacement(self, file: str, known_as: str) -> Message:
        info = read_request(file, self.info, wrapper=self.wrapper, wrapped=False)
        which = known_as or getattr(info, self.id_field)
        return self.update(**{self.id_field: which, "replace": info})

    def _partial_update(self, known_as: str, written: Mapping[str, Any]) -> Message:
        if not known_as:
            raise Mistyped(f"--id is needed to say which {self.name} to change")
        change = self.change()
        for field, value in written.items():
            if isinstance(value, list):
                # A list replaces the one that is there (ListUpdate).
                getattr(change, field).set.extend(value)
            elif isinstance(value, Message):
                getattr(change, field).CopyFrom(value)
            else:
                setattr(change, field, value)
        return self.update(**{self.id_field: known_as, "update": change})

    def _send(
        self, context: typer.Context, method: str, requests: Iterable[Message], *, as_json: bool
    ) -> None:
        """Send each; then print the answers as JSON, or the identifier of each in a line."""
        answers = [call(connection_of(context), method, request, self.info) for request in requests]
        if as_json:
            print_answers(answers)
            return
        for answer in answers:
            print(f"{self.label}: {getattr(answer, self.id_field)}")


OUTBOUND_TRUNK = Noun(
    name="trunk",
    wrapper="trunk",
    method="SIPOutboundTrunk",
    id_field="sip_trunk_id",
    label="SIPTrunkID",
    info=proto.SIPOutboundTrunkInfo,
    change=proto.SIPOutboundTrunkUpdate,
    update=proto.UpdateSIPOutboundTrunkRequest,
)
INBOUND_TRUNK = Noun(
    name="trunk",
    wrapper="trunk",
    method="SIPInboundTrunk",
    id_field="sip_trunk_id",
    label="SIPTrunkID",
    info=proto.SIPInboundTrunkInfo,
    change=proto.SIPInboundTrunkUpdate,
    update=proto.UpdateSIPInboundTrunkRequest,
)
DISPATCH_RULE = Noun(
    name="rule",
    wrapper="dispatch_rule",
    method="SIPDispatchRule",
    id_field="sip_dispatch_rule_id",
    label="SIPDispatchRuleID",
    info=proto.SIPDispatchRuleInfo,
    change=proto.SIPDispatchRuleUpdate,
    update=proto.UpdateSIPDispatchRuleRequest,
)


def delete_trunks(context: typer.Context, trunk_ids: Iterable[str], *, as_json: bool) -> None:
    """Delete trunks of either direction: their identifiers are of one form."""
    deleted = []
    for trunk_id in trunk_ids:
        request = proto.DeleteSIPTrunkRequest(sip_trunk_id=trunk_id)
        answer = call(connection_of(context), "SIP/DeleteSIPTrunk", request, proto.SIPTrunkInfo)
        deleted.append(answer)
        if not as_json:
            print(f"SIP Trunk {trunk_id} deleted")
    if as_json:
        print_answers(deleted)
