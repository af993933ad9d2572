"""`switchroom sip participant`: phones, brought into rooms by calling them."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from livekit.protocol import sip as proto

from switchroom.base.config_values import seconds

from .api_client import RequestRefused, call, connection_of
from .errors import CommandFailed
from .output import print_failure
from .request_file import read_request

app = typer.Typer(help="Phones in rooms.", no_args_is_help=True)

_DIAL_TIMEOUT = 80.0
_PLAIN_TIMEOUT = 30.0
# What the server may still need after the last ring to say how it went.
_ANSWER_MARGIN = 0.5


@app.callback()
def phones() -> None:
    """Phones in rooms."""


@app.command("create")
def create_participants(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="CreateSIPParticipantRequest as JSON, or -"),
    ] = None,
    room: Annotated[str, typer.Option("--room", "-r", help="the room to call into")] = "",
    identity: Annotated[
        str, typer.Option("--identity", "-i", help="identity of the phone in the room")
    ] = "",
    trunk: Annotated[str, typer.Option(help="the trunk to call through, such as ST_…")] = "",
    number: Annotated[str, typer.Option(help="the caller number to show")] = "",
    call_to: Annotated[str, typer.Option("--call", help="the number to call")] = "",
    name: Annotated[str, typer.Option(help="name of the phone in the room")] = "",
    display_name: Annotated[str | None, typer.Option(help="caller name to show")] = None,
    wait: Annotated[bool, typer.Option(help="wait until somebody answers")] = False,
    timeout: Annotated[
        str, typer.Option(help="how long it may ring, such as 30s")
    ] = f"{_DIAL_TIMEOUT:.0f}s",
    header: Annotated[
        list[str] | None, typer.Option(help="SIP header Name:Value, as often as needed")
    ] = None,
) -> None:
    """Call a phone into a room, as JSON files or options (or both) say."""
    requests = [read_request(file, proto.CreateSIPParticipantRequest) for file in files or ()]
    for request in requests or [proto.CreateSIPParticipantRequest()]:
        _say(request, "sip_trunk_id", trunk)
        _say(request, "sip_call_to", call_to)
        _say(request, "sip_number", number)
        _say(request, "room_name", room)
        _say(request, "participant_identity", identity)
        _say(request, "participant_name", name)
        if display_name is not None:
            request.display_name = display_name
        request.wait_until_answered = request.wait_until_answered or wait
        request.headers.update(dict(_header(written) for written in header or ()))
        _dial(context, request, _limit_ringing(request, timeout))


def _say(request: proto.CreateSIPParticipantRequest, field: str, value: str) -> None:
    if value:
        setattr(request, field, value)


def _limit_ringing(request: proto.CreateSIPParticipantRequest, timeout: str) -> float:
    """Set the ringing timeout unless the request has one; return how long to wait, in seconds."""
    try:
        limit = seconds(timeout)
    except ValueError as expected:
        raise CommandFailed(f"--timeout must be {expected}, not {timeout!r}") from None
    margin = _ANSWER_MARGIN if request.wait_until_answered else 0.0
    if not request.HasField("ringing_timeout"):
        ringing = Duration()
        ringing.FromMilliseconds(int(max(limit - margin, _ANSWER_MARGIN) * 1000))
        request.ringing_timeout.CopyFrom(ringing)
    asked = request.ringing_timeout.ToTimedelta().total_seconds() + margin
    return max(asked, limit) if request.wait_until_answered else _PLAIN_TIMEOUT


def _header(written: str) -> tuple[str, str]:
    name, colon, value = written.partition(":")
    if not name.strip() or not colon:
        raise CommandFailed(f"--header {written!r} must be written Name:Value")
    return name.strip(), value.strip()


def _dial(
    context: typer.Context, request: proto.CreateSIPParticipantRequest, timeout: float
) -> None:
    try:
        phone = call(
            connection_of(context),
            "SIP/CreateSIPParticipant",
            request,
            proto.SIPParticipantInfo,
            room=request.room_name,
            timeout=timeout,
        )
    except RequestRefused as refused:
        print_failure(str(refused))
        for label, key in (("SIPStatusCode", "sip_status_code"), ("SIPStatus", "sip_status")):
            if key in refused.meta:
                print(f"{label}: {refused.meta[key]}")
        raise typer.Exit(1) from None
    print(f"SIPCallID: {phone.sip_call_id}")
    print(f"ParticipantID: {phone.participant_id}")
    print(f"ParticipantIdentity: {phone.participant_identity}")
    print(f"RoomName: {phone.room_name}")
