"""What may be asked of a transfer, in LiveKit's words."""

from __future__ import annotations

import pytest

from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.transfer_request import TransferRequest, check


@pytest.mark.parametrize(
    "target",
    [
        "sip:+15105550123@carrier.example.com",
        "SIPS:alice@example.com;transport=tls",
        "tel:+15105550123",
        "<sip:alice@example.com>",
        "<tel:+1>",
    ],
)
def test_sip_and_telephone_addresses_are_taken(target: str) -> None:
    check(TransferRequest("r", "p", target))


@pytest.mark.parametrize(
    "target",
    [
        "+15105550123",
        "alice@example.com",
        "sip:",
        "<>",
        "http://example.com",
        "sip:a@b\r\nX-Evil: 1",
        "sip:a@b>, <sip:c@d",
        "sip:a b@c",
        "sip:" + "9" * 2000,
    ],
)
def test_anything_else_is_refused(target: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"must be a valid SIP\(s\) or TEL URI"):
        check(TransferRequest("r", "p", target))


def test_a_transfer_to_nowhere_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="missing transfer to"):
        check(TransferRequest("r", "p", ""))


def test_its_headers_are_checked_like_any_others() -> None:
    with pytest.raises(InvalidRequestError, match="invalid header name: Refer-To"):
        check(TransferRequest("r", "p", "tel:+1", headers={"Refer-To": "sip:x"}))
