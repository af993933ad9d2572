"""The keys of livekit-server's and livekit-sip's own files, and what becomes of each here.

Sources: `pkg/config/config.go` of livekit/livekit and of livekit/sip, August 2026. Most keys are
ours as well. What is called otherwise here is renamed; what has no meaning here is told at the
start, with what to do about it, and never stops it.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import config_values as read

RENAMED: Mapping[str, str] = {
    # livekit-server
    "prometheus_port": "prometheus.port",
    "log_level": "logging.level",
    # livekit-sip, whose file has no sections
    "sip_port": "sip.port",
    "sip_port_listen": "sip.port_listen",
    "sip_hostname": "sip.hostname",
    "tls": "sip.tls",
    "listen_ip": "sip.listen_ip",
    "use_external_ip": "rtc.use_external_ip",
    "nat_1_to_1_ip": "sip.nat_1_to_1_ip",
    "media_nat_1_to_1_ip": "sip.media_nat_1_to_1_ip",
    **{
        key: f"sip.{key}"
        for key in (
            "rtp_port",
            "udp_max_payload",
            "media_timeout",
            "media_timeout_initial",
            "codecs",
            "max_active_calls",
            "max_cpu_utilization",
            "hide_inbound_port",
        )
    },
}
"""LiveKit's path → ours; a section is renamed with all that is in it."""

FOLDED = {"api_key": read.text, "api_secret": read.secret, "enable_opus": read.flag}
"""livekit-sip's keys that become a part of another setting: `keys` and `sip.codecs`."""

_ONE_NODE = "one process holds everything; leave it out"
_ONE_PORT = "one port serves every client; open rtc.udp_port in the firewall"
_NO_VIDEO = "there is no video; leave it out"
_NO_TURN = (
    "there is no TURN server inside; clients that reach rtc.udp_port need none, for the others run "
    "one of your own (coturn) and hand it to them in the client's rtcConfig"
)
_OWN_FLOW = "the engine sets its own pace; leave it out"
_ALWAYS = "it is always so here; leave it out"
_OUTBOX = "events wait in the database until they are delivered; set webhook.keep"
_FIXED = "the limit is fixed, at LiveKit's default; leave it out"

