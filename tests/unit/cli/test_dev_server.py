from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.engine import make_url

from switchroom.cli.connection import Connection
from switchroom.cli.dev_server import as_set_here, lay_trunk
from switchroom.storage.errors import StorageError
from switchroom.storage.exclusive import claim

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


@pytest.mark.parametrize(
    ("setting", "here"),
    [
        ("rtc.udp_port", "SWITCHROOM_RTC_UDP_PORT"),
        ("port", "--port"),
        ("storage.url", "--data"),
    ],
)
def test_what_a_remedy_says_to_set_is_an_option_or_a_variable_here(setting: str, here: str) -> None:
    said = "a set of ports is in use: stop what uses it, or set {}"
    assert as_set_here(said.format(setting)) == said.format(here)


def test_what_is_no_remedy_stays_as_it_is() -> None:
    said = "no such thing: a set of sheets/dev.db"
    assert as_set_here(said) == said


def test_a_second_one_in_the_same_folder_is_told_of_data(tmp_path: Path) -> None:
    database = make_url(f"sqlite:///{tmp_path / 'dev.db'}")
    first = claim(database)
    with pytest.raises(StorageError) as refused:
        claim(database)
    first.release()
    assert as_set_here(str(refused.value)).endswith("dev.db; stop it, or set --data")
