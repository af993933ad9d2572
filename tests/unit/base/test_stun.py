from __future__ import annotations

import asyncio
import struct
from typing import cast

import pytest
from hypothesis import given, strategies as st

from switchroom.base import external_address as lookup
from switchroom.base.external_address import AddressUnknown, external_address
from switchroom.base.stun import binding_request, mapped_address

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")

# RFC 5769 section 2.2 and 2.3: sample answers, XOR-MAPPED-ADDRESS 192.0.2.1 and its IPv6 twin.
IPV4_ANSWER = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
IPV6_ANSWER = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf1"
    "1784c97c8292c275bfe3ed4180280004c8fb0b4c"
)


def plain_answer(transaction: bytes) -> bytes:
    value = struct.pack("!BBH4s", 0, 1, 4000, bytes([198, 51, 100, 7]))
    return (
        struct.pack("!HHI12s", 0x0101, 12, 0x2112A442, transaction)
        + struct.pack("!HH", 0x0001, 8)
        + value
    )


def test_a_request_is_a_bare_header() -> None:
    assert binding_request(TRANSACTION).hex() == "000100002112a442" + TRANSACTION.hex()


def test_the_samples_of_the_standard_are_read() -> None:
    assert mapped_address(IPV4_ANSWER, TRANSACTION) == "192.0.2.1"
    assert mapped_address(IPV6_ANSWER, TRANSACTION) == "2001:db8:1234:5678:11:2233:4455:6677"


def test_the_plain_form_of_old_servers_is_read() -> None:
    assert mapped_address(plain_answer(TRANSACTION), TRANSACTION) == "198.51.100.7"


def test_an_answer_to_somebody_else_is_none() -> None:
    assert mapped_address(IPV4_ANSWER, bytes(12)) is None
    assert mapped_address(IPV4_ANSWER[:-1], TRANSACTION) is None
    assert mapped_address(b"\x00\x01" + IPV4_ANSWER[2:], TRANSACTION) is None


@given(st.binary(max_size=80), st.integers(0, len(IPV4_ANSWER)))
def test_no_datagram_does_more_than_be_ignored(noise: bytes, kept: int) -> None:
    mapped_address(IPV4_ANSWER[:kept] + noise, TRANSACTION)
    mapped_address(noise, TRANSACTION)


class _StunServer(asyncio.DatagramProtocol):
    """Answers as told: each entry is how often a request stays unanswered before."""

    def __init__(self, deaf: int = 0) -> None:
        self.asked = 0
        self.deaf = deaf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        self.transport.sendto(b"noise", addr)
        if self.asked > self.deaf:
            self.transport.sendto(plain_answer(data[8:20]), addr)


async def serve(deaf: int = 0) -> tuple[_StunServer, str]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: _StunServer(deaf), local_addr=("0.0.0.0", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    return server, f"127.0.0.1:{port}"


async def test_a_stun_server_is_asked_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_WAIT", 0.02)
    server, address = await serve(deaf=1)
    assert await external_address("127.0.0.1", [f"stun:{address}"]) == "198.51.100.7"
    assert server.asked == 2
    server.transport.close()


async def test_the_next_server_is_asked_when_one_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_WAIT", 0.02)
    silent, one = await serve(deaf=99)
    server, other = await serve()
    assert await external_address("127.0.0.1", [one, other]) == "198.51.100.7"
    assert silent.asked == 3
    silent.transport.close()
    server.transport.close()


async def test_without_an_answer_the_setting_to_use_instead_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookup, "_WAIT", 0.01)
    silent, address = await serve(deaf=99)
    with pytest.raises(AddressUnknown, match=r"set rtc\.node_ip"):
        await external_address("127.0.0.1", [address, "no port at all:x"])
    silent.transport.close()
