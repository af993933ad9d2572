"""`switchroom sip participant`: phones, brought into rooms by calling them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from livekit.protocol import sip as proto

from switchroom.base.config_values import seconds

from .api_client import RequestRefused, call
from .connection import connection_of
from .errors import Mistyped
from .output import print_answers, print_message
from .request_file import read_request
from .sip_options import CreatedAsJson, pair
from .terminal import print_failure

app = typer.Typer(
    help="Phones in rooms.",
    epilog="Example: switchroom sip participant create --trunk ST_… --room hello "
    "--call +12025550101 --wait",
    no_args_is_help=True,
)

_DIAL_TIMEOUT = 80.0
_PLAIN_TIMEOUT = 30.0
# What the server may still need after the last ring to say how it went.
_ANSWER_MARGIN = 0.5
# A phone that was transferred hangs up on its own within a second, else we do.
_TRANSFER_MARGIN = 5.0

Identity = Annotated[
    str, typer.Option("--identity", "-i", help="identity of the phone in the room")
]
Header = Annotated[list[str] | None, typer.Option(help="SIP header Name:Value, as often as needed")]


@app.command("create")
def create_participants(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="CreateSIPParticipantRequest as JSON, or -"),
    ] = None,
    room: Annotated[str, typer.Option("--room", "-r", help="the room to call into")] = "",
    identity: Identity = "",
    trunk: Annotated[str, typer.Option(help="the trunk to call through, such as ST_…")] = "",
    number: Annotated[str, typer.Option(help="the caller number to show")] = "",
    call_to: Annotated[str, typer.Option("--call", help="the number to call")] = "",
    name: Annotated[str, typer.Option(help="name of the phone in the room")] = "",
    display_name: Annotated[str | None, typer.Option(help="caller name to show")] = None,
    wait: Annotated[bool, typer.Option(help="wait until somebody answers")] = False,
    timeout: Annotated[
        str, typer.Option(help="how long it may ring, such as 30s")
    ] = f"{_DIAL_TIMEOUT:.0f}s",
    header: Header = None,
    as_json: CreatedAsJson = False,
) -> None:
    """Call a phone into a room, as JSON files or options (or both) say."""
    if not files and not call_to:
        raise Mistyped("say whom to call: a JSON file, or --trunk ST_… --room NAME --call NUMBER")
    requests = [read_request(file, proto.CreateSIPParticipantRequest) for file in files or ()]
    requests = requests or [proto.CreateSIPParticipantRequest()]
    for request in requests:
        _say(request, "sip_trunk_id", trunk)
        _say(request, "sip_call_to", call_to)
        _say(request, "sip_number", number)
        _say(request, "room_name", room)
        _say(request, "participant_identity", identity)
        _say(request, "participant_name", name)
        if display_name is not None:
            request.display_name = display_name
        request.wait_until_answered = request.wait_until_answered or wait
        request.headers.update(dict(pair(written, "--header") for written in header or ()))
    phones = []
    try:
        for request in requests:
            phones.append(_dial(context, request, _limit_ringing(request, timeout)))
            if not as_json:
                _print_phone(phones[-1])
    except RequestRefused as refused:
        raise _failure(refused, as_json=as_json) from None
    finally:
        # Those that were called are called, also when the next one is refused.
        if as_json and phones:
            print_answers(phones)


def _seconds(timeout: str) -> float:
    try:
        return seconds(timeout)
    except ValueError as expected:
        raise Mistyped(f"--timeout must be {expected}, not {timeout!r}") from None


def _say(request: proto.CreateSIPParticipantRequest, field: str, value: str) -> None:
    if value:
        setattr(request, field, value)


def _limit_ringing(request: proto.CreateSIPParticipantRequest, timeout: str) -> float:
    """Set the ringing timeout unless the request has one; return how long to wait, in seconds."""
    limit = _seconds(timeout)
    margin = _ANSWER_MARGIN if request.wait_until_answered else 0.0
    if not request.HasField("ringing_timeout"):
        ringing = Duration()
        ringing.FromMilliseconds(int(max(limit - margin, _ANSWER_MARGIN) * 1000))
        request.ringing_timeout.CopyFrom(ringing)
    asked = request.ringing_timeout.ToTimedelta().total_seconds() + margin
    return max(asked, limit) if request.wait_until_answered else _PLAIN_TIMEOUT


def _dial(
    context: typer.Context, request: proto.CreateSIPParticipantRequest, timeout: float
) -> proto.SIPParticipantInfo:
    return call(
        connection_of(context),
        "SIP/CreateSIPParticipant",
        request,
        proto.SIPParticipantInfo,
        room=request.room_name,
        timeout=timeout,
    )


_TOLD = (
    ("SIPCallID", "sip_call_id"),
    ("SIPStatusCode", "sip_status_code"),
    ("SIPStatus", "sip_status"),
    ("SIPTransferReason", "sip_transfer_reason"),
)


def _failure(refused: RequestRefused, *, as_json: bool) -> typer.Exit:
    """Say what became of the call, with what the far end said."""
    if as_json:
        print(refused.as_json(), file=sys.stderr)
        return typer.Exit(1)
    print_failure(str(refused))
    for label, key in _TOLD:
        if key in refused.meta:
            print(f"{label}: {refused.meta[key]}")
    return typer.Exit(1)


def _print_phone(phone: proto.SIPParticipantInfo) -> None:
    print(f"SIPCallID: {phone.sip_call_id}")
    print(f"ParticipantID: {phone.participant_id}")
    print(f"ParticipantIdentity: {phone.participant_identity}")
    print(f"RoomName: {phone.room_name}")


@app.command("transfer")
def transfer_participant(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="TransferSIPParticipantRequest as JSON, or -"),
    ] = None,
    room: Annotated[str, typer.Option("--room", "-r", help="the room the phone is in")] = "",
    identity: Identity = "",
    to: Annotated[str, typer.Option(help="where to: sip:…, sips:… or tel:…")] = "",
    play_dialtone: Annotated[
        bool, typer.Option("--play-dialtone", help="a ringing tone for the phone meanwhile")
    ] = False,
    timeout: Annotated[
        str, typer.Option(help="how long it may ring there, such as 30s")
    ] = f"{_PLAIN_TIMEOUT:.0f}s",
    header: Header = None,
    as_json: CreatedAsJson = False,
) -> None:
    """Transfer a phone to another number, as JSON files or options (or both) say."""
    if not files and not to:
        raise Mistyped("say whom to transfer: a JSON file, or --room NAME --identity NAME --to URI")
    requests = [read_request(file, proto.TransferSIPParticipantRequest) for file in files or ()]
    for request in requests or [proto.TransferSIPParticipantRequest()]:
        for field, value in (
            ("room_name", room),
            ("participant_identity", identity),
            ("transfer_to", to),
        ):
            if value:
                setattr(request, field, value)
        request.play_dialtone = request.play_dialtone or play_dialtone
        request.headers.update(dict(pair(written, "--header") for written in header or ()))
        if not request.HasField("ringing_timeout"):
            request.ringing_timeout.FromMilliseconds(int(_seconds(timeout) * 1000))
        try:
            transferred = _transfer(context, request)
        except RequestRefused as refused:
            raise _failure(refused, as_json=as_json) from None
        _show_transfer(transferred, as_json=as_json)


def _transfer(
    context: typer.Context, request: proto.TransferSIPParticipantRequest
) -> proto.TransferSIPParticipantResponse:
    return call(
        connection_of(context),
        "SIP/TransferSIPParticipant",
        request,
        proto.TransferSIPParticipantResponse,
        room=request.room_name,
        timeout=request.ringing_timeout.ToTimedelta().total_seconds() + _TRANSFER_MARGIN,
    )


def _show_transfer(answer: proto.TransferSIPParticipantResponse, *, as_json: bool) -> None:
    if as_json:
        print_message(answer)
        return
    print(f"SIPTransferID: {answer.transfer_id}")
    status = proto.SIPTransferStatus.Name(answer.status).removeprefix("STS_TRANSFER_").lower()
    print(f"Status: {status}")
