from __future__ import annotations

from typing import TYPE_CHECKING

from switchroom.cli.connection import Connection
from switchroom.cli.dev_server import lay_trunk, set_by_environment

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi

LIST, CREATE = "SIP/ListSIPOutboundTrunk", "SIP/CreateSIPOutboundTrunk"
UPDATE = "SIP/UpdateSIPOutboundTrunk"
WANTED = {
    "name": "simulated carrier",
    "address": "127.0.0.1:5070",
    "numbers": ["+15550000000"],
    "transport": "SIP_TRANSPORT_UDP",
}


def lay(api: FakeApi) -> str:
    return lay_trunk(Connection(api.url, "devkey", "secret"), "127.0.0.1:5070")


def test_the_first_start_makes_the_trunk_to_the_simulated_carrier(api: FakeApi) -> None:
    api.answer(LIST, {"items": [{"sip_trunk_id": "ST_other", "name": "Carrier"}]})
    api.answer(CREATE, {"sip_trunk_id": "ST_1"})
    assert lay(api) == "ST_1"
    assert api.received[1].body == {"trunk": WANTED}


def test_later_starts_keep_the_trunk_and_correct_its_address(api: FakeApi) -> None:
    known = {"sip_trunk_id": "ST_1", "name": "simulated carrier", "address": "127.0.0.1:9"}
    api.answer(LIST, {"items": [known]})
    api.answer(UPDATE, {"sip_trunk_id": "ST_1"})
    assert lay(api) == "ST_1"
    assert api.received[1].body == {"sip_trunk_id": "ST_1", "replace": WANTED}


def test_what_a_remedy_says_to_set_is_a_variable_here() -> None:
    said = "rtc port 7882 on 127.0.0.1 is in use: stop what uses it, or set {}"
    assert set_by_environment(said.format("rtc.udp_port")) == said.format("SWITCHROOM_RTC_UDP_PORT")
    other = "another switchroom is using this database: a set of sheets/dev.db"
    assert set_by_environment(other) == other
