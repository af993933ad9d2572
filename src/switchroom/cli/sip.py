"""`switchroom sip`: the telephone side, in the grammar of LiveKit's `lk sip`."""

from __future__ import annotations

import typer

from . import dispatch_rules, sip_inbound_trunks, sip_participants, sip_trunk_forms, trunks

app = typer.Typer()
app.add_typer(sip_inbound_trunks.app, name="inbound")
app.add_typer(sip_inbound_trunks.app, name="inbound-trunk", hidden=True)
app.add_typer(trunks.outbound, name="outbound")
app.add_typer(trunks.outbound, name="outbound-trunk", hidden=True)
app.add_typer(sip_trunk_forms.app, name="trunk", hidden=True)
app.add_typer(dispatch_rules.app, name="dispatch")
app.add_typer(dispatch_rules.app, name="dispatch-rule", hidden=True)
app.add_typer(sip_participants.app, name="participant")
