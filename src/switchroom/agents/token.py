"""The access token with which the agent of a job enters its room."""

from __future__ import annotations

from switchroom.agents.job import JOIN_LIMIT, Acceptance
from switchroom.auth.grants import Claims, VideoGrants
from switchroom.rooms.info import Permissions

_AGENT_NAME = "lk.agent_name"


def agent_claims(
    acceptance: Acceptance,
    *,
    api_key: str,
    room_name: str,
    agent_name: str,
    permissions: Permissions,
    now: float,
) -> Claims:
    """What the token says, as livekit-server's does; `now` in Unix seconds.

    `api_key` is the key that the worker authenticated with, so that its secret signs the token.
    """
    return Claims(
        api_key=api_key,
        identity=acceptance.identity,
        name=acceptance.name,
        kind="agent",
        metadata=acceptance.metadata,
        attributes={**acceptance.attributes, **({_AGENT_NAME: agent_name} if agent_name else {})},
        video=VideoGrants(
            room=room_name,
            room_join=True,
            agent=True,
            hidden=permissions.hidden,
            can_publish=permissions.can_publish,
            can_subscribe=permissions.can_subscribe,
            can_publish_data=permissions.can_publish_data,
            can_publish_sources=tuple(s.name.lower() for s in permissions.can_publish_sources),
            can_update_own_metadata=permissions.can_update_metadata,
            can_subscribe_metrics=permissions.can_subscribe_metrics,
        ),
        expires_at=now + JOIN_LIMIT,
        not_before=now,
    )
