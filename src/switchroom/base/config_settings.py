"""What can be set, with defaults: one frozen record a section, one field a key.

Keys are LiveKit's wherever LiveKit has one. :mod:`config` reads these records from files and from
the environment; `docs/configuration.md` lists them in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from switchroom.base.records import record

from . import config_values as read
from .config_values import Certificate, PortRange


def _setting(default: Any, reader: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"read": reader})


def _secret(default: Any, reader: Callable[[Any], Any]) -> Any:
    return field(default=default, repr=False, metadata={"read": reader, "secret": True})


def _mapping(reader: Callable[[Any], Any]) -> Any:
    return field(default_factory=dict, metadata={"read": reader})


def _section(section: type[Any]) -> Any:
    return field(default_factory=section, metadata={"section": section})


@record
class HttpsSettings:
    """TLS of HTTP and WebSockets. Without certificates a proxy in front of the server does it."""

    cert_file: str = _setting("", read.text)
    """PEM file: the certificate, then those between it and the root."""
    key_file: str = _setting("", read.text)
    port: int = _setting(0, read.port)
    """A port of its own for HTTPS beside the plain one; 0: `port` itself speaks HTTPS."""


@record
class PrometheusSettings:
    """Where figures are fetched."""

    port: int = _setting(0, read.port)
    """TCP port of `/metrics`, on `bind_addresses`; 0: not served."""
    username: str = _setting("", read.text)
    password: str = _secret("", read.text)
    """With both set, basic authentication is asked for."""


@record
class RtcSettings:
    """WebRTC: one UDP port for every client."""

    udp_port: int = _setting(7882, read.single_port)
    node_ip: str = _setting("", read.ip_address)
    """The address told to clients and carriers; empty: the source address of the default route."""
    use_external_ip: bool = _setting(False, read.flag)
    """Whether to ask a STUN server for the address to tell, where `node_ip` says none."""
    stun_servers: tuple[str, ...] = _setting((), read.words)
    """`host:port` of each STUN server to ask."""


@record
class RoomSettings:
    """What a room is like unless its creator says otherwise."""

    auto_create: bool = _setting(True, read.flag)
    """Whether joining a room that does not exist creates it."""
    empty_timeout: float = _setting(300.0, read.seconds)
    """Seconds after which a room that nobody ever joined is closed."""
    departure_timeout: float = _setting(20.0, read.seconds)
    """Seconds after which a room that everybody left is closed."""
    max_participants: int = _setting(0, read.count)
    """0: no limit."""
    enable_remote_unmute: bool = _setting(False, read.flag)
    """Whether the server API may open a microphone that was muted."""
    room_configurations: Mapping[str, Mapping[str, Any]] = _mapping(read.sections)
    """RoomConfiguration by name, for `room_preset` of CreateRoom and `roomPreset` of tokens."""


@record
class AgentSettings:
    """Agent workers and their jobs."""

    dispatch_wait: float = _setting(10.0, read.seconds)
    """Seconds that a dispatch waits for a worker that takes it."""


@record
class WebhookFilter:
    """Which events are told; without either list, all of them."""

    include_events: tuple[str, ...] = _setting((), read.words)
    exclude_events: tuple[str, ...] = _setting((), read.words)


@record
class WebhookSettings:
    """Who is told of rooms, participants and tracks."""

    api_key: str = _setting("", read.text)
    """The key that signs; empty: the first of `keys`."""
    urls: tuple[str, ...] = _setting((), read.urls)
    keep: float = _setting(24 * 3600.0, read.seconds)
    """Seconds after which an event that could not be delivered is dropped."""
    filter_params: WebhookFilter = _section(WebhookFilter)


@record
class SipTlsSettings:
    """SIP over TLS. Listened for when there are certificates; dialling out needs none."""

    port: int = _setting(5061, read.port)
    """The port told to carriers."""
    port_listen: int = _setting(0, read.port)
    """The port listened on; 0: the one told."""
    certs: tuple[Certificate, ...] = _setting((), read.certificates)
    min_version: str = _setting("tls1.2", read.tls_version)
    max_version: str = _setting("tls1.3", read.tls_version)
    cipher_suites: tuple[str, ...] = _setting((), read.words)
    """Names as IANA or OpenSSL write them, for TLS 1.2; empty: the library's choice."""
    alpn: tuple[str, ...] = _setting((), read.words)
    """Protocols offered in the handshake; empty: none, which every carrier takes."""
    key_log: str = _setting("", read.text)
    """A file that gets the keys of each connection, for Wireshark. Never in production."""
    ca_file: str = _setting("", read.text)
    """PEM file of further authorities that carriers' certificates may come from."""
    verify: bool = _setting(True, read.flag)
    """Whether the certificate of a carrier that we dial must be valid for its name."""


