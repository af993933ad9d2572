"""Writes RESULTS.md from the figures the programs kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import report_sound

_HEAD = """# Results

Written by `bench/run`; the method is in [README.md](README.md). "LiveKit" is livekit-server 1.13.5
with livekit-sip 1.11.0 and Redis, measured by us on the same kind of machine, with the same method
unless a note says otherwise. Runs are medians, with the least and the greatest in brackets.
"others" is the share of all cores that neither the server nor the load used during the window: the
higher, the less the figures of that row say.
"""

# LiveKit: CPU s per call-minute by calls, and calls per core.
_LIVEKIT_COST = {1: (5.97, 10.1), 10: (3.42, 17.6), 30: (2.47, 24.3)}
# LiveKit: (p50, p99) of the added delay in ms by calls.
_LIVEKIT_DELAY = {1: (163.0, 163.4), 10: (172.4, 183.6)}
# LiveKit, a phone and a WebRTC agent: CPU s per call-minute by calls, and calls per core.
_LIVEKIT_AGENT_COST = {1: (4.68, 12.8), 10: (2.58, 23.3)}
_LIVEKIT_ANSWER = 155.0
# LiveKit: CPU ms per leg by legs per second, phones dialling in.
_LIVEKIT_LEG = {10: 78.2, 20: 64.4, 30: 52.8}
_LIVEKIT_LATENCY = {
    "invite": (19.7, 24.1, 42.0),
    "post": (21.9, 27.9, 36.5),
    "answer": (9.9, 14.4, 25.5),
    "bye": (6.3, 9.0, 13.5),
}
_LATENCY_NAMES = {
    "invite": "POST CreateSIPParticipant → INVITE at the callee",
    "post": "the POST itself, not waiting",
    "answer": "callee's 200 → return of the waiting POST",
    "bye": "DeleteRoom → BYE at the callee",
}


def write(folder: Path, page: Path) -> None:
    """The page, from every program's last kept figures."""
    parts = [_HEAD]
    for name in _SECTIONS:
        kept = folder / f"{name}.json"
        if kept.exists():
            parts.append(section(name, json.loads(kept.read_text())))
    page.write_text("\n".join(parts))


def section(name: str, figures: Mapping[str, Any]) -> str:
    """One program's part of the page."""
    title, body = _SECTIONS[name]
    where = (
        f"{figures['date']}, commit {figures['commit']}, {figures.get('runs', 1)} run(s). "
        f"{figures['machine']}; Python {figures['python']}; {figures['network']}. "
        f"Load average {figures['load_before']:.2f} before, {figures['load_after']:.2f} after."
    )
    return f"## {title}\n\n{where}\n\n{body(figures)}\n"


def _capacity(figures: Mapping[str, Any]) -> str:
    cost, delay = figures["cost"], figures["delay"]
    tables = (_cost_table(cost, _LIVEKIT_COST), _sound_table(cost), _delay_table(delay))
    return "\n\n".join((*tables, _memory(figures["memory"])))


def _memory(memory: Mapping[str, Any]) -> str:
    return (
        f"**Memory**, fresh start: {memory['idle_mb']:.0f} MB idle (LiveKit: 107 MB); "
        f"with {memory['rooms']} rooms of two phones **{memory['mb_per_call']:.2f} MB per bridged "
        f"call** (LiveKit: 8.9 MB). Ready {memory['ready_seconds']:.2f} s after start "
        f"(LiveKit: 1.1–1.2 s); idle CPU {memory['idle_cpu']:.2%} of a core (LiveKit: 0.34 %)."
    )


def _cost_table(
    levels: Iterable[Mapping[str, Any]], livekit: Mapping[int, tuple[float, float]]
) -> str:
    rows = []
    for level in levels:
        theirs = livekit.get(level["calls"])
        rows.append(
            (
                level["calls"],
                _spread(level["rows"], "cpu_per_call_minute", "{:.3f}"),
                f"**{_median(level['rows'], 'calls_per_core'):.0f}**",
                f"{theirs[0]:.2f}; {theirs[1]:.0f}" if theirs else "–",
                _spread(level["rows"], "server_cores", "{:.2f}"),
                _spread(level["rows"], "phones_cores", "{:.2f}"),
                f"{_median(level['rows'], 'others'):.0%}",
            )
        )
    return _table(
        "**What a call costs**",
        (
            *("calls", "CPU s per call-minute", "calls per core"),
            *("LiveKit: CPU s; per core", "server, cores", "load, cores", "others"),
        ),
        rows,
    )


