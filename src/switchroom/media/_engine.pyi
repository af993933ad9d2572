# The compiled engine (crates/bindings). Commands and events are tuples; no call carries audio.
#
# Commands, in `submit`, are a name followed by:
#
# - update_leg — leg; (ip, port) or None; list of codecs; codec of digits or None; direction;
#   packet time in ms; media timeout in s or None; keys or None; whether RTCP shares the port;
#   timeout before the first packet in s, None or left out where that is the media timeout.
#   A codec is (payload type, name, clock rate, fmtp), keys are (suite, ours, theirs, MKI octets).
# - set_processing — leg; whether to denoise; whether to detect tones
# - send_digits — leg; digits
# - play_out — leg
# - close_leg — leg
# - set_inputs — sink; list of (source, gain)
# - stop_player — player
# - open_peer — peer; answerer or offerer
# - close_peer — peer
# - declare_sender — peer; mid; SSRC
# - set_sender_payload_types — peer; mid; list of (codec name, payload type)
# - add_remote_candidate — peer; candidate
# - receive — peer; mid; source
# - send — peer; mid; sink
# - send_data — peer; label; payload
#
# These begin with the number of a request, under which an `answer` or a `refusal` comes:
#
# - stats — request
# - leg_stats — request; leg. Answered by a dictionary, or None if there is no such leg.
# - accept_offer — request; peer; SDP. Answered by the SDP of the answer.
# - describe, restart_ice — request; peer. Answered by (ufrag, pwd, fingerprint, candidates).
# - apply_answer — request; peer; ICE ufrag; ICE pwd; fingerprint; setup. Answered by None.
#
# Events, from `drain`, are a name followed by:
#
# - answer — request; value
# - refusal — request; reason
# - media_started — leg; ip; port
# - media_timed_out — leg
# - digit_received — leg; digit; duration in ms
# - digits_sent — leg
# - played_out — leg
# - level_changed — leg or peer; source; level; whether active
# - connected, disconnected, closed — peer
# - failed — peer; reason
# - channel_opened — peer; label
# - data_received — peer; label; payload
# - track_started — peer; mid; codec name
# - player_finished — player
# - engine_failed — 0; reason

from typing import Any, final

__all__ = ["Engine", "EngineFault", "__version__"]

__version__: str

# A refusal: `args` are a code of errors.py and a sentence for people.
class EngineFault(Exception):
    args: tuple[str, str]

# A running media thread.
@final
class Engine:
    def __new__(
        cls, rtc_addresses: list[tuple[str, str]], rtc_port: int, rtp_port_range: tuple[int, int]
    ) -> Engine: ...
    # Readable while `drain` has something to give.
    @property
    def fd(self) -> int: ...
    # Where the WebRTC sockets are bound.
    @property
    def rtc_addresses(self) -> list[tuple[str, int]]: ...
    # Bind a pair of ports; the even one.
    def open_leg(self, leg: int, source: int, sink: int, local_ip: str) -> int: ...
    # Play a cadence: frequencies in Hz and durations in s, `level` in dBov each.
    def play_tone(
        self,
        player: int,
        source: int,
        segments: list[tuple[list[float], float]],
        level: float,
        repeat: bool,
    ) -> None: ...
    # Read a WAV file in the calling thread and play it.
    def play_file(self, player: int, source: int, path: str, repeat: bool) -> None: ...
    # Have commands done, in order; all or, if one is not understood, none.
    def submit(self, commands: list[tuple[Any, ...]]) -> None: ...
    # What has happened since the last call, in order; at most some thousand at once.
    def drain(self) -> list[tuple[Any, ...]]: ...
    # Close everything and wait until the thread has ended.
    def stop(self) -> None: ...
