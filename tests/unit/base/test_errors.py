from __future__ import annotations

import pytest

from switchroom.base.errors import ErrorCode, ServiceError


def test_a_refusal_carries_code_message_and_meta() -> None:
    refusal = ServiceError(
        ErrorCode.NOT_FOUND, "object cannot be found", {"sip_status_code": "404"}
    )
    assert refusal.code == "not_found"
    assert str(refusal) == refusal.message == "object cannot be found"
    assert refusal.meta == {"sip_status_code": "404"}
    assert "not_found" in repr(refusal)


def test_meta_cannot_be_changed_after_the_fact() -> None:
    given = {"a": "1"}
    refusal = ServiceError(ErrorCode.INTERNAL, "x", given)
    given["a"] = "2"
    assert refusal.meta["a"] == "1"
    with pytest.raises(TypeError):
        refusal.meta["a"] = "3"  # type: ignore[index]  # what the test is about


def test_codes_are_twirps_spelling() -> None:
    assert ErrorCode.DATA_LOSS.value == "dataloss"
    assert all(code.value == code.value.lower() for code in ErrorCode)
