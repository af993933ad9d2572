//! Events, as tuples for Python: kind, whose, and what.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use switchroom_engine::event::{Event, LegEvent};
use switchroom_engine::stats::{LegStats, Stats};

/// Writes one event.
pub(crate) fn event(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Leg { leg, event } => leg_event(py, leg, &event),
        Event::Level { owner, source, level, active } => {
            ("level_changed", owner, source, level, active).into_pyobject(py)
        }
        Event::EngineFailed { reason } => ("engine_failed", 0, reason).into_pyobject(py),
        Event::Stats { request, stats } => {
            ("stats", request, counts(py, &stats)?).into_pyobject(py)
        }
    }
}

fn leg_event<'py>(py: Python<'py>, leg: u64, event: &LegEvent) -> PyResult<Bound<'py, PyTuple>> {
    match event {
        LegEvent::MediaStarted(remote) => {
            ("media_started", leg, remote.ip().to_string(), remote.port()).into_pyobject(py)
        }
        LegEvent::MediaTimedOut => ("media_timed_out", leg).into_pyobject(py),
        LegEvent::DigitReceived { digit, duration_ms } => {
            ("digit_received", leg, *digit, *duration_ms).into_pyobject(py)
        }
        LegEvent::DigitsSent => ("digits_sent", leg).into_pyobject(py),
    }
}

fn counts<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let counts = PyDict::new(py);
    counts.set_item("sources", stats.sources)?;
    counts.set_item("sinks", stats.sinks)?;
    let legs = stats.legs.iter().map(|leg| leg_counts(py, leg)).collect::<PyResult<Vec<_>>>()?;
    counts.set_item("legs", legs)?;
    Ok(counts)
}

fn leg_counts<'py>(py: Python<'py>, leg: &LegStats) -> PyResult<Bound<'py, PyDict>> {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let counts = PyDict::new(py);
    counts.set_item("leg", leg.leg)?;
    counts.set_item("packets_in", leg.received.packets)?;
    counts.set_item("bytes_in", leg.received.bytes)?;
    counts.set_item("lost_in", leg.received.lost)?;
    counts.set_item("jitter_ms", leg.received.jitter_ms)?;
    counts.set_item("strangers", leg.received.strangers)?;
    counts.set_item("malformed", leg.received.malformed)?;
    counts.set_item("unknown_payload_type", leg.received.unknown_payload_type)?;
    counts.set_item("packets_out", leg.packets_out)?;
    counts.set_item("bytes_out", leg.bytes_out)?;
    counts.set_item("filled_out", leg.filled_out)?;
    counts.set_item("lost_out", leg.lost_out)?;
    counts.set_item("round_trip", seconds(leg.round_trip))?;
    counts.set_item("last_packet_age", seconds(leg.last_packet_age))?;
    Ok(counts)
}
