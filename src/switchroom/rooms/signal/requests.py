"""What a client asks of its session: LiveKit's SignalRequest as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from switchroom.base.records import record
from switchroom.rooms.info import AudioFeature, ClientFacts, TrackSource, TrackType
from switchroom.rooms.reasons import DisconnectReason
from switchroom.rooms.subscriptions import Audience


@record
class Offer:
    """The client's offer; `id` is echoed in the answer."""

    sdp: str
    id: int = 0


@record
class Answer:
    """The client's answer to our offer; some clients leave `id` at 0."""

    sdp: str
    id: int = 0


@record
class Trickle:
    """A candidate line of the client for one of its connections."""

    candidate: str
    subscriber: bool


@record
class AddTrack:
    """The client is about to publish. `sid` is set when it adds a codec to a track it has."""

    cid: str
    name: str = ""
    type: TrackType = TrackType.AUDIO
    source: TrackSource = TrackSource.UNKNOWN
    muted: bool = False
    sid: str = ""
    stream: str = ""
    disable_dtx: bool = False
    stereo: bool = False
    disable_red: bool = False
    encryption: int = 0
    audio_features: tuple[AudioFeature, ...] = ()


@record
class MuteTrack:
    """The client muted or unmuted a track of its own."""

    sid: str
    muted: bool


@record
class Subscription:
    """Tracks that the client wants, or no longer wants."""

    track_sids: tuple[str, ...]
    subscribe: bool


@record
class TrackSettings:
    """Tracks whose packets the client can do without for the moment, or wants again."""

    track_sids: tuple[str, ...]
    disabled: bool


@record
class Leave:
    """The client goes."""

    reason: DisconnectReason


@record
class SetAudience:
    """The client says who may hear it."""

    audience: Audience


@record
class UpdateMetadata:
    """The client changes its own facts; an empty text leaves one as it is."""

    name: str
    metadata: str
    attributes: Mapping[str, str]
    request_id: int


@record
class UpdateAudioTrack:
    """The features of a published track changed."""

    track_sid: str
    features: tuple[AudioFeature, ...]


@record
class SyncState:
    """What a resuming client believes.

    `published` are the sids of its tracks; `last_sequences` the last reliable message it has, by
    the sender's sid.
    """

    published: tuple[str, ...] = ()
    subscription: Subscription | None = None
    disabled: tuple[str, ...] = ()
    last_sequences: Mapping[str, int] = field(default_factory=dict)


@record
class Ping:
    """Are you there? `legacy` pings want the older answer. `timestamp` is the client's, in ms."""

    timestamp: int
    legacy: bool


@record
class Simulate:
    """A fault to be played, named as in LiveKit's SimulateScenario, and for how long."""

    scenario: str
    seconds: float = 0.0


@record
class Unsupported:
    """Something that we do not do. `echo` is the whole request, serialised, for the refusal."""

    field: str
    request_id: int
    echo: bytes


SignalRequest = (
    Offer
    | Answer
    | Trickle
    | AddTrack
    | MuteTrack
    | Subscription
    | TrackSettings
    | Leave
    | SetAudience
    | UpdateMetadata
    | UpdateAudioTrack
    | SyncState
    | Ping
    | Simulate
    | Unsupported
)


@record
class JoinRequest:
    """How a client comes in, whichever path it took.

    `single_connection` is decided by the path and holds for the participant's life. With
    `reconnect` the client wants its participant `participant_sid` back. `legacy_publish` is the
    suffix that old clients use for a connection that only publishes.
    """

    single_connection: bool
    facts: ClientFacts = field(default_factory=ClientFacts)
    auto_subscribe: bool = True
    reconnect: bool = False
    participant_sid: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    add_tracks: tuple[AddTrack, ...] = ()
    offer: Offer | None = None
    sync_state: SyncState | None = None
    legacy_publish: str = ""
