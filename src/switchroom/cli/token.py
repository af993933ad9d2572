"""`switchroom token`: access tokens for clients."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from switchroom.auth.claims_json import ClaimError, claims_from_json, claims_to_json
from switchroom.auth.grants import Claims, SipGrants, VideoGrants
from switchroom.auth.tokens import mint
from switchroom.base.config_values import seconds
from switchroom.base.ids import new_id
from switchroom.base.records import replace

from .attributes import pair_of, pairs_of_file
from .connection import connection_of
from .errors import Mistyped
from .options import CreatedAsJson

app = typer.Typer()

_SOURCES = ("camera", "microphone", "screen_share", "screen_share_audio")


_Join = Annotated[bool, typer.Option("--join", help="may join --room")]
_Room = Annotated[str, typer.Option("--room", "-r", help="the room the token is for")]
_Identity = Annotated[str, typer.Option("--identity", "-i", help="who joins")]
_Name = Annotated[str, typer.Option("--name", "-n", help="the name that others see")]
_Create = Annotated[bool, typer.Option("--create", help="may create and delete rooms")]
_List = Annotated[bool, typer.Option("--list", help="may list rooms")]
_Admin = Annotated[bool, typer.Option("--admin", help="may manage --room")]
_Egress = Annotated[bool, typer.Option("--egress", help="may record")]
_Ingress = Annotated[bool, typer.Option("--ingress", help="may manage ingress")]
_SipCall = Annotated[bool, typer.Option("--sip-call", help="may place phone calls")]
_SipAdmin = Annotated[bool, typer.Option("--sip-admin", help="may manage trunks and rules")]
_OwnMetadata = Annotated[
    bool, typer.Option("--allow-update-metadata", help="may change its own name and metadata")
]
_Sources = Annotated[
    list[str] | None, typer.Option(help=f"may publish only: {', '.join(_SOURCES)}")
]
_Metadata = Annotated[str, typer.Option(help="metadata of the participant")]
_Attribute = Annotated[list[str] | None, typer.Option(help="key=value, as often as needed")]
_AttributeFile = Annotated[str, typer.Option(help="a JSON file of attributes")]
_Preset = Annotated[str, typer.Option(help="which of the server's configurations a room gets")]
_Agent = Annotated[str, typer.Option(help="the agent that comes when the room is made")]
_Deployment = Annotated[
    str, typer.Option("--deployment", "-d", help="the deployment of that agent")
]
_JobMetadata = Annotated[str, typer.Option(help="what that agent's job is told")]
_Grant = Annotated[str, typer.Option(help="more of the video grant, as JSON")]
_ValidFor = Annotated[str, typer.Option(help="how long, such as 5m or 24h")]
_TokenOnly = Annotated[bool, typer.Option("--token-only", help="print nothing but the token")]


@app.command("create")
def create_token(  # every option is one claim
    context: typer.Context,
    join: _Join = False,
    room: _Room = "",
    identity: _Identity = "",
    name: _Name = "",
    create: _Create = False,
    list_rooms: _List = False,
    admin: _Admin = False,
    egress: _Egress = False,
    ingress: _Ingress = False,
    sip_call: _SipCall = False,
    sip_admin: _SipAdmin = False,
    allow_update_metadata: _OwnMetadata = False,
    allow_source: _Sources = None,
    metadata: _Metadata = "",
    attribute: _Attribute = None,
    attribute_file: _AttributeFile = "",
    room_preset: _Preset = "",
    agent: _Agent = "",
    deployment: _Deployment = "",
    job_metadata: _JobMetadata = "",
    grant: _Grant = "",
    valid_for: _ValidFor = "5m",
    token_only: _TokenOnly = False,
    as_json: CreatedAsJson = False,
) -> None:
    """Make an access token, signed with the API secret; the server is not asked."""
    joins_as = identity or (new_id("participant-") if join else "")
    joins = room or (new_id("room-") if join else "")
    connection = connection_of(context)
    sip = SipGrants(admin=sip_admin, call=sip_call) if sip_admin or sip_call else None
    video = VideoGrants(
        room=joins,
        room_join=join,
        room_create=create,
        room_list=list_rooms,
        room_admin=admin,
        room_record=egress,
        ingress_admin=ingress,
        can_publish_sources=_sources(allow_source or ()),
        can_update_own_metadata=True if allow_update_metadata else None,
    )
    claims = Claims(
        api_key=connection.api_key,
        identity=joins_as,
        name=name,
        metadata=metadata,
        attributes=dict(map(pair_of, attribute or ())) | pairs_of_file(attribute_file),
        video=_widen(video, grant),
        sip=sip,
        room_config=_agents(agent, deployment, job_metadata),
        room_preset=room_preset,
        expires_at=time.time() + _lifetime(valid_for),
    )
    if not (token_only or as_json):
        _tell_if_made_up("participant", identity, joins_as)
        _tell_if_made_up("room", room, joins)
    _show(claims, connection.url, connection.api_secret, token_only=token_only, as_json=as_json)


def _show(claims: Claims, url: str, secret: str, *, token_only: bool, as_json: bool) -> None:
    video = claims.video or VideoGrants()
    if video == VideoGrants(room=video.room) and claims.sip is None:
        raise Mistyped("a token without rights is of no use: give --join, --admin or the like")
    token = mint(claims, secret)
    if token_only:
        print(token)
        return
    grants = claims_to_json(claims)
    if as_json:
        shown = {
            "access_token": token,
            "project_url": url,
            "identity": claims.identity,
            "name": claims.name or claims.identity,
            "room": video.room,
            "grants": grants,
        }
        print(json.dumps(shown, indent=2))
        return
    print(f"Token grants:\n{json.dumps(grants, indent=2)}\n")
    print(f"Project URL: {url}\nAccess token: {token}")


def _tell_if_made_up(what: str, given: str, used: str) -> None:
    if used != given:
        print(f"Using a made-up {what}: {used}", file=sys.stderr)


def _sources(given: Sequence[str]) -> tuple[str, ...]:
    sources = tuple(word.strip() for text in given for word in text.split(","))
    for source in sources:
        if source not in _SOURCES:
            raise Mistyped(f"--allow-source must be one of {', '.join(_SOURCES)}")
    return sources


def _agents(agent: str, deployment: str, job_metadata: str) -> Mapping[str, Any] | None:
    """The room configuration that brings an agent."""
    if not agent:
        if deployment or job_metadata:
            raise Mistyped("--deployment and --job-metadata are for an --agent")
        return None
    wanted = {"agentName": agent, "deployment": deployment, "metadata": job_metadata}
    return {"agents": [{key: value for key, value in wanted.items() if value}]}


def _lifetime(written: str) -> float:
    try:
        lifetime = seconds(written)
    except ValueError as expected:
        raise Mistyped(f"--valid-for must be {expected}, not {written!r}") from None
    if lifetime <= 0:
        raise Mistyped("--valid-for must be longer than nothing")
    return lifetime


def _widen(video: VideoGrants, grant: str) -> VideoGrants:
    """``video`` with what the JSON of ``--grant`` says beside it."""
    if not grant:
        return video
    try:
        written = json.loads(grant)
        if not isinstance(written, Mapping):
            raise Mistyped('--grant must be a JSON object such as {"canPublish": false}')
        more = claims_from_json({"exp": 0, "video": dict(written)}).video or VideoGrants()
    except ValueError as error:
        what = str(error) if isinstance(error, ClaimError) else "not valid JSON"
        raise Mistyped(f"--grant: {what}") from None
    nothing = VideoGrants()
    said = {
        field: getattr(more, field)
        for field in VideoGrants.__dataclass_fields__
        if getattr(more, field) != getattr(nothing, field)
    }
    return replace(video, **said)
