"""The same key again means the same call, for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound import request_memory
from switchroom.telephony.outbound.outcome import Outcome
from switchroom.telephony.outbound.request_memory import (
    KEY_LIFETIME,
    RETRY_LIFETIME,
    RequestKey,
    RequestMemory,
)

_KEY = RequestKey("k", "digest", durable=True)


@pytest.mark.parametrize(("durable", "lifetime"), [(True, KEY_LIFETIME), (False, RETRY_LIFETIME)])
def test_a_key_is_known_as_long_as_its_kind_lives(durable: bool, lifetime: float) -> None:
    memory, key = RequestMemory(), replace(_KEY, durable=durable)
    assert memory.find(key, 0.0) is None
    memory.remember(key, "SCL_1", Outcome("SCL_1"), 0.0)
    seen = memory.find(key, lifetime - 1)
    assert seen is not None
    assert seen.call_id == "SCL_1"
    assert memory.find(key, lifetime) is None


def test_a_key_used_for_another_request_is_refused() -> None:
    memory = RequestMemory()
    memory.remember(_KEY, "SCL_1", Outcome("SCL_1"), 0.0)
    with pytest.raises(InvalidRequestError, match="used for a different request"):
        memory.find(replace(_KEY, digest="other"), 1.0)


def test_the_age_of_a_request_counts() -> None:
    memory = RequestMemory()
    memory.remember(_KEY, "SCL_1", Outcome("SCL_1"), 0.0, age=KEY_LIFETIME - 5)
    assert memory.find(_KEY, 4.0) is not None
    assert memory.find(_KEY, 5.0) is None


def test_the_oldest_keys_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_memory, "_MOST_KEYS", 2)
    memory = RequestMemory()
    keys = [replace(_KEY, key=name) for name in "abc"]
    for key in keys:
        memory.remember(key, key.key, Outcome("SCL_1"), 0.0)
    assert [memory.find(key, 1.0) is not None for key in keys] == [False, True, True]


def test_expired_keys_do_not_stay() -> None:
    memory = RequestMemory()
    memory.remember(_KEY, "SCL_1", Outcome("SCL_1"), 0.0)
    memory.remember(replace(_KEY, key="later"), "SCL_2", Outcome("SCL_1"), KEY_LIFETIME + 1)
    assert len(memory._seen[True]) == 1
