"""All figures together, and who must hear what for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from switchroom.agents import events as agent_events
from switchroom.api.call_figures import CallFigures
from switchroom.api.metrics import Metrics
from switchroom.api.node_figures import NodeFigures
from switchroom.api.room_figures import RoomFigures
from switchroom.api.twirp import Observer
from switchroom.base.clock import Clock
from switchroom.base.config_settings import PrometheusSettings
from switchroom.base.ids import new_id
from switchroom.base.metrics import Figures
from switchroom.base.overload import Load
from switchroom.media import Engine, EngineError
from switchroom.rooms import events as room_events
from switchroom.telephony import events as call_events


class Meters:
    """The figures of one node. Where nobody fetches them, nobody counts."""

    def __init__(
        self,
        settings: PrometheusSettings,
        engine: Engine,
        clock: Clock,
        *,
        load: Callable[[], Load],
        takes_calls: Callable[[], bool],
        webhooks_waiting: Callable[[], int],
        transactions: Callable[[], int],
    ) -> None:
        """What is called here is called whenever the figures are asked for."""
        figures = Figures({"node_id": new_id("ND_"), "node_type": "SERVER"})
        rooms, calls = RoomFigures(figures, clock), CallFigures(figures)
        wanted = bool(settings.port)
        self._engine = engine
        self.node = NodeFigures(figures, load, takes_calls, webhooks_waiting, transactions)
        self.hear_rooms: tuple[room_events.Listener, ...] = (rooms.hear,) if wanted else ()
        self.hear_jobs: tuple[agent_events.Listener, ...] = (rooms.hear_job,) if wanted else ()
        self.hear_calls: tuple[call_events.Listener, ...] = (calls.hear,) if wanted else ()
        self.observe: Observer | None = self.node.answered if wanted else None
        self.app = Metrics(figures, settings, self._refresh)

    async def _refresh(self) -> None:
        with suppress(EngineError):
            self.node.engine(await self._engine.stats())
