"""What a leg refuses of keys before the engine sees them; how keys work is tested in the crates."""

from __future__ import annotations

import pytest

from switchroom.media import CRYPTO_KEY_SIZES, Engine, EngineError, LegCodec, LegCrypto, LegMedia

from .telephone import Telephone

PCMU = LegCodec(0, "PCMU", 8_000)


@pytest.mark.parametrize("suite", CRYPTO_KEY_SIZES)
async def test_each_suite_is_taken_with_keys_of_its_size(engine: Engine, suite: str) -> None:
    phone = Telephone(engine, "PCMU")
    await phone.connect()
    size = CRYPTO_KEY_SIZES[suite]  # type: ignore[index]
    crypto = LegCrypto(suite, b"o" * size, b"t" * size)  # type: ignore[arg-type]
    phone.leg.update(LegMedia(phone.address, (PCMU,), crypto=crypto))
    assert (await phone.leg.stats()).not_authentic == 0
    with pytest.raises(EngineError, match=f"{suite} takes {size} octets"):
        phone.leg.update(
            LegMedia(
                phone.address,
                (PCMU,),
                crypto=LegCrypto(suite, b"o" * size, b"t"),  # type: ignore[arg-type]
            )
        )


def test_keys_are_not_shown() -> None:
    crypto = LegCrypto("AEAD_AES_128_GCM", b"secret-of-ours", b"secret-of-theirs")
    assert "secret" not in repr(crypto)
    assert "secret" not in repr(LegMedia(None, (PCMU,), crypto=crypto))


async def test_figures_asked_for_before_the_end_come_after_it(engine: Engine) -> None:
    phone = Telephone(engine, "PCMU")
    await phone.connect()
    figures = phone.leg.stats()
    phone.leg.close()
    assert (await figures).leg == phone.leg.id
    with pytest.raises(EngineError, match="the leg is closed"):
        await phone.leg.stats()
