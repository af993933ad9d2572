"""Options that every noun's commands have in common."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", "-j", help="print JSON instead of a table")]
AlwaysJson = Annotated[bool, typer.Option("--json", "-j", help="as it is printed anyway")]
CreatedAsJson = Annotated[bool, typer.Option("--json", "-j", help="print the answer as JSON")]
