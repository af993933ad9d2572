"""What a room is made with: any spelling, nothing that can't be meant, presets underneath."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from switchroom.rooms.configuration import spec_from_configuration, with_preset
from switchroom.rooms.info import RoomSpec

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@pytest.mark.parametrize(
    "written",
    [
        {"emptyTimeout": 7, "departureTimeout": 8, "maxParticipants": 9},
        {"empty_timeout": 7, "departure_timeout": 8, "max_participants": 9},
        {"emptyTimeout": "7", "departureTimeout": "8", "maxParticipants": "9"},
    ],
)
def test_both_spellings_and_numbers_as_text_are_understood(written: dict[str, Any]) -> None:
    spec = spec_from_configuration("r", written)
    assert (spec.empty_timeout, spec.departure_timeout, spec.max_participants) == (7, 8, 9)


@pytest.mark.parametrize("value", [-1, 2**32, 1.5, True, "x", "-1", [], {}, None])
def test_what_cannot_be_a_number_is_left_to_the_server(value: Any) -> None:
    assert spec_from_configuration("r", {"emptyTimeout": value}).empty_timeout == 0


def test_what_rooms_do_not_act_on_is_kept_whole() -> None:
    written = {"agents": [{"agent_name": "a", "metadata": "m"}], "tags": {"k": "v"}, "name": "n"}
    assert json.loads(spec_from_configuration("r", written).configuration) == written
    assert spec_from_configuration("r", None) == RoomSpec("r")


def test_the_request_wins_over_its_preset_part_by_part() -> None:
    preset = {"empty_timeout": 5, "metadata": "p", "agents": [{"agentName": "preset"}], "tags": {}}
    spec = spec_from_configuration(
        "r", {"metadata": "own", "agents": [{"agentName": "own"}]}, preset="p"
    )
    merged = with_preset(spec, {"p": preset})
    assert (merged.empty_timeout, merged.metadata) == (5, "own")
    kept = json.loads(merged.configuration)
    assert kept["agents"] == [{"agentName": "own"}]
    assert kept["tags"] == {}


@settings(max_examples=50)
@given(st.dictionaries(st.text(), _JSON))
def test_any_json_makes_a_room_that_can_be(written: dict[str, Any]) -> None:
    spec = spec_from_configuration("r", written)
    assert 0 <= spec.empty_timeout < 2**32
    assert isinstance(spec.metadata, str)
