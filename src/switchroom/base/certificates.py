"""Certificates of a TLS server that can be renewed while connections are up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

from .log import get_logger

_LOOK_EVERY = 30.0
"""Seconds between two looks at the files: certbot and Kubernetes replace them and tell nobody."""

_log = get_logger("certificates")


class CertificateError(Exception):
    """A certificate that can't be used; the message names the file and the reason."""


class ServerCertificate:
    """A TLS context for a listener, and the two files it is made from."""

    def __init__(self, chain: str, key: str) -> None:
        self._chain, self._key = chain, key
        self.context = _new_context()
        self._seen: tuple[int, ...] = ()

    def load(self) -> None:
        """Read the files; connections that are up keep what they have. Raises CertificateError."""
        seen = self._state()
        # A chain whose key is not its own would leave the context in use without either.
        _load(_new_context(), self._chain, self._key)
        _load(self.context, self._chain, self._key)
        self._seen = seen

    def renew(self, *, always: bool = False) -> None:
        """Read the files again if they changed. What can't be used is told, and the old stays."""
        try:
            state = self._state()
            if state == self._seen and not always:
                return
            self.load()
        except CertificateError as error:
            _log.error("certificate not renewed", reason=str(error))
        else:
            _log.info("certificate renewed", file=self._chain)

    def _state(self) -> tuple[int, ...]:
        try:
            stats = [Path(name).stat() for name in (self._chain, self._key)]
        except OSError as error:
            raise CertificateError(f"can't read {error.filename}: {error.strerror}") from None
        return tuple(number for stat in stats for number in (stat.st_mtime_ns, stat.st_ino))


class CertificateWatch:
    """Looks every half minute whether certificates changed."""

    def __init__(self, certificates: Sequence[ServerCertificate]) -> None:
        self._certificates = tuple(certificates)
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Load all of them. Raises CertificateError."""
        for certificate in self._certificates:
            certificate.load()
        self._arm()

    async def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def renew(self) -> None:
        """Read all of them again now (SIGHUP)."""
        for certificate in self._certificates:
            certificate.renew(always=True)

    def _arm(self) -> None:
        if self._certificates:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look)

    def _look(self) -> None:
        for certificate in self._certificates:
            certificate.renew()
        self._arm()


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, chain: str, key: str) -> None:
    def locked() -> str:
        # Without this OpenSSL would ask for it on the terminal, and everything would wait.
        raise CertificateError(
            f"can't use {chain} with {key}: the key has a password; store it without: "
            f"openssl pkey -in {key} -out ..."
        )

    try:
        context.load_cert_chain(chain, key, password=locked)
    except ssl.SSLError as error:
        reason = (error.reason or "not PEM").lower().replace("_", " ")
        raise CertificateError(f"can't use {chain} with {key}: {reason}") from None
    except OSError as error:
        raise CertificateError(f"can't read {chain} or {key}: {error.strerror}") from None
