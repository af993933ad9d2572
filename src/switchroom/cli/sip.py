"""`switchroom sip`: the telephone side, in the grammar of LiveKit's `lk sip`."""

from __future__ import annotations

import typer

from . import sip_participants, trunks

app = typer.Typer(help="Trunks, and calls through them.", no_args_is_help=True)
app.add_typer(trunks.outbound, name="outbound")
app.add_typer(trunks.outbound, name="outbound-trunk", hidden=True)
app.add_typer(trunks.trunk, name="trunk", hidden=True)
app.add_typer(sip_participants.app, name="participant")
