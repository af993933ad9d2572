"""How TLS connections to and from carriers are secured (RFC 3261 section 26, RFC 5922)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

from switchroom.sip_io.errors import SipStartError

VERSIONS: Final = {
    "tls1.0": ssl.TLSVersion.TLSv1,
    "tls1.1": ssl.TLSVersion.TLSv1_1,
    "tls1.2": ssl.TLSVersion.TLSv1_2,
    "tls1.3": ssl.TLSVersion.TLSv1_3,
}


def client_context(
    *,
    ca_file: str = "",
    verify: bool = True,
    chain: str = "",
    key: str = "",
) -> ssl.SSLContext:
    """For connections we make. Raises SipStartError for files that can't be used.

    The peer's certificate must come from the system's authorities, or from those in ``ca_file``,
    and be valid for the host that was asked for; ``verify`` false takes any. ``chain`` and ``key``
    are what we show to a peer that wants to know us too.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        if chain:
            context.load_cert_chain(chain, key or None)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise SipStartError(f"can't use {ca_file or chain} for SIP over TLS: {reason}") from None
    return context


def tune(
    context: ssl.SSLContext,
    *,
    min_version: str = "tls1.2",
    max_version: str = "tls1.3",
    cipher_suites: Sequence[str] = (),
    alpn: Sequence[str] = (),
    key_log: str = "",
    client_ca_file: str = "",
    client_required: bool = False,
) -> None:
    """Set what a context of either side allows. Raises SipStartError.

    ``client_ca_file`` makes a server ask its peers for a certificate, ``client_required`` insist.
    """
    try:
        context.minimum_version = VERSIONS[min_version]
        context.maximum_version = VERSIONS[max_version]
        if cipher_suites:
            # The suites of TLS 1.3 are not OpenSSL's to choose from by this call.
            context.set_ciphers(":".join(map(_openssl_name, cipher_suites)))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if key_log:
            context.keylog_filename = key_log
        if client_ca_file:
            context.load_verify_locations(client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED if client_required else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError, ValueError, KeyError) as error:
        raise SipStartError(f"SIP over TLS can't be set up: {error}") from None


def describe_tls_error(error: OSError) -> str | None:
    """A failed handshake in the words used for failures of calls; ``None`` if it is something
    else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS handshake failed: {(error.reason or 'unknown').lower().replace('_', ' ')}"
    return None


_AEAD: Final = ("GCM", "CCM", "POLY1305")


def _openssl_name(name: str) -> str:
    """An IANA name (``TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256``) as OpenSSL writes it."""
    if not name.startswith("TLS_") or "_WITH_" not in name:
        return name
    exchange, _, cipher = name.removeprefix("TLS_").partition("_WITH_")
    cipher = cipher.replace("AES_", "AES").replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
    if not any(mode in cipher for mode in _AEAD):
        cipher = cipher.replace("_CBC", "")
    start = "" if exchange == "RSA" else f"{exchange.replace('_', '-')}-"
    return start + cipher.replace("_", "-")
