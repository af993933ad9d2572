"""Whether this node takes one more call: pure, so that each rule can be tried by hand.

The calls that run come first. A new one is refused, before anything is sent for it, while there
are as many as allowed, or while the machine has been short of CPU or the event loop late for some
time. Short peaks don't count, and it takes as long to be trusted again (hysteresis), so that a
node at its limit does not flap.
"""

from __future__ import annotations

from collections import deque

from switchroom.base.records import record

SAMPLE_EVERY = 0.5
"""Seconds between two measurements."""

_WINDOW = 4
"""Measurements in a row that must agree before the node shuts or opens."""

_CALM = 0.9
"""A node that shut opens again below this share of the limit."""

_CALLS_RETRY = 10
_BUSY_RETRY = 30


@record
class Limits:
    """What a node bears; 0, and 1 for the CPU, switch a limit off."""

    calls: int = 0
    cpu: float = 1.0
    """Share of the CPUs that are in use, by whomever, 0 to 1 (livekit-sip counts so)."""
    lag: float = 0.0
    """Seconds that the event loop may run late."""


@record
class Load:
    """One measurement."""

    cpu: float
    lag: float


@record
class Overloaded:
    """Why a new call is refused."""

    reason: str
    """`calls`, `cpu` or `lag`; a label of metrics."""
    sentence: str
    retry_after: int
    """Seconds after which to ask again (the header Retry-After)."""


class Overload:
    """The decision, fed with measurements."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent: deque[Load] = deque(maxlen=_WINDOW)
        self._short_of = ""

    @property
    def load(self) -> Load:
        """The last measurement."""
        return self._recent[-1] if self._recent else Load(0.0, 0.0)

    @property
    def short_of(self) -> str:
        """`cpu` or `lag` while the node is short of it, else empty."""
        return self._short_of

    def measured(self, load: Load) -> None:
        """Take one measurement into account; they come every SAMPLE_EVERY seconds."""
        self._recent.append(load)
        if len(self._recent) < _WINDOW:
            return
        if self._short_of:
            if all(self._calm(seen) for seen in self._recent):
                self._short_of = ""
            return
        for name in ("cpu", "lag"):
            if all(self._above(name, seen) for seen in self._recent):
                self._short_of = name

    def refusal(self, calls: int) -> Overloaded | None:
        """Why a call beside these running `calls` is refused; None: it is taken."""
        if 0 < self._limits.calls <= calls:
            sentence = f"{calls} calls are running, as many as sip.max_active_calls allows"
            return Overloaded("calls", sentence, _CALLS_RETRY)
        # Without a call there is no sound to protect, and one will hardly be the cause.
        if not self._short_of or not calls:
            return None
        if self._short_of == "cpu":
            sentence = f"the CPU is used to more than {self._limits.cpu:.0%}"
        else:
            sentence = f"the event loop runs more than {self._limits.lag * 1000:.0f} ms late"
        return Overloaded(self._short_of, sentence, _BUSY_RETRY)

    def _above(self, name: str, seen: Load) -> bool:
        if name == "cpu":
            return seen.cpu > self._limits.cpu
        return 0 < self._limits.lag < seen.lag

    def _calm(self, seen: Load) -> bool:
        cpu, lag = self._limits.cpu, self._limits.lag
        return seen.cpu <= cpu * _CALM and (not lag or seen.lag <= lag * _CALM)