@record
class SipInboundSettings:
    """Calls that come in, before somebody in the room talks to them."""

    answer: str = _setting("when_heard", read.inbound_answer)
    """`when_heard`: ring until somebody in the room can be heard. `now`: answer at once.
    `ring_tone`, `hold_music`: answer at once and play that until somebody can be heard."""
    hold_music: str = _setting("", read.text)
    """A WAV file for `hold_music`; empty: the one that comes with Switchroom."""
    fallback: str = _setting("", read.destination)
    """Where a caller is sent when nobody comes: a number to phone, a SIP address to redirect to, or
    a SIP status to refuse with; empty: `ringing_timeout` decides."""
    fallback_trunk: str = _setting("", read.text)
    """The outbound trunk for a number of `fallback`; empty: the only one there is."""
    fallback_after: float = _setting(30.0, read.seconds)
    """Seconds until a room in which nobody can be heard counts as empty."""
    pin_tries: int = _setting(3, read.count)
    """How often a caller may type a PIN; 0 is once."""
    pin_timeout: float = _setting(15.0, read.seconds)
    """Seconds that a caller may take for the next key of a PIN, the prompt included."""
    prompts: str = _setting("", read.text)
    """A folder with `enter_pin.wav`, `wrong_pin.wav`, `goodbye.wav`, `room_join.wav`; what is not
    in it is ours."""


@record
class SipSettings:
    """The side of the carriers."""

    port: int = _setting(5060, read.port)
    """UDP and TCP; the port told to carriers."""
    port_listen: int = _setting(0, read.port)
    """The port listened on; 0: the one told."""
    listen_ip: str = _setting("", read.ip_address)
    """The one address that SIP listens on; empty: loopback and the default route's."""
    hostname: str = _setting("", read.host_name)
    """The name told to carriers over TLS in place of the address."""
    tls: SipTlsSettings = _section(SipTlsSettings)
    nat_1_to_1_ip: str = _setting("", read.ip_address)
    """The address told to carriers for SIP; empty: `rtc.node_ip`."""
    media_nat_1_to_1_ip: str = _setting("", read.ip_address)
    """The address told to carriers for sound; empty: the one for SIP."""
    udp_max_payload: int = _setting(1500, read.payload)
    """Bytes of the path; a request within 200 of it goes by TCP (RFC 3261 18.1.1)."""
    rtp_port: PortRange = _setting(PortRange(10000, 20000), read.port_range)
    """Ports for call audio: two a call (RTP and RTCP)."""
    media_timeout_initial: float = _setting(30.0, read.seconds)
    """Seconds without a first audio packet after which an answered call is ended."""
    media_timeout: float = _setting(15.0, read.seconds)
    """Seconds of silence on the wire after which a call is ended."""
    codecs: Mapping[str, bool] = _mapping(read.switches)
    """Codecs on or off by `name` or `name/rate`; else PCMU, PCMA, G722 are on and opus is off."""
    max_active_calls: int = _setting(0, read.count)
    """Calls at one time, both directions; beyond, new ones get 503. 0: no limit."""
    max_cpu_utilization: float = _setting(0.9, read.share)
    """Share of this machine's CPU above which new calls get 503; 1: no limit."""
    max_loop_lag: float = _setting(0.5, read.seconds)
    """Seconds that the event loop may run late before new calls get 503; 0: no limit."""
    hide_inbound_port: bool = _setting(False, read.flag)
    """Whether a call that no trunk or rule wants gets no answer at all, so that scanners hear
    nothing."""
    unmatched_status: int = _setting(404, read.sip_failure)
    """The SIP status for a call that no dispatch rule wants."""
    session_expires: float = _setting(0.0, read.seconds)
    """Seconds of the session timer that we ask for (RFC 4028); 0: only if the peer asks."""
    follow_redirects: bool = _setting(False, read.flag)
    """Whether 301, 302, 305 of a carrier is followed to the address that it names."""
    early_media: bool = _setting(False, read.flag)
    """Whether the room hears what a carrier plays before the answer (183 with SDP)."""
    allow_refer: bool = _setting(False, read.flag)
    """Whether the other side of a call may have us transfer it (an incoming REFER)."""
    allow_replaces: bool = _setting(False, read.flag)
    """Whether an admitted call may take the place of one that is up (INVITE with Replaces)."""
    digest_algorithms: tuple[str, ...] = _setting(("MD5",), read.digest_algorithms)
    """What callers of a trunk with a password are asked for, a challenge each. Some phones give up
    at one they do not know, so SHA-256 is for those who know it."""
    detect_tones: bool = _setting(False, read.flag)
    """Whether a phone that sends no telephone events is listened to for the tones of its keys."""
    inbound: SipInboundSettings = _section(SipInboundSettings)


