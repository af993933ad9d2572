"""Figures of the node itself: load, refusals, calls of the API, the engine."""

from __future__ import annotations

from collections.abc import Callable

from switchroom.api.twirp import Answered
from switchroom.base.metrics import Figures
from switchroom.base.overload import Load, Overloaded
from switchroom.media.stats import EngineStats

# livekit-server's buckets.
_LATENCY_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000)


class NodeFigures:
    """What no single room knows."""

    def __init__(
        self,
        figures: Figures,
        load: Callable[[], Load],
        takes_calls: Callable[[], bool],
        webhooks_waiting: Callable[[], int],
        transactions: Callable[[], int],
    ) -> None:
        self._load = load
        self._takes_calls = takes_calls
        self._webhooks_waiting = webhooks_waiting
        self._transactions = transactions
        method = ("service", "method", "status")
        gauge = figures.gauge
        self._requests = figures.counter(
            "livekit_node_twirp_request_status", "Calls of the API.", (*method, "code")
        )
        self._latency = figures.histogram(
            "livekit_node_twirp_request_latency_ms", "Until the answer.", method, _LATENCY_MS
        )
        self._invites = figures.counter(
            "livekit_sip_invite_requests_raw", "INVITEs from outside, wanted or not."
        )
        self._refused = figures.counter(
            "switchroom_calls_refused_total", "Calls refused for load.", ("reason",)
        )
        self._cpu = gauge(
            "livekit_node_cpu_load", "Share of the CPUs in use, 0 to 1.", ("node_type",)
        )
        self._lag = gauge("switchroom_event_loop_lag_seconds", "How late the event loop runs.")
        self._available = gauge("livekit_sip_available", "1 while new calls are taken.")
        self._waiting = gauge("switchroom_webhooks_waiting", "Webhooks not delivered yet.")
        self._remembered = gauge(
            "switchroom_sip_transactions", "SIP transactions, those of ended calls among them."
        )
        self._engine = gauge("switchroom_engine_open", "What is open in the engine.", ("kind",))
        self._strays = figures.counter(
            "switchroom_engine_unknown_datagrams_total", "On the WebRTC port, from nobody known."
        )
        figures.before_text(self._look)

    def answered(self, call: Answered) -> None:
        """A call of the API is over."""
        code = call.error.value if call.error else ""
        self._requests.add(call.service, call.method, call.status, code)
        latency = self._latency.labels(call.service, call.method, call.status)
        latency.observe(call.seconds * 1000)

    def invite_came(self) -> None:
        """Somebody calls, whatever becomes of it."""
        self._invites.add()

    def refused(self, overloaded: Overloaded) -> None:
        """A call was refused."""
        self._refused.add(overloaded.reason)

    def engine(self, stats: EngineStats) -> None:
        """What the engine says of itself."""
        for kind, count in (
            ("legs", len(stats.legs)),
            ("peers", len(stats.peers)),
            ("players", stats.players),
            ("sources", stats.sources),
            ("sinks", stats.sinks),
        ):
            self._engine.set(kind, to=count)
        self._strays.set(to=stats.unknown_datagrams)

    def _look(self) -> None:
        load = self._load()
        self._cpu.set("SIP", to=load.cpu)
        self._lag.set(to=load.lag)
        self._available.set(to=float(self._takes_calls()))
        self._waiting.set(to=self._webhooks_waiting())
        self._remembered.set(to=self._transactions())
