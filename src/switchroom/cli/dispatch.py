"""`switchroom dispatch`: ask for agents in rooms, and see what became of it."""

from __future__ import annotations

from typing import Annotated

import typer
from livekit.protocol import agent, agent_dispatch as proto

from switchroom.base.ids import new_id

from .api_client import call
from .connection import connection_of
from .errors import CommandFailed, Mistyped
from .options import AlwaysJson, AsJson, CreatedAsJson
from .output import print_answers, print_message, print_messages, print_table

app = typer.Typer()

RoomName = Annotated[str, typer.Argument(metavar="ROOM", help="the name of the room")]


@app.command("create")
def create_dispatch(
    context: typer.Context,
    agent_name: Annotated[str, typer.Option(help="the name that the agent registered with")] = "",
    room: Annotated[str, typer.Option(help="the room it is to join; made if missing")] = "",
    new_room: Annotated[bool, typer.Option("--new-room", help="a room with a new name")] = False,
    metadata: Annotated[str, typer.Option(help="what the job is told, often JSON")] = "",
    deployment: Annotated[
        str, typer.Option("--deployment", "-d", help="the deployment of the agent")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask for an agent in a room."""
    if bool(room) is new_room:
        raise Mistyped("give either --room NAME or --new-room")
    name = room or new_id("room-")
    request = proto.CreateAgentDispatchRequest(
        room=name, agent_name=agent_name, metadata=metadata, deployment=deployment
    )
    created = call(
        connection_of(context),
        "AgentDispatchService/CreateDispatch",
        request,
        proto.AgentDispatch,
        room=name,
    )
    _show([created], as_json=as_json, empty="")


@app.command("list")
def list_dispatches(context: typer.Context, room: RoomName, as_json: AsJson = False) -> None:
    """List the dispatches of a room and how far each has come."""
    found = _list(context, proto.ListAgentDispatchRequest(room=room))
    _show(found, as_json=as_json, empty=f"no agent was asked for in {room}")


@app.command("get")
def get_dispatch(
    context: typer.Context,
    room: RoomName,
    dispatch_id: Annotated[str, typer.Argument(metavar="ID", help="the id of the dispatch")],
    _as_json: AlwaysJson = True,
) -> None:
    """Show one dispatch with its jobs, as JSON."""
    found = _list(context, proto.ListAgentDispatchRequest(room=room, dispatch_id=dispatch_id))
    if not found:
        raise CommandFailed(f"{room} has no dispatch {dispatch_id}")
    print_message(found[0])


@app.command("delete")
def delete_dispatches(
    context: typer.Context,
    room: RoomName,
    dispatch_ids: Annotated[list[str], typer.Argument(metavar="ID", help="the dispatches")],
    as_json: CreatedAsJson = False,
) -> None:
    """Take dispatches back: their agents leave the room."""
    deleted = []
    for dispatch_id in dispatch_ids:
        answer = call(
            connection_of(context),
            "AgentDispatchService/DeleteDispatch",
            proto.DeleteAgentDispatchRequest(room=room, dispatch_id=dispatch_id),
            proto.AgentDispatch,
            room=room,
        )
        deleted.append(answer)
        if not as_json:
            print(f"Dispatch {dispatch_id} deleted")
    if as_json:
        print_answers(deleted)


def _list(
    context: typer.Context, request: proto.ListAgentDispatchRequest
) -> list[proto.AgentDispatch]:
    answer = call(
        connection_of(context),
        "AgentDispatchService/ListDispatch",
        request,
        proto.ListAgentDispatchResponse,
        room=request.room,
    )
    return list(answer.agent_dispatches)


def _show(dispatches: list[proto.AgentDispatch], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_messages(dispatches)
        return
    print_table(
        ("Dispatch", "Room", "Agent", "Deployment", "Metadata", "Last job"),
        (
            (one.id, one.room, _wanted(one), one.deployment, one.metadata, _last_job(one))
            for one in dispatches
        ),
        empty=empty,
    )


def _wanted(dispatch: proto.AgentDispatch) -> str:
    """Workers without a name take every room that asks for nobody."""
    return dispatch.agent_name or "(no name)"


def _last_job(dispatch: proto.AgentDispatch) -> str:
    if not dispatch.state.jobs:
        return ""
    job = dispatch.state.jobs[-1]
    status = agent.JobStatus.Name(job.state.status).removeprefix("JS_").lower()
    return f"{status}: {job.state.error}" if job.state.error else status
