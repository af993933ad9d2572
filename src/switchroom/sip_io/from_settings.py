"""What the settings mean for the SIP endpoint."""

from __future__ import annotations

from switchroom.base.certificates import ServerCertificate
from switchroom.base.config_settings import SipSettings
from switchroom.base.node_address import Reach
from switchroom.sip_io.driver import SipConfig
from switchroom.sip_io.tls import TlsConfig

_MOST_REDIRECTS = 3

# RFC 4028 section 4: the shortest session timer that anybody may ask for, in seconds.
_SHORTEST_SESSION = 90

# RFC 3261 section 18.1.1: within so many bytes of the path's size a request goes by TCP.
_HELD_BACK = 200


def sip_config(
    settings: SipSettings, place: Reach, certificate: ServerCertificate | None, user_agent: str
) -> SipConfig:
    """Where and how SIP is spoken; `certificate` is what TLS is listened for with."""
    addresses = (settings.listen_ip,) if settings.listen_ip else place.addresses
    port = settings.port_listen or settings.port
    expires = settings.session_expires
    return SipConfig(
        bind=tuple((address, port) for address in addresses),
        contact_host=settings.nat_1_to_1_ip or (place.told if place.behind_nat else None),
        media_host=settings.media_nat_1_to_1_ip or None,
        user_agent=user_agent,
        refer=settings.allow_refer,
        replaces=settings.allow_replaces,
        digest_algorithms=settings.digest_algorithms,
        session_expires=max(_SHORTEST_SESSION, round(expires)) if expires else None,
        redirects=_MOST_REDIRECTS if settings.follow_redirects else 0,
        udp_limit=settings.udp_max_payload - _HELD_BACK,
        contact_port=settings.port,
        tls=_tls(settings, addresses, certificate),
    )


def _tls(
    settings: SipSettings, addresses: tuple[str, ...], certificate: ServerCertificate | None
) -> TlsConfig:
    tls = settings.tls
    port = tls.port_listen or tls.port
    first = tls.certs[0] if tls.certs else None
    return TlsConfig(
        bind=tuple((ip, port) for ip in addresses) if certificate else (),
        server=certificate.context if certificate else None,
        contact_host=settings.hostname or None,
        contact_port=tls.port,
        min_version=tls.min_version,
        max_version=tls.max_version,
        cipher_suites=tls.cipher_suites,
        alpn=tls.alpn,
        key_log=tls.key_log,
        ca_file=tls.ca_file,
        verify=tls.verify,
        client_chain=first.cert_file if first else "",
        client_key=first.key_file if first else "",
    )
