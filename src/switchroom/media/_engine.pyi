"""The compiled engine (`crates/bindings`). Commands and events are tuples; no call carries audio."""

from typing import Any, final

__all__ = ["Engine", "EngineFault"]
__version__: str

class EngineFault(Exception):
    """A refusal: ``args`` are a code of ``errors.py`` and a sentence for people."""

    args: tuple[str, str]

@final
class Engine:
    """A running media thread.

    Commands, in ``submit``: a name, then what it is about. Those with ``request`` are answered by
    ``("answer", request, value)`` or ``("refusal", request, reason)``.

    ``("update_leg", leg, (ip, port) | None, [(payload_type, name, clock_rate)], digits codec | None,
    direction, ptime_ms, media timeout in s | None)``, ``("send_digits", leg, digits)``,
    ``("close_leg", leg)``, ``("set_inputs", sink, [(source, gain)])``, ``("stats", request)``,
    ``("open_peer", peer, "answerer" | "offerer")``, ``("close_peer", peer)``,
    ``("accept_offer", request, peer, sdp)``, ``("describe", request, peer)``,
    ``("restart_ice", request, peer)``, ``("apply_answer", request, peer, ice_ufrag, ice_pwd,
    fingerprint, setup)``, ``("declare_sender", peer, mid, ssrc)``,
    ``("set_sender_payload_types", peer, mid, [(codec, payload_type)])``,
    ``("add_remote_candidate", peer, candidate)``, ``("receive", peer, mid, source)``,
    ``("send", peer, mid, sink)``, ``("send_data", peer, label, payload)``, ``("stop_player", player)``.

    Events, from ``drain``: ``("media_started", leg, ip, port)``, ``("media_timed_out", leg)``,
    ``("digit_received", leg, digit, duration_ms)``, ``("digits_sent", leg)``,
    ``("level_changed", leg or peer, source, level, active)``, ``("connected", peer)``,
    ``("disconnected", peer)``, ``("closed", peer)``, ``("failed", peer, reason)``,
    ``("channel_opened", peer, label)``, ``("data_received", peer, label, payload)``,
    ``("track_started", peer, mid, codec)``, ``("player_finished", player)``,
    ``("engine_failed", 0, reason)``.
    """

    def __new__(
        cls, rtc_addresses: list[str], rtc_port: int, rtp_port_range: tuple[int, int]
    ) -> Engine: ...
    @property
    def fd(self) -> int:
        """Readable while ``drain`` has something to give."""
    @property
    def rtc_addresses(self) -> list[tuple[str, int]]:
        """Where the WebRTC sockets are bound."""
    def open_leg(self, leg: int, source: int, sink: int, local_ip: str) -> int:
        """Bind a pair of ports; the even one."""
    def play_tone(
        self,
        player: int,
        source: int,
        segments: list[tuple[list[float], float]],
        level: float,
        repeat: bool,
    ) -> None:
        """Play a cadence of frequencies in Hz and durations in s, at ``level`` dBov each."""
    def play_file(self, player: int, source: int, path: str, repeat: bool) -> None:
        """Read a WAV file in the calling thread and play it."""
    def submit(self, commands: list[tuple[Any, ...]]) -> None:
        """Have commands done, in order; all or, if one is not understood, none."""
    def drain(self) -> list[tuple[Any, ...]]:
        """What has happened since the last call, in order; at most some thousand at once."""
    def stop(self) -> None:
        """Close everything and wait until the thread has ended."""
