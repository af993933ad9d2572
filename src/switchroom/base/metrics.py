"""Figures for Prometheus under LiveKit's names, with a bound on how many series there can be.

`prometheus-client` keeps histograms and reads what the system knows of the process. Counters and
gauges are our own, and so is the text (format 0.0.4): LiveKit's counters have names such as
``livekit_sip_invite_requests``, to which the client would add ``_total``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, GCCollector, Histogram, ProcessCollector
from prometheus_client.core import Metric

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

OTHER = "other"
"""The value of every label of what is counted beyond the bound."""

_MOST_SERIES = 200
_LONGEST_VALUE = 128


class Series:
    """A counter or gauge: a number for each combination of label values.

    Label values may come from outside, so there are at most ``limit`` combinations; what comes
    beyond is counted together, under ``other``.
    """

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str] = (),
        *,
        kind: str = "counter",
        limit: int = _MOST_SERIES,
    ) -> None:
        self._name, self._help, self._kind = name, help_text, kind
        self._labels = tuple(labels)
        self._limit = limit
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *values: str, amount: float = 1.0) -> None:
        """Count for this combination, in the order of the labels."""
        key = self._key(values)
        self._values[key] = self._values.get(key, 0.0) + amount

    def set(self, *values: str, to: float) -> None:
        """It is so much now."""
        self._values[self._key(values)] = to

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        metric = Metric(self._name, self._help, self._kind)
        for values, number in self._values.items():
            metric.add_sample(self._name, dict(zip(self._labels, values, strict=True)), number)
        yield metric

    def _key(self, values: tuple[str, ...]) -> tuple[str, ...]:
        key = tuple(value[:_LONGEST_VALUE] for value in values)
        if key in self._values or len(self._values) < self._limit:
            return key
        return (OTHER,) * len(self._labels)


class Figures:
    """All figures of a process, each with the labels that say which process it is.

    A figure's own label of the same name wins.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._common = dict(labels)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._before: list[Callable[[], None]] = []

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Series:
        """What only rises."""
        return self._registered(Series(name, help_text, labels))

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Series:
        """What rises and falls."""
        return self._registered(Series(name, help_text, labels, kind="gauge"))

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Histogram:
        """A distribution. Its labels must be of our own choice: they are not bounded."""
        return Histogram(name, help_text, labels, buckets=buckets, registry=self._registry)

    def before_text(self, action: Callable[[], None]) -> None:
        """Have gauges set from what there is whenever the figures are asked for."""
        self._before.append(action)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        for action in self._before:
            action()
        lines: list[str] = []
        for metric in self._registry.collect():
            lines += _lines(metric, self._common)
        return ("\n".join(lines) + "\n").encode()

    def _registered(self, series: Series) -> Series:
        self._registry.register(series)
        return series


def _lines(metric: Metric, common: Mapping[str, str]) -> Iterable[str]:
    samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
    if not samples:
        return
    # The client's own counters have a suffix that the metric's name lacks.
    name = samples[0].name if metric.type == "counter" else metric.name
    yield f"# HELP {name} {_escaped(metric.documentation)}"
    yield f"# TYPE {name} {metric.type}"
    for sample in samples:
        labels = ",".join(
            f'{key}="{_escaped(value, quoted=True)}"'
            for key, value in {**common, **sample.labels}.items()
        )
        yield f"{sample.name}{{{labels}}} {_number(sample.value)}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _escaped(text: str, *, quoted: bool = False) -> str:
    plain = text.replace("\\", r"\\").replace("\n", r"\n")
    return plain.replace('"', r"\"") if quoted else plain
