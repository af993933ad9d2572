"""`switchroom room participants`: who is in a room.

`lk` names the room in an option (`get --room hello ada`); `get hello ada` works as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from google.protobuf import json_format
from livekit.protocol import models, room as proto

from .api_client import call
from .attributes import pair_of, pairs_of_file
from .connection import connection_of
from .errors import Mistyped
from .options import AlwaysJson, AsJson, CreatedAsJson
from .output import print_done, print_message, print_messages, print_table

app = typer.Typer(
    help="The participants of a room.",
    epilog="Example: switchroom --dev room participants list hello",
    no_args_is_help=True,
)

InRoom = Annotated[str, typer.Option("--room", "-r", help="the name of the room")]
Identity = Annotated[str, typer.Option("--identity", "-i", help="the participant")]
Who = Annotated[list[str] | None, typer.Argument(metavar="[ROOM] IDENTITY", help="the participant")]


@app.command("list")
def list_participants(
    context: typer.Context,
    room: Annotated[str, typer.Argument(metavar="ROOM", help="the name of the room")],
    as_json: AsJson = False,
) -> None:
    """List who is in a room."""
    answer = call(
        connection_of(context),
        "RoomService/ListParticipants",
        proto.ListParticipantsRequest(room=room),
        proto.ListParticipantsResponse,
        room=room,
    )
    if as_json:
        print_messages(answer.participants)
        return
    print_table(
        ("Participant", "Identity", "Kind", "State", "Tracks", "Call status"),
        (
            (
                one.sid,
                one.identity,
                models.ParticipantInfo.Kind.Name(one.kind).lower(),
                models.ParticipantInfo.State.Name(one.state).lower(),
                " ".join(track.sid for track in one.tracks),
                one.attributes.get("sip.callStatus", ""),
            )
            for one in answer.participants
        ),
        empty=f"nobody is in {room}",
    )


@app.command("get")
def get_participant(
    context: typer.Context,
    who: Who = None,
    room: InRoom = "",
    identity: Identity = "",
    _as_json: AlwaysJson = True,
) -> None:
    """Show one participant, as JSON."""
    print_message(_get(context, *_seat(who or (), room, identity)))


@app.command("remove")
def remove_participant(
    context: typer.Context,
    who: Who = None,
    room: InRoom = "",
    identity: Identity = "",
    as_json: CreatedAsJson = False,
) -> None:
    """Remove a participant; a phone is hung up."""
    room, identity = _seat(who or (), room, identity)
    answer = call(
        connection_of(context),
        "RoomService/RemoveParticipant",
        proto.RoomParticipantIdentity(room=room, identity=identity),
        proto.RemoveParticipantResponse,
        room=room,
    )
    print_done(answer, f"{identity} removed from {room}", as_json=as_json)


@app.command("update")
def update_participant(
    context: typer.Context,
    who: Who = None,
    room: InRoom = "",
    identity: Identity = "",
    name: Annotated[str, typer.Option(help="the name that others see")] = "",
    metadata: Annotated[str, typer.Option(help="the new metadata")] = "",
    permissions: Annotated[
        str, typer.Option(help='JSON such as {"canPublish": false}; the rest stays as it is')
    ] = "",
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="key=value, as often as needed; an empty value removes the key"),
    ] = None,
    attribute_file: Annotated[str, typer.Option(help="a JSON file of attributes")] = "",
    as_json: CreatedAsJson = False,
) -> None:
    """Change the name, metadata, attributes or permissions of a participant."""
    room, identity = _seat(who or (), room, identity)
    attributes = dict(pair_of(written) for written in attribute or ())
    attributes |= pairs_of_file(attribute_file)
    if not (name or metadata or permissions or attributes):
        raise Mistyped("say what to change: --name, --metadata, --attribute or --permissions")
    request = proto.UpdateParticipantRequest(
        room=room, identity=identity, name=name, metadata=metadata, attributes=attributes
    )
    if permissions:
        # What the API takes are all permissions at once.
        request.permission.CopyFrom(_get(context, room, identity).permission)
        _merge(permissions, request.permission)
    changed = call(
        connection_of(context),
        "RoomService/UpdateParticipant",
        request,
        models.ParticipantInfo,
        room=room,
    )
    print_done(changed, f"{identity} in {room} updated", as_json=as_json)


def _seat(given: Sequence[str], room: str, identity: str) -> tuple[str, str]:
    """The room and the identity, wherever they were given. Raises Mistyped."""
    rest = list(given)
    if not room and rest:
        room = rest.pop(0)
    if not identity and rest:
        identity = rest.pop(0)
    if rest or not room or not identity:
        raise Mistyped("give the room and the identity, as in: --room hello ada")
    return room, identity


def _get(context: typer.Context, room: str, identity: str) -> models.ParticipantInfo:
    return call(
        connection_of(context),
        "RoomService/GetParticipant",
        proto.RoomParticipantIdentity(room=room, identity=identity),
        models.ParticipantInfo,
        room=room,
    )


def _merge(written: str, permission: models.ParticipantPermission) -> None:
    try:
        document = json.loads(written)
        if not isinstance(document, dict):
            raise Mistyped('--permissions: a JSON object is needed: {"canPublish": false}')
        changes = json_format.ParseDict(document, models.ParticipantPermission())
    except (ValueError, json_format.ParseError, TypeError, AttributeError) as error:
        raise Mistyped(f"--permissions: {str(error).splitlines()[0]}") from None
    for field in changes.DESCRIPTOR.fields:
        if field.json_name not in document and field.name not in document:
            continue
        value = getattr(changes, field.name)
        if field.name == "can_publish_sources":
            permission.can_publish_sources[:] = value
        else:
            setattr(permission, field.name, value)
