"""`switchroom token`: access tokens for clients."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer

from switchroom.auth.claims_json import ClaimError, claims_from_json
from switchroom.auth.grants import Claims, SipGrants, VideoGrants
from switchroom.auth.tokens import mint
from switchroom.base.config_values import seconds

from .api_client import connection_of
from .errors import CommandFailed

app = typer.Typer(help="Make access tokens.", no_args_is_help=True)


@app.command("create")
def create_token(  # every option is one claim
    context: typer.Context,
    join: Annotated[bool, typer.Option(help="may join --room")] = False,
    room: Annotated[str, typer.Option("--room", "-r", help="the room the token is for")] = "",
    identity: Annotated[
        str, typer.Option("--identity", "-i", help="who joins; needed with --join")
    ] = "",
    name: Annotated[str, typer.Option(help="the name that others see")] = "",
    create: Annotated[bool, typer.Option(help="may create and delete rooms")] = False,
    list_rooms: Annotated[bool, typer.Option("--list", help="may list rooms")] = False,
    admin: Annotated[bool, typer.Option(help="may manage --room")] = False,
    sip_call: Annotated[bool, typer.Option(help="may place phone calls")] = False,
    sip_admin: Annotated[bool, typer.Option(help="may manage trunks")] = False,
    metadata: Annotated[str, typer.Option(help="metadata of the participant")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option(help="key=value, as often as needed")
    ] = None,
    grant: Annotated[str, typer.Option(help="more of the video grant, as JSON")] = "",
    valid_for: Annotated[str, typer.Option(help="how long, such as 5m or 24h")] = "5m",
    token_only: Annotated[bool, typer.Option(help="print nothing but the token")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Make an access token, signed with the API secret; the server is not asked."""
    if join and not (room and identity):
        raise CommandFailed("a token to join needs --room and --identity")
    connection = connection_of(context)
    video = VideoGrants(
        room=room, room_join=join, room_create=create, room_list=list_rooms, room_admin=admin
    )
    claims = Claims(
        api_key=connection.api_key,
        identity=identity,
        name=name,
        metadata=metadata,
        attributes=dict(_pair(written) for written in attribute or ()),
        video=_widen(video, grant),
        sip=SipGrants(admin=sip_admin, call=sip_call) if sip_admin or sip_call else None,
        expires_at=time.time() + _lifetime(valid_for),
    )
    token = mint(claims, connection.api_secret)
    if as_json:
        shown = {"access_token": token, "identity": identity, "room": room, "url": connection.url}
        print(json.dumps(shown))
    elif token_only:
        print(token)
    else:
        print(f"Token for {identity or connection.api_key}, valid for {valid_for}:\n{token}")


def _pair(written: str) -> tuple[str, str]:
    key, equals, value = written.partition("=")
    if not key or not equals:
        raise CommandFailed(f"--attribute {written!r} must be written key=value")
    return key, value


def _lifetime(written: str) -> float:
    try:
        lifetime = seconds(written)
    except ValueError as expected:
        raise CommandFailed(f"--valid-for must be {expected}, not {written!r}") from None
    if lifetime <= 0:
        raise CommandFailed("--valid-for must be longer than nothing")
    return lifetime


def _widen(video: VideoGrants, grant: str) -> VideoGrants:
    """``video`` with what the JSON of ``--grant`` says beside it."""
    if not grant:
        return video
    try:
        written = json.loads(grant)
        if not isinstance(written, Mapping):
            raise CommandFailed('--grant must be a JSON object such as {"canPublish": false}')
        more = claims_from_json({"exp": 0, "video": dict(written)}).video or VideoGrants()
    except ValueError as error:
        what = str(error) if isinstance(error, ClaimError) else "not valid JSON"
        raise CommandFailed(f"--grant: {what}") from None
    nothing = VideoGrants()
    said = {
        field: getattr(more, field)
        for field in VideoGrants.__dataclass_fields__
        if getattr(more, field) != getattr(nothing, field)
    }
    return replace(video, **said)
