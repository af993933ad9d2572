"""`switchroom room`: what rooms there are, and what can be done to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from livekit.protocol import models, room as proto

from . import participants
from .api_client import call
from .connection import connection_of
from .options import AsJson, CreatedAsJson
from .output import print_answers, print_done, print_message, print_messages, print_table
from .request_file import read_request

app = typer.Typer()
app.add_typer(participants.app, name="participants")

# The fields of CreateRoomRequest are 32 bits wide.
_MOST = 2**32 - 1

RoomName = Annotated[str, typer.Argument(metavar="ROOM", help="the name of the room")]
InRoom = Annotated[str, typer.Option("--room", "-r", help="the name of the room")]
OfParticipant = Annotated[str, typer.Option("--identity", "-i", help="whose track it is")]


@app.command("list")
def list_rooms(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ROOM", help="only these rooms")
    ] = None,
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
        empty="no such rooms" if names else "no rooms",
    )


@app.command("create")
def create_room(
    context: typer.Context,
    name: RoomName,
    empty_timeout: Annotated[
        int,
        typer.Option(
            min=0,
            max=_MOST,
            help="seconds it stays when nobody ever joins; 0: the server's setting",
        ),
    ] = 0,
    departure_timeout: Annotated[
        int,
        typer.Option(
            min=0,
            max=_MOST,
            help="seconds it stays after the last has left; 0: the server's setting",
        ),
    ] = 0,
    max_participants: Annotated[
        int, typer.Option(min=0, max=_MOST, help="most participants; 0: no limit")
    ] = 0,
    metadata: Annotated[str, typer.Option(help="metadata of the room")] = "",
    room_preset: Annotated[
        str, typer.Option(help="the name of one of the server's room configurations")
    ] = "",
    agents_file: Annotated[
        str, typer.Option(help='agents to ask for: JSON as {"dispatches": [{"agentName": …}]}')
    ] = "",
    as_json: CreatedAsJson = False,
) -> None:
    """Create a room (joining one, or calling someone into it, does so by itself)."""
    agents = read_request(agents_file, proto.RoomAgent).dispatches if agents_file else ()
    request = proto.CreateRoomRequest(
        name=name,
        empty_timeout=empty_timeout,
        departure_timeout=departure_timeout,
        max_participants=max_participants,
        metadata=metadata,
        room_preset=room_preset,
        agents=agents,
    )
    created = call(connection_of(context), "RoomService/CreateRoom", request, models.Room)
    if as_json:
        print_message(created)
    else:
        print(f"Room {created.name} ({created.sid})")


@app.command("update")
def update_room(
    context: typer.Context,
    name: RoomName,
    metadata: Annotated[str, typer.Option(help="the new metadata of the room")],
    as_json: CreatedAsJson = False,
) -> None:
    """Change the metadata of a room; everybody in it is told."""
    changed = call(
        connection_of(context),
        "RoomService/UpdateRoomMetadata",
        proto.UpdateRoomMetadataRequest(room=name, metadata=metadata),
        models.Room,
        room=name,
    )
    if as_json:
        print_message(changed)
    else:
        print(f"Room {changed.name} updated")


@app.command("delete")
def delete_rooms(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="ROOM", help="the rooms to delete")],
    as_json: CreatedAsJson = False,
) -> None:
    """Delete rooms: everybody leaves, phones are hung up."""
    deleted = []
    for name in names:
        request = proto.DeleteRoomRequest(room=name)
        answer = call(
            connection_of(context),
            "RoomService/DeleteRoom",
            request,
            proto.DeleteRoomResponse,
            room=name,
        )
        deleted.append(answer)
        if not as_json:
            print(f"Room {name} deleted")
    if as_json:
        print_answers(deleted)


@app.command("mute-track")
def mute_track(
    context: typer.Context,
    track: Annotated[str, typer.Argument(metavar="TRACK_SID", help="the track")],
    room: InRoom,
    identity: OfParticipant,
    mute: Annotated[
        bool, typer.Option("--mute/--unmute", "-m/-u", help="silence it, or let it be heard")
    ] = True,
    as_json: CreatedAsJson = False,
) -> None:
    """Mute a track; unmuting needs the server's room.enable_remote_unmute."""
    answer = call(
        connection_of(context),
        "RoomService/MutePublishedTrack",
        proto.MuteRoomTrackRequest(room=room, identity=identity, track_sid=track, muted=mute),
        proto.MuteRoomTrackResponse,
        room=room,
    )
    print_done(answer, f"Track {track} {'muted' if mute else 'unmuted'}", as_json=as_json)


@app.command("update-subscriptions")
def update_subscriptions(
    context: typer.Context,
    tracks: Annotated[list[str], typer.Argument(metavar="TRACK_SID", help="the tracks")],
    room: InRoom,
    identity: Annotated[str, typer.Option("--identity", "-i", help="who hears them, or not")],
    subscribe: Annotated[
        bool, typer.Option("--subscribe/--unsubscribe", "-s/-S", help="hear them, or not")
    ] = True,
    as_json: CreatedAsJson = False,
) -> None:
    """Have a participant hear tracks of others, or not."""
    answer = call(
        connection_of(context),
        "RoomService/UpdateSubscriptions",
        proto.UpdateSubscriptionsRequest(
            room=room, identity=identity, track_sids=tracks, subscribe=subscribe
        ),
        proto.UpdateSubscriptionsResponse,
        room=room,
    )
    what = "subscribed to" if subscribe else "unsubscribed from"
    print_done(answer, f"{identity} {what} {', '.join(tracks)}", as_json=as_json)


@app.command("send-data")
def send_data(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="JSON", help="what to send, JSON as a rule")],
    room: InRoom,
    topic: Annotated[str, typer.Option(help="the topic that receivers look at")] = "",
    identity: Annotated[
        list[str] | None,
        typer.Option("--identity", "-i", help="who gets it, as often as needed; if not given, all"),
    ] = None,
    as_json: CreatedAsJson = False,
) -> None:
    """Send data to those in a room, as a reliable message."""
    request = proto.SendDataRequest(
        room=room,
        data=data.encode(),
        kind=models.DataPacket.RELIABLE,
        destination_identities=identity or (),
    )
    if topic:
        request.topic = topic
    answer = call(
        connection_of(context),
        "RoomService/SendData",
        request,
        proto.SendDataResponse,
        room=room,
    )
    receivers = ", ".join(identity or ()) or "all"
    print_done(answer, f"Data sent to {receivers} in {room}", as_json=as_json)


def _moment(room: models.Room) -> str:
    created = datetime.fromtimestamp(room.creation_time, tz=UTC)
    return created.astimezone().strftime("%Y-%m-%d %H:%M:%S")
