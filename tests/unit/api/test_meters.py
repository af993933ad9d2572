"""The figures as the papers list them, and nothing counted where nobody looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import yaml
from prometheus_client.core import Metric

from switchroom.api.meters import Meters
from switchroom.base.config import Sources, read_config
from switchroom.base.config_settings import PrometheusSettings
from switchroom.base.overload import Load
from switchroom.media import Engine, EngineStats, EngineStopped

from .conftest import Client, Clock

PAPER = Path(__file__).resolve().parents[3] / "docs/metrics.md"
ROW = re.compile(r"^\| `((?:livekit|switchroom)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)


class EngineOfPaper:
    """Says of itself what it is told to."""

    def __init__(self, stats: EngineStats | None) -> None:
        self._stats = stats

    async def stats(self) -> EngineStats:
        if self._stats is None:
            raise EngineStopped("not running")
        return self._stats


def meters(clock: Clock, stats: EngineStats | None = None, port: int = 6789) -> Meters:
    engine = cast("Engine", EngineOfPaper(stats))
    settings = PrometheusSettings(port=port)
    return Meters(
        settings,
        engine,
        clock,
        load=lambda: Load(0, 0),
        takes_calls=lambda: True,
        webhooks_waiting=lambda: 0,
        transactions=lambda: 0,
    )


def test_the_paper_lists_every_figure_with_its_kind_and_labels(clock: Clock) -> None:
    documented = {
        name: (kind, tuple(word.strip() for word in labels.split(",") if word.strip()))
        for name, kind, labels in ROW.findall(PAPER.read_text(encoding="utf-8"))
    }
    assert documented == {
        name: known for name, known in described(meters(clock)) if not name.startswith("process")
    }


def test_the_papers_queries_ask_for_figures_and_labels_that_exist(clock: Clock) -> None:
    text = PAPER.read_text(encoding="utf-8")
    known = {name: set(labels) for name, (_, labels) in described(meters(clock))}
    queries = re.findall(
        r"^\| [^|]+ \| `(.+)` \|$", text.partition("## Questions")[2], re.MULTILINE
    )
    assert len(queries) >= 5
    for query in queries:
        asked = re.findall(r"(?:livekit|switchroom)_\w+", query)
        assert asked
        names = {re.sub(r"_(sum|count|bucket)$", "", name) for name in asked}
        assert names <= set(known), query
        grouped = set(re.findall(r"by \((\w+)\)", query)) - {"le"}
        assert all(grouped <= known[name] for name in names), query


def test_the_papers_prometheus_looks_where_the_paper_has_us_serve() -> None:
    text = PAPER.read_text(encoding="utf-8")
    (scraping,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (job,) = yaml.safe_load(scraping)["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    assert f"`prometheus_port: {target.rpartition(':')[2]}`" in text
    assert read_config(Sources(body="prometheus_port: 6789")).config.prometheus.port == 6789


def described(all_of_them: Meters) -> list[tuple[str, tuple[str, tuple[str, ...]]]]:
    """Name, kind and labels of each, whether it has been counted or not."""
    registry = all_of_them.app._figures._registry
    found = []
    for collector in registry._collector_to_names:
        labels = tuple(getattr(collector, "_labels", ()) or getattr(collector, "_labelnames", ()))
        families: list[Metric] = list(collector.collect())
        found += [
            (family.name, (family.type, labels))
            for family in families
            if family.name.startswith(("livekit", "switchroom"))
        ]
    return found


async def test_the_engine_is_asked_whenever_the_figures_are(clock: Clock) -> None:
    stats = EngineStats((), (), players=2, sources=0, sinks=0, unknown_datagrams=0)
    told = (await Client(meters(clock, stats).app).send("GET", "/metrics")).text
    assert re.search(r'switchroom_engine_open\{[^}]*kind="players"\} 2', told)


async def test_an_engine_that_stopped_hides_no_other_figure(clock: Clock) -> None:
    assert "livekit_room_total" in (await Client(meters(clock).app).send("GET", "/")).text


def test_without_a_port_nothing_is_counted(clock: Clock) -> None:
    idle = meters(clock, port=0)
    assert (idle.hear_rooms, idle.hear_jobs, idle.hear_calls, idle.observe) == ((), (), (), None)
