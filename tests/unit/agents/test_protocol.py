"""Frames of workers and configurations of rooms, as odd as they may come."""

from __future__ import annotations

import pytest

from switchroom.agents.protocol import NotAMessage, decode, specs_from_configuration


@pytest.mark.parametrize("number", ["Infinity", "1e400", "-Infinity"])
def test_an_endless_number_where_a_choice_belongs_is_no_message(number: str) -> None:
    with pytest.raises(NotAMessage):
        decode(f'{{"register": {{"type": {number}}}}}')


def test_a_text_frame_of_more_values_than_a_worker_can_mean_is_not_read() -> None:
    jobs = ",".join(["{}"] * 10_000)
    with pytest.raises(NotAMessage, match="too many values"):
        decode(f'{{"migrateJob": {{"jobs": [{jobs}]}}}}')


def test_an_endless_number_in_a_configuration_costs_its_dispatch_only() -> None:
    configuration = '{"agents": [{"restartPolicy": 1e400}, {"agentName": "clerk"}]}'
    assert [spec.agent_name for spec in specs_from_configuration(configuration)] == ["clerk"]
