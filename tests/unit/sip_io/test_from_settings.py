from __future__ import annotations

from typing import Any

from switchroom.base.certificates import ServerCertificate
from switchroom.base.config import load_config
from switchroom.base.node_address import Reach
from switchroom.sip_io.driver import SipConfig
from switchroom.sip_io.from_settings import sip_config

HOME = Reach(("127.0.0.1", "10.0.0.5"), "10.0.0.5")
CLOUD = Reach(("127.0.0.1", "10.0.0.5"), "203.0.113.7")


def config(place: Reach = HOME, certificate: bool = False, **settings: Any) -> SipConfig:
    written = {f"sip.{name.replace('__', '.')}": value for name, value in settings.items()}
    shown = ServerCertificate("chain.pem", "key.pem") if certificate else None
    return sip_config(load_config(overrides=written).sip, place, shown, "Switchroom/1")


def test_without_settings_it_is_port_5060_everywhere_and_the_addresses_own() -> None:
    plain = config()
    assert plain.bind == (("127.0.0.1", 5060), ("10.0.0.5", 5060))
    assert (plain.contact_host, plain.media_host, plain.contact_port) == (None, None, 5060)
    assert (plain.session_expires, plain.redirects, plain.udp_limit) == (None, 0, 1300)
    assert plain.tls.bind == ()


def test_behind_a_nat_the_public_address_is_told_and_may_differ_for_sound() -> None:
    assert config(CLOUD).contact_host == "203.0.113.7"
    both = config(CLOUD, nat_1_to_1_ip="203.0.113.8", media_nat_1_to_1_ip="203.0.113.9")
    assert (both.contact_host, both.media_host) == ("203.0.113.8", "203.0.113.9")


def test_a_port_may_be_told_that_is_not_listened_on() -> None:
    split = config(port=5060, port_listen=15060, listen_ip="10.0.0.5")
    assert (split.bind, split.contact_port) == ((("10.0.0.5", 15060),), 5060)


def test_tls_is_listened_for_with_a_certificate_only() -> None:
    files = [{"cert_file": "chain.pem", "key_file": "key.pem"}]
    tls = config(certificate=True, tls__certs=files, hostname="sip.example.com").tls
    assert tls.bind == (("127.0.0.1", 5061), ("10.0.0.5", 5061))
    assert (tls.contact_host, tls.client_chain) == ("sip.example.com", "chain.pem")


def test_a_session_timer_is_never_shorter_than_the_standard_allows() -> None:
    assert config(session_expires="30s").session_expires == 90
    assert config(session_expires="30m").session_expires == 1800
    assert config(follow_redirects=True).redirects == 3
