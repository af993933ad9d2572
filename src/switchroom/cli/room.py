"""`switchroom room`: what rooms there are and who is in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from livekit.protocol import models, room as proto

from .api_client import call, connection_of
from .output import print_messages, print_table

app = typer.Typer(
    help="List, create and delete rooms, and see who is in them.", no_args_is_help=True
)
participants = typer.Typer(help="The participants of a room.", no_args_is_help=True)
app.add_typer(participants, name="participants")

AsJson = Annotated[bool, typer.Option("--json", "-j", help="print JSON instead of a table")]
RoomName = Annotated[str, typer.Argument(help="the name of the room")]
Identity = Annotated[str, typer.Argument(help="the identity of the participant")]


@app.command("list")
def list_rooms(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="only these rooms")] = None,
    as_json: AsJson = False,
) -> None:
    """List the rooms that exist now."""
    answer = call(
        connection_of(context),
        "RoomService/ListRooms",
        proto.ListRoomsRequest(names=names or ()),
        proto.ListRoomsResponse,
    )
    if as_json:
        print_messages(answer.rooms)
        return
    print_table(
        ("Room", "Name", "Participants", "Publishers", "Created"),
        (
            (one.sid, one.name, str(one.num_participants), str(one.num_publishers), _moment(one))
            for one in answer.rooms
        ),
        empty="no rooms",
    )


@app.command("create")
def create_room(
    context: typer.Context,
    name: RoomName,
    empty_timeout: Annotated[
        int, typer.Option(help="seconds it stays when nobody ever joins; 0: the server's setting")
    ] = 0,
    departure_timeout: Annotated[
        int, typer.Option(help="seconds it stays after the last has left; 0: the server's setting")
    ] = 0,
) -> None:
    """Create a room (joining one, or calling someone into it, does so by itself)."""
    request = proto.CreateRoomRequest(
        name=name, empty_timeout=empty_timeout, departure_timeout=departure_timeout
    )
    created = call(connection_of(context), "RoomService/CreateRoom", request, models.Room)
    print(f"Room {created.name} ({created.sid})")


@app.command("delete")
def delete_rooms(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="the rooms to delete")],
) -> None:
    """Delete rooms: everybody leaves, phones are hung up."""
    for name in names:
        call(
            connection_of(context),
            "RoomService/DeleteRoom",
            proto.DeleteRoomRequest(room=name),
            proto.DeleteRoomResponse,
            room=name,
        )
        print(f"Room {name} deleted")


@participants.command("list")
def list_participants(context: typer.Context, room: RoomName, as_json: AsJson = False) -> None:
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
                str(len(one.tracks)),
                one.attributes.get("sip.callStatus", ""),
            )
            for one in answer.participants
        ),
        empty=f"nobody is in {room}",
    )


@participants.command("get")
def get_participant(context: typer.Context, room: RoomName, identity: Identity) -> None:
    """Show one participant, as JSON."""
    found = call(
        connection_of(context),
        "RoomService/GetParticipant",
        proto.RoomParticipantIdentity(room=room, identity=identity),
        models.ParticipantInfo,
        room=room,
    )
    print_messages([found])


@participants.command("remove")
def remove_participant(context: typer.Context, room: RoomName, identity: Identity) -> None:
    """Remove a participant; a phone is hung up."""
    call(
        connection_of(context),
        "RoomService/RemoveParticipant",
        proto.RoomParticipantIdentity(room=room, identity=identity),
        proto.RemoveParticipantResponse,
        room=room,
    )
    print(f"{identity} removed from {room}")


def _moment(room: models.Room) -> str:
    created = datetime.fromtimestamp(room.creation_time, tz=UTC)
    return created.astimezone().strftime("%Y-%m-%d %H:%M:%S")
