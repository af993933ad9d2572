"""What is told about rooms, participants and tracks: frozen records in LiveKit's terms.

The enumerations carry the numbers of LiveKit's protocol, so that the wire form is a plain copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import IntEnum

from switchroom.base.records import record
from switchroom.rooms.reasons import DisconnectReason


class ParticipantKind(IntEnum):
    """LiveKit's ParticipantInfo.Kind."""

    STANDARD = 0
    INGRESS = 1
    EGRESS = 2
    SIP = 3
    AGENT = 4
    CONNECTOR = 7
    BRIDGE = 8


class ParticipantKindDetail(IntEnum):
    """LiveKit's ParticipantInfo.KindDetail."""

    CLOUD_AGENT = 0
    FORWARDED = 1
    CONNECTOR_WHATSAPP = 2
    CONNECTOR_TWILIO = 3
    BRIDGE_RTSP = 4
    SIMULATION = 5


class ParticipantState(IntEnum):
    """LiveKit's ParticipantInfo.State."""

    JOINING = 0
    JOINED = 1
    ACTIVE = 2
    DISCONNECTED = 3


class TrackType(IntEnum):
    """LiveKit's TrackType."""

    AUDIO = 0
    VIDEO = 1
    DATA = 2


class TrackSource(IntEnum):
    """LiveKit's TrackSource."""

    UNKNOWN = 0
    CAMERA = 1
    MICROPHONE = 2
    SCREEN_SHARE = 3
    SCREEN_SHARE_AUDIO = 4


class AudioFeature(IntEnum):
    """LiveKit's AudioTrackFeature."""

    STEREO = 0
    NO_DTX = 1
    AUTO_GAIN_CONTROL = 2
    ECHO_CANCELLATION = 3
    NOISE_SUPPRESSION = 4
    ENHANCED_NOISE_CANCELLATION = 5
    PRECONNECT_BUFFER = 6


class ConnectionQuality(IntEnum):
    """LiveKit's ConnectionQuality."""

    POOR = 0
    GOOD = 1
    EXCELLENT = 2
    LOST = 3


@record
class Permissions:
    """LiveKit's ParticipantPermission: the materialised form of a token's grants.

    Empty `can_publish_sources` means any source.
    """

    can_subscribe: bool = True
    can_publish: bool = True
    can_publish_data: bool = True
    can_publish_sources: tuple[TrackSource, ...] = ()
    hidden: bool = False
    recorder: bool = False
    can_update_metadata: bool = False
    agent: bool = False
    can_subscribe_metrics: bool = False
    can_manage_agent_session: bool = False

    def may_publish(self, source: TrackSource) -> bool:
        """Whether a track of this source may be published."""
        return self.can_publish and (
            not self.can_publish_sources or source in self.can_publish_sources
        )


def is_dependent(kind: ParticipantKind, permissions: Permissions) -> bool:
    """Whether somebody is in a room for the others only.

    Such a participant neither counts nor keeps the room open, and no agent's job is done for it.
    """
    return (
        kind in (ParticipantKind.AGENT, ParticipantKind.EGRESS)
        or permissions.agent
        or permissions.recorder
    )


@record
class TrackInfo:
    """LiveKit's TrackInfo as far as audio needs it.

    `mime_type` is `audio/opus` or the like, empty until known. `cid` is the client's own id of the
    track, `mid` the media section that carries it. `encryption` is LiveKit's Encryption.Type.
    """

    sid: str
    type: TrackType
    name: str = ""
    source: TrackSource = TrackSource.UNKNOWN
    muted: bool = False
    mime_type: str = ""
    mid: str = ""
    cid: str = ""
    stream: str = ""
    disable_dtx: bool = False
    stereo: bool = False
    disable_red: bool = False
    encryption: int = 0
    audio_features: tuple[AudioFeature, ...] = ()
    updated_at_us: int = 0


@record
class ParticipantInfo:
    """LiveKit's ParticipantInfo. `version` rises with every change."""

    sid: str
    identity: str
    name: str
    state: ParticipantState
    kind: ParticipantKind
    kind_details: tuple[ParticipantKindDetail, ...]
    metadata: str
    attributes: Mapping[str, str]
    tracks: tuple[TrackInfo, ...]
    permissions: Permissions
    joined_at_ns: int
    version: int
    is_publisher: bool
    disconnect_reason: DisconnectReason
    client_protocol: int
    capabilities: tuple[int, ...]

    @property
    def dependent(self) -> bool:
        """As `is_dependent` says."""
        return is_dependent(self.kind, self.permissions)


@record
class RoomInfo:
    """LiveKit's Room. Timeouts in seconds."""

    sid: str
    name: str
    empty_timeout: int
    departure_timeout: int
    max_participants: int
    created_at_ns: int
    metadata: str = ""
    num_participants: int = 0
    num_publishers: int = 0
    active_recording: bool = False


@record
class Speaker:
    """How loud a participant is: `level` 0 to 1."""

    participant_sid: str
    level: float
    active: bool


@record
class RoomSpec:
    """A room as someone asks for it; zero or empty leaves it to the server's settings.

    `configuration` is the proto-JSON of LiveKit's RoomConfiguration, kept whole for those who
    understand its parts (agent dispatches, recordings). `preset` names one of the server's
    `room.room_configurations`, which fills in what is left open.
    """

    name: str
    empty_timeout: int = 0
    departure_timeout: int = 0
    max_participants: int = 0
    metadata: str = ""
    configuration: str = ""
    preset: str = ""


@record
class ClientFacts:
    """What a participant's client says of itself that others need to know."""

    protocol: int = 0
    client_protocol: int = 0
    capabilities: tuple[int, ...] = field(default=())
