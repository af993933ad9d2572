"""What happens to a dial beside what happens to every call, and what is to be done for it."""

from __future__ import annotations

from dataclasses import field

from switchroom.base.records import record
from switchroom.telephony.calls.termination import Termination

# ── what happens ─────────────────────────────────────────────────────────────


@record
class DialStored:
    """The record of the dial is on disk (or could not be: `failure` says why)."""

    failure: str = ""


@record
class Undialable:
    """The INVITE cannot be written: a number or header holds what SIP has no place for."""

    detail: str


@record
class WaiterJoined:
    """Another request waits for the answer, until `deadline` (monotonic s)."""

    deadline: float


# ── what to do ───────────────────────────────────────────────────────────────


@record
class StoreDial:
    """Queue the record of the dial; if `durable`, answer with DialStored when it is on disk."""

    durable: bool


@record
class SendInvite:
    """Dial, with this session description."""

    body: bytes = field(repr=False)


@record
class ReportDialed:
    """Requests that do not wait for the answer are answered now."""


@record
class ReportActive:
    """Requests that wait for the answer are answered now."""


@record
class ReportEnded:
    """Requests still waiting get their error."""

    termination: Termination
