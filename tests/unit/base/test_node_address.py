from __future__ import annotations

import ipaddress

from switchroom.base.node_address import LOOPBACK, default_route_source, reached_at


def test_the_default_routes_source_is_an_address_or_nothing() -> None:
    found = default_route_source()
    assert found is None or ipaddress.IPv4Address(found)


def test_a_configured_address_is_the_one_that_others_are_told() -> None:
    assert reached_at("198.51.100.7") == (LOOPBACK, "198.51.100.7")


def test_loopback_is_listened_on_once() -> None:
    assert reached_at(LOOPBACK) == (LOOPBACK,)


def test_without_a_setting_the_default_route_decides() -> None:
    outward = default_route_source()
    assert reached_at("") == ((LOOPBACK,) if outward is None else (LOOPBACK, outward))
