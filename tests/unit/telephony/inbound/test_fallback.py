from __future__ import annotations

import pytest

from switchroom.base.config_values import destination
from switchroom.telephony.inbound.fallback import (
    Fallback,
    Forward,
    Redirect,
    Refuse,
    read_fallback,
)

MEANT: list[tuple[str, Fallback | None]] = [
    ("", None),
    (" ", None),
    ("+12025550121", Forward("+12025550121")),
    ("100", Forward("100")),
    ("*97", Forward("*97")),
    ("480", Refuse(480)),
    ("603", Refuse(603)),
    ("700", Forward("700")),
    ("sip:desk@pbx.example;transport=tcp", Redirect("sip:desk@pbx.example;transport=tcp")),
    ("sips:desk@pbx.example", Redirect("sips:desk@pbx.example")),
    ("tel:+12025550121", Redirect("tel:+12025550121")),
]


@pytest.mark.parametrize(("text", "meant"), MEANT)
def test_a_setting_is_read_as_a_number_an_address_or_a_status(
    text: str, meant: Fallback | None
) -> None:
    assert read_fallback(destination(text)) == meant


@pytest.mark.parametrize("text", ["desk", "http://x", "sip:", "sip:a b", "+1-2", "sip:a@b\r\nX: y"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a SIP status such as 480"):
        read_fallback(text)
