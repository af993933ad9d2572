"""How TLS connections to and from carriers are secured (RFC 3261 section 26, RFC 5922)."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from switchroom.base.records import record
from switchroom.sip.flows import Address
from switchroom.sip_io.errors import SipStartError

VERSIONS: Final = {
    "tls1.0": ssl.TLSVersion.TLSv1,
    "tls1.1": ssl.TLSVersion.TLSv1_1,
    "tls1.2": ssl.TLSVersion.TLSv1_2,
    "tls1.3": ssl.TLSVersion.TLSv1_3,
}


@record
class TlsConfig:
    """SIP over TLS, both sides."""

    bind: tuple[Address, ...] = ()
    """Addresses listened on; port 0 picks a free one."""
    server: ssl.SSLContext | None = None
    """The certificate for them."""
    contact_host: str | None = None
    """The name in Via and Contact; not used on loopback."""
    contact_port: int | None = None
    """The port there, where it is another than the one listened on."""
    min_version: str = "tls1.2"
    max_version: str = "tls1.3"
    cipher_suites: tuple[str, ...] = ()
    """Names as IANA or OpenSSL write them, for TLS 1.2; empty: the library's choice."""
    alpn: tuple[str, ...] = ()
    key_log: str = ""
    ca_file: str = ""
    """Authorities beside the system's that a peer's certificate may come from."""
    verify: bool = True
    """Whether the certificate of a peer that we call must be valid for the name we called."""
    client_chain: str = ""
    """Shown to peers that we call and that want to know us too."""
    client_key: str = ""
    require_client_certificate: bool = False
    """Whether peers that call must show a certificate that comes from ``ca_file``."""


def client_context(config: TlsConfig) -> ssl.SSLContext:
    """For connections we make. Raises SipStartError for files and names that can't be used."""
    try:
        for name in filter(None, (config.ca_file, config.client_chain, config.client_key)):
            Path(name).open("rb").close()  # OpenSSL does not say which file it could not read
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        if not config.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if config.ca_file:
            context.load_verify_locations(config.ca_file)
        if config.client_chain:
            context.load_cert_chain(config.client_chain, config.client_key or None)
        _tune(context, config)
    except (OSError, ValueError, KeyError) as error:
        raise SipStartError(_why_not(error)) from None
    return context


def prepare_server(context: ssl.SSLContext, config: TlsConfig) -> None:
    """Set what peers that call may do. Raises SipStartError."""
    try:
        if config.require_client_certificate:
            context.load_verify_locations(config.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        _tune(context, config)
    except (OSError, ValueError, KeyError) as error:
        raise SipStartError(_why_not(error)) from None


def _tune(context: ssl.SSLContext, config: TlsConfig) -> None:
    context.minimum_version = VERSIONS[config.min_version]
    context.maximum_version = VERSIONS[config.max_version]
    if config.cipher_suites:
        # Those of TLS 1.3 are OpenSSL's own choice.
        older = [name for name in map(openssl_name, config.cipher_suites) if "_" not in name]
        if older:
            context.set_ciphers(":".join(older))
    if config.alpn:
        context.set_alpn_protocols(list(config.alpn))
    if config.key_log:
        context.keylog_filename = config.key_log


def _why_not(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    name = getattr(error, "filename", None)
    return (
        f"SIP over TLS can't be set up: {name}: {reason}"
        if name
        else (f"SIP over TLS can't be set up: {reason}")
    )


NO_TLS_ANSWER: Final = "TLS handshake failed: connected, but no answer came; is it a port for TLS?"


def describe_tls_error(error: OSError) -> str | None:
    """A failed handshake in the words used for failures of calls; ``None`` if it is something
    else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        if error.reason == "WRONG_VERSION_NUMBER":
            # OpenSSL's words for an answer that is none of TLS, such as plain text.
            return "TLS handshake failed: the answer is not TLS; is it a port for TLS?"
        return f"TLS handshake failed: {(error.reason or 'unknown').lower().replace('_', ' ')}"
    return None


_AEAD: Final = ("GCM", "CCM", "POLY1305")


def openssl_name(name: str) -> str:
    """An IANA name (``TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256``) as OpenSSL writes it.

    Those of TLS 1.3 (``TLS_AES_128_GCM_SHA256``) and what is no IANA name stay as they are.
    """
    if not name.startswith("TLS_") or "_WITH_" not in name:
        return name
    exchange, _, cipher = name.removeprefix("TLS_").partition("_WITH_")
    cipher = cipher.replace("AES_", "AES").replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
    if not any(mode in cipher for mode in _AEAD):
        cipher = cipher.replace("_CBC", "")
    start = "" if exchange == "RSA" else f"{exchange.replace('_', '-')}-"
    return start + cipher.replace("_", "-")