@record
class StorageSettings:
    """What outlives the process."""

    url: str = field(
        default="sqlite:///.switchroom/switchroom.db",
        repr=False,
        metadata={"read": read.text, "shown": read.without_password},
    )
    """An SQLAlchemy URL; a relative SQLite path is taken from the working directory."""
    keep_calls: float = _setting(90 * 86400.0, read.seconds)
    """Seconds after which the record of an ended call is deleted; 0: never."""


@record
class ShutdownSettings:
    """A planned stop."""

    drain: float = _setting(30.0, read.seconds)
    """Seconds that running calls get to end by themselves; 0: end them now."""


@record
class LoggingSettings:
    """What is written to standard error."""

    level: str = _setting("info", read.log_level)
    json: bool = _setting(False, read.flag)


@record
class Config:
    """Everything that can be set. Made by :func:`config.load_config`."""

    port: int = _setting(7880, read.port)
    """TCP port of HTTP and signalling."""
    bind_addresses: tuple[str, ...] = _setting(("0.0.0.0",), read.ip_addresses)
    """Addresses that the HTTP port listens on."""
    trusted_proxies: tuple[str, ...] = _setting((), read.networks)
    """Addresses and networks whose `X-Forwarded-For` and `-Proto` are believed."""
    https: HttpsSettings = _section(HttpsSettings)
    health_port: int = _setting(0, read.port)
    """A second port that only answers how the server is; 0: not served."""
    prometheus: PrometheusSettings = _section(PrometheusSettings)
    key_file: str = _setting("", read.text)
    """A file with further `keys`, one `key: secret` a line, that only its owner may read."""
    keys: Mapping[str, str] = field(
        default_factory=dict, repr=False, metadata={"read": read.key_pairs, "secret": True}
    )
    """API keys and their secrets. A server without any refuses every request, so one is needed."""
    rtc: RtcSettings = _section(RtcSettings)
    room: RoomSettings = _section(RoomSettings)
    agents: AgentSettings = _section(AgentSettings)
    webhook: WebhookSettings = _section(WebhookSettings)
    sip: SipSettings = _section(SipSettings)
    storage: StorageSettings = _section(StorageSettings)
    shutdown: ShutdownSettings = _section(ShutdownSettings)
    logging: LoggingSettings = _section(LoggingSettings)
