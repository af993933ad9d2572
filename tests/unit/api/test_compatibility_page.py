"""docs/livekit-compatibility.md has each method of `livekit.SIP` and each field of its messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from livekit.protocol import models, sip as wire

from scenarios.house import House
from switchroom.api.sip_service import SipService

_PAGE = (Path(__file__).parents[3] / "docs/livekit-compatibility.md").read_text(encoding="utf-8")

_MESSAGES = (
    models.ListUpdate,
    wire.SIPInboundTrunkInfo,
    wire.SIPInboundTrunkUpdate,
    wire.SIPDispatchRuleInfo,
    wire.SIPDispatchRule,
    wire.SIPDispatchRuleUpdate,
    wire.CreateSIPDispatchRuleRequest,
    wire.CreateSIPParticipantRequest,
    wire.SIPOutboundTrunkInfo,
    wire.SIPOutboundTrunkUpdate,
    wire.SIPOutboundConfig,
    wire.SIPMediaConfig,
    wire.TransferSIPParticipantRequest,
    wire.TransferSIPParticipantResponse,
)


def _first_cells(heading: str) -> str:
    """What the first columns of the tables under a heading hold."""
    _, _, rest = _PAGE.partition(f"# {heading}\n")
    section = re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return " ".join(row.split("|")[1] for row in rows)


@pytest.mark.parametrize("message", _MESSAGES, ids=lambda message: message.DESCRIPTOR.name)
def test_each_field_is_in_the_table_of_its_message(message: type) -> None:
    descriptor = message.DESCRIPTOR  # type: ignore[attr-defined]  # every message has one
    fields = {field.name for field in descriptor.fields}
    assert set(re.findall(r"`(\w+)`", _first_cells(descriptor.name))) == fields


def test_each_method_that_is_served_is_listed_and_no_other() -> None:
    listed = set(re.findall(r"\b\w*SIP\w+", _first_cells("SIP service")))
    assert listed == set(SipService(House().telephony).methods)