def _sound_table(levels: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for level in levels:
        worst = level["rows"]
        rows.append(
            (
                level["calls"],
                f"{sum(row['clean'] for row in worst)} of {len(worst)}",
                f"{sum(row['missing'] for row in worst)}",
                f"{sum(row['received'] for row in worst) / sum(row['sent'] for row in worst):.2%}",
                _spaces(worst, "spacing_sent"),
                _spaces(worst, "spacing_received"),
            )
        )
    return _table(
        "**What its sound suffers.** Clean: no sequence number missing, as many packets out as in "
        "to 0.5 %, and as much of it audible as was sent. Spacing in ms, p1 / p50 / p99 / p99.9, "
        "of what the phones sent and of what they got: the second can't be better than the first.",
        ("calls", "clean runs", "missing", "out of in", "spacing sent", "spacing got"),
        rows,
    )


def _spaces(rows: Iterable[Mapping[str, Any]], name: str) -> str:
    histograms = [row[name] for row in rows]
    points = ("p1", "p50", "p99", "p99.9")
    return " / ".join(f"{median(found[point] for found in histograms):.1f}" for point in points)


def _delay_table(levels: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for level in levels:
        theirs = _LIVEKIT_DELAY.get(level["calls"])
        heard = sum(row["count"] for row in level["rows"])
        sent = sum(row["bursts"] for row in level["rows"])
        rows.append(
            (
                level["calls"],
                f"{heard} of {sent}",
                *(_spread(level["rows"], point, "{:.2f}") for point in ("p50", "p99", "max")),
                f"{theirs[0]:.0f}; {theirs[1]:.0f}" if theirs else "–",
                f"{_median(level['rows'], 'others'):.0%}",
            )
        )
    return _table(
        "**Added one-way delay** in ms, from sending the packet in which a tone starts to the "
        "arrival of the first that carries it. Bursts under way when a window ends go unheard.",
        ("rooms", "bursts heard", "p50", "p99", "max", "LiveKit: p50; p99", "others"),
        rows,
    )


def _agents(figures: Mapping[str, Any]) -> str:
    cost = figures["cost"]
    return "\n\n".join(
        (
            _cost_table(cost, _LIVEKIT_AGENT_COST),
            _sound_table(cost),
            _agent_delay_table(figures["delay"]),
            _moments_table(figures),
        )
    )


def _agent_delay_table(levels: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for level in levels:
        for way, name in (("to_phone", "agent → phone"), ("to_agent", "phone → agent")):
            found = [row[way] for row in level["rows"]]
            points = (_spread(found, point, "{:.2f}") for point in ("p50", "p99", "max"))
            others = f"{_median(level['rows'], 'others'):.0%}"
            rows.append((level["calls"], name, sum(one["count"] for one in found), *points, others))
    return _table(
        "**Added one-way delay** in ms, from sending the packet in which a tone begins to the "
        "arrival of the first that carries it on the other side.",
        ("calls", "way", "bursts heard", "p50", "p99", "max", "others"),
        rows,
    )


def _decoding(figures: Mapping[str, Any]) -> str:
    found = figures["suppression"]
    rows = []
    for name, kind in (("off", "plain"), ("on, both legs", "suppressed")):
        runs = found[kind]
        rows.append(
            (
                name,
                _spread(runs, "cpu_per_call_minute", "{:.3f}"),
                f"**{_median(runs, 'calls_per_core'):.0f}**",
                f"{sum(row['clean'] for row in runs)} of {len(runs)}",
                f"{_median(runs, 'others'):.0%}",
            )
        )
    plain, suppressed = (
        _median(found[kind], "cpu_per_call_minute") for kind in ("plain", "suppressed")
    )
    per_leg = (suppressed - plain) / 60 / 2
    suppression = _table(
        f"**Noise suppression**, {found['calls']} calls between two phones, with and without in "
        "turn on one server. Clean: none missing, as many packets out as in to 0.5 %.",
        ("suppression", "CPU s per call-minute", "calls per core", "clean runs", "others"),
        rows,
    )
    ratio = (
        f"Suppression on both legs costs **{suppressed / plain:.1f} times** the call without: "
        f"{per_leg:.2%} of a core more for each leg."
    )
    delays = [
        (
            row["calls"],
            f"{row['count']} of {row['bursts']}",
            *(f"{row[point]:.1f}" for point in ("p50", "p99", "max")),
            f"{row['others']:.0%}",
        )
        for row in figures["delay"]
    ]
    return "\n\n".join(
        (
            suppression,
            ratio,
            _table(
                "**Added one-way delay where a phone is decoded** in ms: from a phone with PCMU "
                "to an agent that takes Opus only. The jitter buffer, the wait for its clock "
                "(10 ms on average) and the look-ahead of Opus (6.5 ms) are in it.",
                ("calls", "bursts heard", "p50", "p99", "max", "others"),
                delays,
            ),
        )
    )


def _moments_table(figures: Mapping[str, Any]) -> str:
    rows = []
    for key, name, theirs in (
        ("joins", "an agent's join → the phone's sound at the agent", "–"),
        ("answers", "a phone's answer → the agent's sound at the phone", f"{_LIVEKIT_ANSWER:.0f}"),
    ):
        found = figures[key]
        points = (f"{found[point]:.1f}" for point in ("p50", "p95", "max"))
        rows.append((name, found["count"], *points, theirs))
    return _table(
        "**First sound** in ms; the wait for the next packet, 10 ms on average, is in it.",
        ("from → to", "times", "p50", "p95", "max", "LiveKit"),
        rows,
    )


def _clients(figures: Mapping[str, Any]) -> str:
    rows = [
        (
            row["client"],
            row["mode"],
            *(
                " / ".join(f"{row[step][point]:.0f}" for point in ("p50", "p95", "max"))
                for step in ("connected", "subscribed", "heard")
            ),
        )
        for row in figures["joins"]
    ]
    return _table(
        "**From `connect()`** to its return, to the track's event, and to the first sound that the "
        "program gets; p50 / p95 / max in ms.",
        ("client", "mode", "connected", "subscribed", "heard"),
        rows,
    )


def _set_up(figures: Mapping[str, Any]) -> str:
    return "\n\n".join((_latency_table(figures["latency"]), _rate_table(figures["rates"])))


def _latency_table(runs: list[Mapping[str, Any]]) -> str:
    rows = []
    for name, meaning in _LATENCY_NAMES.items():
        found = [run[name] for run in runs]
        points = (_spread(found, point, "{:.2f}") for point in ("p50", "p95", "max"))
        rows.append(
            (meaning, *points, "; ".join(f"{theirs:.1f}" for theirs in _LIVEKIT_LATENCY[name]))
        )
    return _table(
        f"**API to wire** in ms, {runs[0]['invite']['count'] // 2} calls without waiting and as "
        "many with, one after another; the phone answers 200 ms after the INVITE.",
        ("what", "p50", "p95", "max", "LiveKit: p50; p95; max"),
        rows,
    )


def _rate_table(rates: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for rate in rates:
        runs = rate["rows"]
        theirs = _LIVEKIT_LEG.get(rate["rate"])
        invites = [run["invite"] for run in runs if run["invite"]["count"]]
        rows.append(
            (
                rate["rate"],
                sum(run["legs"] for run in runs),
                2 * sum(run["failed_pairs"] for run in runs),
                _spread(runs, "cpu_ms_per_leg", "**{:.2f}**"),
                f"{theirs:.1f}" if theirs else "–",
                _spread(runs, "server_cores", "{:.2f}"),
                _spread(invites, "p50", "{:.1f}") if invites else "–",
                _spread(invites, "p99", "{:.1f}") if invites else "–",
                max(run["descriptors_left"] for run in runs),
            )
        )
    return _table(
        "**A leg set up and torn down**, a room for each pair: two CreateSIPParticipant into a new "
        "room, both phones answer at once, talk 0.3 s, DeleteRoom hangs up. CPU until 3 s after "
        "the last call, divided by legs. (LiveKit's phones dialled in: no API was involved.)",
        (
            *("legs/s", "legs", "failed", "CPU ms per leg", "LiveKit: CPU ms", "server, cores"),
            *("API → INVITE p50, ms", "p99, ms", "descriptors left"),
        ),
        rows,
    )


def _dispatch(figures: Mapping[str, Any]) -> str:
    runs, bursts = figures["latency"], figures["burst"]
    rows = [
        (
            name,
            *(_spread([run[key] for run in runs], cut, "{:.2f}") for cut in ("p50", "p90", "p99")),
        )
        for key, name in (
            ("after_room", "its room exists → job on the worker's socket"),
            ("after_post", "POST CreateDispatch → job on the worker's socket"),
        )
    ]
    table = _table(
        f"**One dispatch after another** into new rooms, {runs[0]['jobs']} a run, ms.",
        ("", "p50", "p90", "p99"),
        rows,
    )
    shares = "; ".join("/".join(map(str, burst["share"])) for burst in bursts)
    seconds = _spread(bursts, "seconds", "{:.2f}")
    return (
        f"{table}\n\n**A burst** of {sum(bursts[0]['share'])} dispatches at once to "
        f"{len(bursts[0]['share'])} workers: all assigned after {seconds} s, "
        f"lost {max(b['lost'] for b in bursts)}, doubled {max(b['doubled'] for b in bursts)}; "
        f"jobs a worker: {shares}."
    )


def _median(rows: Iterable[Mapping[str, Any]], name: str) -> float:
    return median(row[name] or 0.0 for row in rows)


def _spread(rows: Iterable[Mapping[str, Any]], name: str, form: str) -> str:
    values = sorted(row[name] for row in rows)
    middle = form.format(median(values))
    plain = form.strip("*")
    if len(values) == 1:
        return middle
    return f"{middle} ({plain.format(values[0])}–{plain.format(values[-1])})"


def _table(title: str, head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join((f"{title}\n", *(f"| {' | '.join(map(str, cells))} |" for cells in lines)))


_SECTIONS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "capacity": ("Capacity: phone to phone through a room", _capacity),
    "agents": ("Agents: a phone and a WebRTC agent", _agents),
    "decoding": ("Decoding: noise suppression, and the jitter buffer", _decoding),
    "clients": ("Clients: join to first sound", _clients),
    "set-up": ("Set-up", _set_up),
    "dispatch": ("Agent jobs", _dispatch),
    "sound": ("Sound over bad networks", report_sound.sound),
    "noise": ("Noise suppression", report_sound.noise),
}
