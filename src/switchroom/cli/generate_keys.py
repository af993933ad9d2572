"""`switchroom generate-keys`: a key and a secret for `keys`, as livekit-server makes them."""

from __future__ import annotations

import json
import secrets
from typing import Annotated

import typer

from switchroom.base.ids import new_id

from .options import CreatedAsJson


def generate_keys(
    as_line: Annotated[
        bool, typer.Option("--line", help="print `key: secret`, a line of `keys` or of a key file")
    ] = False,
    as_json: CreatedAsJson = False,
) -> None:
    """Make up an API key and its secret; nobody is told of them."""
    key, secret = new_id("API"), secrets.token_urlsafe(32)
    if as_json:
        print(json.dumps({"api_key": key, "api_secret": secret}))
    elif as_line:
        print(f"{key}: {secret}")
    else:
        print(f"API Key:  {key}\nAPI Secret:  {secret}")
