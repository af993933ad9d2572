from __future__ import annotations

from hypothesis import given, strategies as st
from prometheus_client.parser import text_string_to_metric_families

from switchroom.base.metrics import OTHER, Figures, Series


def parsed(figures: Figures) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels, as the official parser of the format reads them."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(figures.text().decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_a_counter_keeps_livekits_name_and_type() -> None:
    figures = Figures({})
    figures.counter("livekit_sip_invite_requests", "Calls begun.", ("dir",)).add("in")
    text = figures.text().decode()
    assert "# TYPE livekit_sip_invite_requests counter" in text
    assert 'livekit_sip_invite_requests{dir="in"} 1' in text.splitlines()


def test_every_sample_says_which_process_it_is_of() -> None:
    figures = Figures({"node_id": "ND_1", "node_type": "SERVER"})
    figures.gauge("a", "…").set(to=0.5)
    figures.gauge("b", "…", ("node_type",)).set("SIP", to=2)
    figures.histogram("c", "…", ("dir",), (1, 2)).labels("in").observe(1.5)
    found = parsed(figures)
    assert found["a"] == {(("node_id", "ND_1"), ("node_type", "SERVER")): 0.5}
    assert found["b"] == {(("node_id", "ND_1"), ("node_type", "SIP")): 2}
    assert all(dict(labels)["node_id"] == "ND_1" for each in found.values() for labels in each)
    assert found["c_count"] == {(("dir", "in"), ("node_id", "ND_1"), ("node_type", "SERVER")): 1}


def test_what_the_system_knows_of_the_process_is_there() -> None:
    found = parsed(Figures({}))
    assert found["process_resident_memory_bytes"][()] > 1e6
    assert found["process_open_fds"][()] > 2


def test_label_values_from_outside_cannot_make_endless_series() -> None:
    series = Series("s", "…", ("to", "reason"), limit=10)
    for number in range(50):
        series.add(f"host-{number}", "busy")
    (metric,) = series.collect()
    assert len(metric.samples) == 11
    rest = [sample for sample in metric.samples if sample.labels["to"] == OTHER]
    assert [(sample.labels["reason"], sample.value) for sample in rest] == [(OTHER, 40.0)]


def test_gauges_are_set_when_they_are_asked_for() -> None:
    figures = Figures({})
    gauge, seen = figures.gauge("g", "…"), iter((1.0, 2.0))
    figures.before_text(lambda: gauge.set(to=next(seen)))
    assert [parsed(figures)["g"][()] for _ in range(2)] == [1.0, 2.0]


@given(st.text(max_size=60))
def test_no_label_value_breaks_the_text(value: str) -> None:
    figures = Figures({})
    figures.gauge("g", 'Says "\\n"', ("to",)).add(value)
    found = parsed(figures)["g"]
    assert list(found.values()) == [1.0]
