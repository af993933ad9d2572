"""Random tokens."""

from __future__ import annotations

from switchroom.sip_io.tokens import Tokens


def test_tokens_are_sixteen_hex_digits_and_never_the_same() -> None:
    tokens = Tokens()
    taken = [tokens.take() for _ in range(2_000)]
    assert len(set(taken)) == 2_000
    assert {len(token) for token in taken} == {16}
    assert set("".join(taken)) == set("0123456789abcdef")
