"""What happens to a dial beside what happens to every call, and what is to be done for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from switchroom.telephony.calls.termination import Termination

# ── what happens ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DialStored:
    """The record of the dial is on disk (or could not be: `failure` says why)."""

    failure: str = ""


@dataclass(frozen=True, slots=True)
class Undialable:
    """The INVITE cannot be written: a number or header holds what SIP has no place for."""

    detail: str


@dataclass(frozen=True, slots=True)
class WaiterJoined:
    """Another request waits for the answer, until `deadline` (monotonic s)."""

    deadline: float


@dataclass(frozen=True, slots=True)
class Abandoned:
    """No request waits for the answer any more."""


# ── what to do ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StoreDial:
    """Queue the record of the dial; if `durable`, answer with DialStored when it is on disk."""

    durable: bool


@dataclass(frozen=True, slots=True)
class SendInvite:
    """Dial, with this session description."""

    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReportDialed:
    """Requests that do not wait for the answer are answered now."""


@dataclass(frozen=True, slots=True)
class ReportActive:
    """Requests that wait for the answer are answered now."""


@dataclass(frozen=True, slots=True)
class ReportEnded:
    """Requests still waiting get their error."""

    termination: Termination
