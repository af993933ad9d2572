"""What may be ordered, and that everything else is refused in a sentence."""

from __future__ import annotations

import json

import pytest

from switchroom.phonenet.orders import CallOrder, OrderError, read_order

WHOLE = CallOrder(
    "+15550000000",
    "[::1]:5060",
    as_="maria",
    press="12w3#",
    headers={"X-Ticket": "7"},
    username="ann",
    password="secret",
)


@pytest.mark.parametrize("order", [WHOLE, CallOrder("100", "pbx.example.com")])
def test_an_order_survives_its_line(order: CallOrder) -> None:
    line = order.as_line()
    assert "\n" not in line
    assert read_order(line) == order


def test_a_password_is_not_shown_by_chance() -> None:
    assert "secret" not in repr(WHOLE)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"call": ""}, "number to dial"),
        ({"call": "1 2"}, "number to dial"),
        ({"call": "1\r\nX: y"}, "number to dial"),
        ({"call": 1}, "as text"),
        ({"to": ""}, "server's address"),
        ({"to": "sip:host"}, "server's address"),
        ({"to": "host:99x"}, "server's address"),
        ({"press": "12x"}, "pause"),
        ({"headers": []}, "as text"),
        ({"headers": {"X": 1}}, "as text"),
        ({"as_": "maria"}, "nobody knows 'as_'"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused(changes: dict[str, object], why: str) -> None:
    values = {"call": "100", "to": "127.0.0.1", **changes}
    with pytest.raises(OrderError, match=why):
        read_order(json.dumps(values))


@pytest.mark.parametrize("line", ["", "{", "[]", "null", "[" * 100_000, b"\xff"])
def test_what_is_no_order_is_refused(line: str | bytes) -> None:
    with pytest.raises(OrderError):
        read_order(line)
