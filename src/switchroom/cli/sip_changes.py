"""What creating, changing and deleting trunks and rules have in common: send, then say which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import typer
from google.protobuf.message import Message
from livekit.protocol import sip as proto

from switchroom.base.records import record

from .api_client import call, connection_of
from .sip_options import print_answers


@record
class Noun:
    """What the server answers for one kind of thing, and how its identifier is called."""

    info: type[Message]
    id_field: str
    label: str

    def send(
        self, context: typer.Context, method: str, requests: Iterable[Message], *, as_json: bool
    ) -> None:
        """Send each; then print the answers as JSON, or the identifier of each in a line."""
        answers = [call(connection_of(context), method, request, self.info) for request in requests]
        if as_json:
            print_answers(answers)
            return
        for answer in answers:
            print(f"{self.label}: {getattr(answer, self.id_field)}")


OUTBOUND_TRUNK = Noun(proto.SIPOutboundTrunkInfo, "sip_trunk_id", "SIPTrunkID")
INBOUND_TRUNK = Noun(proto.SIPInboundTrunkInfo, "sip_trunk_id", "SIPTrunkID")
DISPATCH_RULE = Noun(proto.SIPDispatchRuleInfo, "sip_dispatch_rule_id", "SIPDispatchRuleID")


def fill_update(update: Message, fields: Mapping[str, Any]) -> None:
    """Set the fields of a partial update; a list replaces the one that is there (ListUpdate)."""
    for field, value in fields.items():
        if isinstance(value, list):
            getattr(update, field).set.extend(value)
        else:
            setattr(update, field, value)


def delete_trunks(context: typer.Context, trunk_ids: Iterable[str]) -> None:
    """Delete trunks of either direction: their identifiers are of one form."""
    for trunk_id in trunk_ids:
        call(
            connection_of(context),
            "SIP/DeleteSIPTrunk",
            proto.DeleteSIPTrunkRequest(sip_trunk_id=trunk_id),
            proto.SIPTrunkInfo,
        )
        print(f"SIP Trunk {trunk_id} deleted")
