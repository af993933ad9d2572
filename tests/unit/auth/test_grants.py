"""Grants: each question is answered by its own grant and by no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from switchroom.auth import grants
from switchroom.auth.grants import Claims, PermissionDenied, SipGrants, VideoGrants
from switchroom.base.errors import ErrorCode

_QUESTIONS: dict[str, Callable[[Claims | None], Any]] = {
    "create": grants.require_room_create,
    "list": grants.require_room_list,
    "admin": lambda claims: grants.require_room_admin(claims, "r"),
    "join": grants.require_room_join,
    "agent": grants.require_agent,
    "sip_admin": grants.require_sip_admin,
    "sip_call": grants.require_sip_call,
}
_ANSWERS: dict[str, Claims] = {
    "create": Claims("k", video=VideoGrants(room_create=True)),
    "list": Claims("k", video=VideoGrants(room_list=True)),
    "admin": Claims("k", video=VideoGrants(room_admin=True, room="r")),
    "join": Claims("k", video=VideoGrants(room_join=True)),
    "agent": Claims("k", video=VideoGrants(agent=True)),
    "sip_admin": Claims("k", sip=SipGrants(admin=True)),
    "sip_call": Claims("k", sip=SipGrants(call=True)),
}


@pytest.mark.parametrize("question", _QUESTIONS)
@pytest.mark.parametrize("answer", _ANSWERS)
def test_each_question_is_answered_by_its_own_grant_only(question: str, answer: str) -> None:
    if question == answer:
        _QUESTIONS[question](_ANSWERS[answer])
        return
    with pytest.raises(PermissionDenied):
        _QUESTIONS[question](_ANSWERS[answer])


@pytest.mark.parametrize("question", _QUESTIONS)
def test_no_token_grants_nothing(question: str) -> None:
    with pytest.raises(PermissionDenied) as denied:
        _QUESTIONS[question](None)
    assert denied.value.code is ErrorCode.UNAUTHENTICATED
    assert denied.value.message == "permissions denied"


def test_an_admin_of_one_room_is_no_admin_of_another() -> None:
    with pytest.raises(PermissionDenied):
        grants.require_room_admin(_ANSWERS["admin"], "other")
