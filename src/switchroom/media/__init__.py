"""Python's handle on the Rust media engine: who hears what. Audio itself never enters Python.

Everything that can be heard is a :class:`Source`, everything that hears is a :class:`Sink`, and
:meth:`Sink.set_inputs` joins them. Phones are :class:`Leg`, WebRTC clients are :class:`Peer`, tones
and files are :class:`Player`; all come from one :class:`Engine`.
"""

from __future__ import annotations

from .engine import Engine, EngineConfig
from .errors import (
    BadAddress,
    EngineError,
    EngineFailed,
    EngineStopped,
    NoPortAvailable,
    PeerError,
    PlayerError,
    PortInUse,
)
from .events import (
    ChannelOpened,
    Closed,
    Connected,
    DataReceived,
    DigitReceived,
    DigitsSent,
    Disconnected,
    Failed,
    Finished,
    LegEvent,
    LevelChanged,
    MediaStarted,
    MediaTimedOut,
    PeerEvent,
    PlayerEvent,
    TrackStarted,
)
from .graph import Sink, Source
from .leg import (
    CRYPTO_KEY_SIZES,
    CryptoSuite,
    Direction,
    Leg,
    LegCodec,
    LegCrypto,
    LegMedia,
    stats_of,
)
from .peer import LocalTransport, Peer, PeerKind
from .player import Player, Tone, WavFile
from .stats import EngineStats, LegStats, PeerStats

__all__ = [
    "CRYPTO_KEY_SIZES",
    "BadAddress",
    "ChannelOpened",
    "Closed",
    "Connected",
    "CryptoSuite",
    "DataReceived",
    "DigitReceived",
    "DigitsSent",
    "Direction",
    "Disconnected",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineFailed",
    "EngineStats",
    "EngineStopped",
    "Failed",
    "Finished",
    "Leg",
    "LegCodec",
    "LegCrypto",
    "LegEvent",
    "LegMedia",
    "LegStats",
    "LevelChanged",
    "LocalTransport",
    "MediaStarted",
    "MediaTimedOut",
    "NoPortAvailable",
    "Peer",
    "PeerError",
    "PeerEvent",
    "PeerKind",
    "PeerStats",
    "Player",
    "PlayerError",
    "PlayerEvent",
    "PortInUse",
    "Sink",
    "Source",
    "Tone",
    "TrackStarted",
    "WavFile",
    "stats_of",
]
