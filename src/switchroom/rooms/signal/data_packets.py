"""Data channel messages: DataPacket bytes to DataMessage and back.

The payload of most kinds is forwarded as it came; only who sent it and whom it is for is ours.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from livekit.protocol import models

from switchroom.rooms.data import DataMessage, DispatchEnded, Dtmf, UserData
from switchroom.rooms.info import ParticipantKind
from switchroom.rooms.participant import Participant
from switchroom.rooms.rpc import Rpc, RpcAck, RpcAnswer, RpcRequest

RELIABLE = "_reliable"
LOSSY = "_lossy"

_SERVER_ONLY = ("speaker",)
_AGENT_SPEAKS_FOR_OTHERS = ("transcription", "chat_message", "stream_header")


def read_packet(data: bytes, *, reliable: bool, sender: Participant) -> DataMessage | None:
    """What a client sent, with itself entered as the sender; None if it is not to be forwarded.

    `reliable` tells the channel it came on, which counts, whatever the packet says.
    """
    try:
        packet = models.DataPacket.FromString(data)
    except (DecodeError, ValueError):
        return None
    kind = packet.WhichOneof("value")
    if kind is None or kind in _SERVER_ONLY:
        return None
    if kind == "transcription" and sender.kind is not ParticipantKind.AGENT:
        return None
    packet.kind = models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY
    _enter_sender(packet, kind, sender)
    _agree_on_destinations(packet)
    if not reliable:
        packet.sequence = 0
    return DataMessage(
        reliable=reliable,
        sender_sid=sender.sid,
        sender_identity=sender.identity,
        destinations=frozenset(packet.destination_identities),
        sequence=packet.sequence,
        content=_content(packet, kind),
        rpc=_rpc(packet, kind),
        for_metrics=kind == "metrics",
        wire=packet.SerializeToString(),
    )


def wire_of(message: DataMessage) -> bytes:
    """The serialised DataPacket, made at the first call."""
    if message.wire is None:
        message.wire = _packet(message).SerializeToString()
    return message.wire


def _enter_sender(packet: models.DataPacket, kind: str, sender: Participant) -> None:
    speaks_for_other = (
        sender.kind is ParticipantKind.AGENT
        and kind in _AGENT_SPEAKS_FOR_OTHERS
        and packet.participant_identity
    )
    identity = "" if sender.hidden else sender.identity
    packet.participant_sid = "" if sender.hidden else sender.sid
    if not speaks_for_other:
        packet.participant_identity = identity
    if kind == "user":
        packet.user.participant_sid = packet.participant_sid
        packet.user.participant_identity = packet.participant_identity


def _agree_on_destinations(packet: models.DataPacket) -> None:
    """Old clients name destinations in the user packet, new ones beside it: make both true."""
    if not packet.HasField("user"):
        return
    if packet.destination_identities:
        del packet.user.destination_identities[:]
        packet.user.destination_identities.extend(packet.destination_identities)
    else:
        packet.destination_identities.extend(packet.user.destination_identities)


def _content(packet: models.DataPacket, kind: str) -> UserData | Dtmf | None:
    if kind == "user":
        return UserData(packet.user.payload, packet.user.topic)
    if kind == "sip_dtmf":
        return Dtmf(packet.sip_dtmf.code, packet.sip_dtmf.digit)
    return None


def _rpc(packet: models.DataPacket, kind: str) -> Rpc | None:
    match kind:
        case "rpc_request":
            asked = packet.rpc_request
            return RpcRequest(asked.id, asked.method, asked.payload, asked.response_timeout_ms)
        case "rpc_ack":
            return RpcAck(packet.rpc_ack.request_id)
        case "rpc_response":
            answer = packet.rpc_response
            failure = answer.error
            error = (failure.code, failure.message, failure.data)
            failed = answer.HasField("error")
            return RpcAnswer(answer.request_id, answer.payload, error if failed else None)
        case _:
            return None


def _packet(message: DataMessage) -> models.DataPacket:
    packet = models.DataPacket(
        kind=models.DataPacket.RELIABLE if message.reliable else models.DataPacket.LOSSY,
        participant_identity=message.sender_identity,
        participant_sid=message.sender_sid,
        destination_identities=message.destinations,
        sequence=message.sequence,
    )
    content = message.content
    match content.as_user_data() if isinstance(content, DispatchEnded) else content:
        case UserData(payload, topic):
            packet.user.payload = payload
            if topic:
                packet.user.topic = topic
            packet.user.participant_sid = message.sender_sid
            packet.user.participant_identity = message.sender_identity
            packet.user.destination_identities.extend(message.destinations)
            packet.user.nonce = message.nonce
        case Dtmf(code, digit):
            packet.sip_dtmf.code = code
            packet.sip_dtmf.digit = digit
        case None:
            _write_rpc(packet, message.rpc)
    return packet


def _write_rpc(packet: models.DataPacket, rpc: Rpc | None) -> None:
    match rpc:
        case RpcRequest():
            packet.rpc_request.id = rpc.id
            packet.rpc_request.method = rpc.method
            packet.rpc_request.payload = rpc.payload
            packet.rpc_request.response_timeout_ms = rpc.response_timeout_ms
            packet.rpc_request.version = 1
        case RpcAck():
            packet.rpc_ack.request_id = rpc.request_id
        case RpcAnswer():
            packet.rpc_response.request_id = rpc.request_id
            if rpc.error is None:
                packet.rpc_response.payload = rpc.payload
            else:
                code, message, data = rpc.error
                packet.rpc_response.error.code = code
                packet.rpc_response.error.message = message
                packet.rpc_response.error.data = data
        case None:
            pass