NOT_HONOURED: Mapping[str, str] = {
    # Told by either file.
    "redis": "no Redis is needed: " + _ONE_NODE,
    "pprof_port": "there is no Go profiler here; use py-spy on the process",
    "jaeger_url": "traces are not exported; SIP ladders and call records are kept instead",
    # livekit-server
    "rtc.tcp_port": "media over TCP is not supported; clients need rtc.udp_port",
    "rtc.port_range_start": _ONE_PORT,
    "rtc.port_range_end": _ONE_PORT,
    "rtc.use_stun_port_as_ice": _ONE_PORT,
    "rtc.use_ice_lite": _ALWAYS,
    "rtc.enable_loopback_candidate": _ALWAYS,
    "rtc.use_mdns": "no mDNS names are looked up; leave it out",
    "rtc.interfaces": "SIP and media listen on loopback and the default route; set sip.listen_ip",
    "rtc.ips": "SIP and media listen on loopback and the default route; set sip.listen_ip",
    "rtc.external_ip_only": "loopback stays a candidate for clients on this machine; leave it out",
    "rtc.batch_io": _OWN_FLOW,
    "rtc.sctp_min_cwnd": _OWN_FLOW,
    "rtc.sctp_fast_rtx_wnd": _OWN_FLOW,
    "rtc.sctp_cwnd_ca_step": _OWN_FLOW,
    "rtc.force_tcp": "media over TCP is not supported; clients need rtc.udp_port",
    "rtc.turn_servers": _NO_TURN,
    "rtc.enable_warp": _OWN_FLOW,
    "rtc.strict_acks": _ALWAYS,
    "rtc.packet_buffer_size": _OWN_FLOW,
    "rtc.packet_buffer_size_video": _OWN_FLOW,
    "rtc.packet_buffer_size_audio": _OWN_FLOW,
    "rtc.pli_throttle": _NO_VIDEO,
    "rtc.congestion_control": _NO_VIDEO,
    "rtc.allow_tcp_fallback": "media over TCP is not supported; leave it out",
    "rtc.tcp_fallback_rtt_threshold": "media over TCP is not supported; leave it out",
    "rtc.allow_udp_unstable_fallback": "media over TCP is not supported; leave it out",
    "rtc.reconnect_on_publication_error": "clients decide; leave it out",
    "rtc.reconnect_on_subscription_error": "clients decide; leave it out",
    "rtc.reconnect_on_data_channel_error": "clients decide; leave it out",
    "rtc.data_channel_max_buffered_amount": _OWN_FLOW,
    "rtc.datachannel_slow_threshold": _OWN_FLOW,
    "rtc.datachannel_lossy_target_latency": _OWN_FLOW,
    "rtc.datachannel_data_track_target_latency": _OWN_FLOW,
    "rtc.forward_stats": "packets are counted in /metrics; leave it out",
    "rtc.enable_rtp_stream_restart_detection": _ALWAYS,
    "room.enabled_codecs": "each receiver gets a codec that it takes; leave it out",
    "room.playout_delay": "clients decide; leave it out",
    "room.sync_streams": "clients decide; leave it out",
    "room.create_room_timeout": _ONE_NODE,
    "room.create_room_attempts": _ONE_NODE,
    "room.enable_full_room_in_webhooks": "webhooks always tell the whole room; leave it out",
    "room.update_batch_target_size": _OWN_FLOW,
    "room.max_metadata_size": _FIXED,
    "room.max_room_name_length": _FIXED,
    "room.max_participant_identity_length": _FIXED,
    "webhook.url_notifier": _OUTBOX,
    "webhook.resource_url_notifier": _OUTBOX,
    "debug_handler": "there is no Go profiler here; use py-spy on the process",
    "audio": "who speaks is told at LiveKit's default pace; leave it out",
    "video": _NO_VIDEO,
    "turn": _NO_TURN,
    "ingress": "there is no ingress; leave it out",
    "node_selector": _ONE_NODE,
    "region": _ONE_NODE,
    "signal_relay": _ONE_NODE,
    "psrpc": _ONE_NODE,
    "limit": _FIXED,
    "agents.enable_user_data_recording": "agents decide; leave it out",
    "agents.enable_user_data_redaction": "agents decide; leave it out",
    "agents.target_load": "a worker is full when it says so; leave it out",
    "development": "for development there is: switchroom dev",
    "environment": "nothing depends on it; leave it out",
    "metric": "clients' metrics are passed on as they are; leave it out",
    "trace": "traces are not exported; SIP ladders and call records are kept instead",
    "node_stats": "figures are exact at each look at /metrics; leave it out",
    "enable_data_tracks": "data tracks are not supported; leave it out",
    "enable_participant_data_blob": "data blobs are not supported; leave it out",
    "api": "calls of the API are answered in the same process; leave it out",
    "logging.pion_level": "there is no pion here; leave it out",
    "logging.sample": "every line is written; set logging.level",
    "logging.sample_initial": "every line is written; set logging.level",
    "logging.sample_interval": "every line is written; set logging.level",
    "logging.item_sample_seconds": "every line is written; set logging.level",
    "logging.item_sample_initial": "every line is written; set logging.level",
    "logging.item_sample_interval": "every line is written; set logging.level",
    "logging.component_levels": "all rooms log at one level; set logging.level",
    # livekit-sip
    "ws_url": "rooms are in this process; leave it out",
    "cluster_id": _ONE_NODE,
    "sip_trunk_ids": "every trunk is served here; delete those that are not to be used",
    "outbound_route_headers": "calls go to the trunk's address; put the proxy there",
    "sip_ringing_interval": "180 is repeated once a minute (RFC 3261 13.3.1.1); leave it out",
    "tcp": "the system chooses the local port of a TCP connection; leave it out",
    "local_net": "SIP and media listen on loopback and the default route; set sip.listen_ip",
    "media_use_external_ip": (
        "sound uses the address of SIP; set rtc.use_external_ip or sip.media_nat_1_to_1_ip"
    ),
    "symmetric_rtp": "sound always goes back to where it comes from; leave it out",
    "ignore_local_addr_in_sdp": "sound always goes back to where it comes from; leave it out",
    "rtp_draining_idle_timeout": "a stranger on a port is never heard; leave it out",
    "rtp_draining_duration": "a stranger on a port is never heard; leave it out",
    "disable_rejected_invite_cache": (
        "a refused call that comes again within a minute gets the same answer; leave it out"
    ),
    "add_record_route": "a phone system is the end of a route, not on it; leave it out",
    "audio_dtmf": (
        "digits go as RFC 4733 events, as tones only where there are none; "
        "to hear tones, sip.detect_tones"
    ),
    "enable_jitter_buffer": _ALWAYS,
    "enable_jitter_buffer_prob": _ALWAYS,
    "opus": "the engine tunes Opus for speech; leave it out",
    "experimental": "nothing waits for an ACK that need not; leave it out",
}
"""LiveKit's path → why it is not used, and what to do. A section stands for all in it."""

ENVIRONMENT: Mapping[str, str] = {
    "LIVEKIT_KEYS": "keys",
    "NODE_IP": "rtc.node_ip",
    "UDP_PORT": "rtc.udp_port",
}

ENVIRONMENT_NOT_HONOURED: Mapping[str, str] = {
    "REDIS_HOST": NOT_HONOURED["redis"],
    "LIVEKIT_REGION": _ONE_NODE,
    "LIVEKIT_TURN_CERT": _NO_TURN,
    "LIVEKIT_TURN_KEY": _NO_TURN,
}
