from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from livekit.protocol import room as proto

from switchroom.cli.api_client import RequestRefused, call
from switchroom.cli.connection import Connection
from switchroom.cli.errors import CommandFailed

if TYPE_CHECKING:
    from unit.cli.conftest import FakeApi

METHOD = "RoomService/ListRooms"


def ask(api: FakeApi) -> proto.ListRoomsResponse:
    connection = Connection(api.url, "devkey", "secret")
    return call(connection, METHOD, proto.ListRoomsRequest(), proto.ListRoomsResponse, timeout=7)


def test_a_request_carries_its_deadline_and_an_operators_rights(api: FakeApi) -> None:
    api.answer(METHOD, {"rooms": [{"name": "hello", "unknown_field": 1}]})
    assert [room.name for room in ask(api).rooms] == ["hello"]
    (received,) = api.received
    assert received.timeout_ms == 7000
    assert received.claims.video is not None
    assert received.claims.video.room_list
    assert received.claims.sip is not None
    assert received.claims.sip.admin


def test_an_error_of_the_api_keeps_its_code_and_meta(api: FakeApi) -> None:
    api.refuse(METHOD, 404, b'{"code":"not_found","msg":"no such room","meta":{"a":"b"}}')
    with pytest.raises(RequestRefused) as caught:
        ask(api)
    assert str(caught.value) == "no such room (not_found)"
    assert (caught.value.code, caught.value.meta) == ("not_found", {"a": "b"})


def test_a_refused_key_says_what_to_check(api: FakeApi) -> None:
    api.refuse(METHOD, 401, b'{"code":"unauthenticated","msg":"invalid API key"}')
    with pytest.raises(RequestRefused, match="check --api-key and --api-secret"):
        ask(api)


def test_a_key_refused_in_plain_text_says_what_to_check(api: FakeApi) -> None:
    """The server turns unknown keys away before it knows that a JSON answer is wanted."""
    api.refuse(METHOD, 401, b"invalid token")
    with pytest.raises(CommandFailed, match="check --api-key and --api-secret"):
        ask(api)


def test_a_server_without_tls_is_not_taken_for_one_that_is_down(api: FakeApi) -> None:
    api.url = api.url.replace("http:", "https:")
    with pytest.raises(CommandFailed, match="does not speak TLS; write it with http://"):
        ask(api)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'"x"', b'{"code":1}', b"\xff\xfe"])
def test_something_else_on_that_port_is_recognised(api: FakeApi, content: bytes) -> None:
    api.refuse(METHOD, 500, content)
    with pytest.raises(CommandFailed, match=r"answered 500; is that a Switchroom"):
        ask(api)


@pytest.mark.parametrize("content", [b"", b'{"rooms": 5}', b"\xff"])
def test_an_answer_that_makes_no_sense_is_refused(api: FakeApi, content: bytes) -> None:
    api.refuse(METHOD, 200, content)
    with pytest.raises(CommandFailed, match="can't be understood"):
        ask(api)
