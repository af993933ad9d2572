from __future__ import annotations

import ipaddress

from switchroom.base.node_address import LOOPBACK, Reach, default_route_source, reach


def test_the_default_routes_source_is_an_address_or_nothing() -> None:
    found = default_route_source()
    assert found is None or ipaddress.IPv4Address(found)


def test_an_address_of_this_machine_is_listened_on_and_told() -> None:
    assert reach("127.0.0.2") == Reach((LOOPBACK, "127.0.0.2"), "127.0.0.2")


def test_a_public_address_in_front_of_a_nat_is_told_but_not_listened_on() -> None:
    found = reach("203.0.113.77")
    assert found.told == "203.0.113.77"
    assert "203.0.113.77" not in found.addresses
    assert found.behind_nat


def test_loopback_is_listened_on_once() -> None:
    assert reach(LOOPBACK) == Reach((LOOPBACK,), LOOPBACK)


def test_without_a_setting_the_default_route_decides() -> None:
    outward = default_route_source() or LOOPBACK
    assert reach("").told == outward
    assert not reach("").behind_nat
