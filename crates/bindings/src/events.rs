//! Events, as tuples for Python: kind, whose, and what.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use switchroom_engine::AudioCodec;
use switchroom_engine::event::{Event, LegEvent, PeerReply};
use switchroom_engine::peer::{LocalTransport, PeerError, PeerEvent};
use switchroom_engine::stats::{LegStats, PeerStats, Stats};

type Written<'py> = PyResult<Bound<'py, PyTuple>>;

/// Writes one event.
pub(crate) fn event(py: Python<'_>, event: Event) -> Written<'_> {
    match event {
        Event::Leg { leg, event } => leg_event(py, leg, &event),
        Event::Peer { peer, event } => peer_event(py, peer, event),
        Event::PeerReply { request, result, .. } => reply(py, request, result),
        Event::PlayerFinished { player } => ("player_finished", player).into_pyobject(py),
        Event::Level { owner, source, level, active } => {
            ("level_changed", owner, source, level, active).into_pyobject(py)
        }
        Event::EngineFailed { reason } => ("engine_failed", 0, reason).into_pyobject(py),
        Event::LegStats { request, stats: Some(stats) } => {
            ("answer", request, leg_counts(py, &stats)?).into_pyobject(py)
        }
        Event::LegStats { request, stats: None } => {
            ("answer", request, py.None()).into_pyobject(py)
        }
        Event::Stats { request, stats } => {
            ("answer", request, counts(py, &stats)?).into_pyobject(py)
        }
    }
}

fn leg_event<'py>(py: Python<'py>, leg: u64, event: &LegEvent) -> Written<'py> {
    match event {
        LegEvent::MediaStarted(remote) => {
            ("media_started", leg, remote.ip().to_string(), remote.port()).into_pyobject(py)
        }
        LegEvent::MediaTimedOut => ("media_timed_out", leg).into_pyobject(py),
        LegEvent::DigitReceived { digit, duration_ms } => {
            ("digit_received", leg, *digit, *duration_ms).into_pyobject(py)
        }
        LegEvent::DigitsSent => ("digits_sent", leg).into_pyobject(py),
        LegEvent::PlayedOut => ("played_out", leg).into_pyobject(py),
    }
}

fn peer_event(py: Python<'_>, peer: u64, event: PeerEvent) -> Written<'_> {
    match event {
        PeerEvent::Connected => ("connected", peer).into_pyobject(py),
        PeerEvent::Disconnected => ("disconnected", peer).into_pyobject(py),
        PeerEvent::Closed => ("closed", peer).into_pyobject(py),
        PeerEvent::Failed(reason) => ("failed", peer, reason).into_pyobject(py),
        PeerEvent::ChannelOpened(label) => {
            ("channel_opened", peer, label.as_str()).into_pyobject(py)
        }
        PeerEvent::DataReceived(label, message) => {
            let payload = PyBytes::new(py, &message);
            ("data_received", peer, label.as_str(), payload).into_pyobject(py)
        }
        PeerEvent::MediaStarted(mid, codec) => {
            ("track_started", peer, mid.to_string(), codec.name()).into_pyobject(py)
        }
    }
}

fn reply(py: Python<'_>, request: u64, result: Result<PeerReply, PeerError>) -> Written<'_> {
    match result {
        Ok(PeerReply::Answer(sdp)) => ("answer", request, sdp).into_pyobject(py),
        Ok(PeerReply::Transport(transport)) => {
            let LocalTransport { ice_ufrag, ice_pwd, fingerprint, candidates } = transport;
            let transport = (ice_ufrag, ice_pwd, fingerprint, candidates);
            ("answer", request, transport).into_pyobject(py)
        }
        Ok(PeerReply::Done) => ("answer", request, py.None()).into_pyobject(py),
        Err(error) => ("refusal", request, error.to_string()).into_pyobject(py),
    }
}

fn counts<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let counts = PyDict::new(py);
    let legs = stats.legs.iter().map(|leg| leg_counts(py, leg)).collect::<PyResult<Vec<_>>>()?;
    let peers =
        stats.peers.iter().map(|peer| peer_counts(py, peer)).collect::<PyResult<Vec<_>>>()?;
    counts.set_item("legs", legs)?;
    counts.set_item("peers", peers)?;
    counts.set_item("players", stats.players)?;
    counts.set_item("sources", stats.sources)?;
    counts.set_item("sinks", stats.sinks)?;
    counts.set_item("unknown_datagrams", stats.unknown_datagrams)?;
    Ok(counts)
}

fn leg_counts<'py>(py: Python<'py>, leg: &LegStats) -> PyResult<Bound<'py, PyDict>> {
    let counts = PyDict::new(py);
    counts.set_item("leg", leg.leg)?;
    counts.set_item("packets_in", leg.received.packets)?;
    counts.set_item("bytes_in", leg.received.bytes)?;
    counts.set_item("lost_in", leg.received.lost)?;
    counts.set_item("jitter_ms", leg.received.jitter_ms)?;
    counts.set_item("strangers", leg.received.strangers)?;
    counts.set_item("malformed", leg.received.malformed)?;
    counts.set_item("unknown_payload_type", leg.received.unknown_payload_type)?;
    counts.set_item("not_authentic", leg.received.not_authentic)?;
    counts.set_item("packets_out", leg.packets_out)?;
    counts.set_item("bytes_out", leg.bytes_out)?;
    counts.set_item("filled_out", leg.filled_out)?;
    counts.set_item("lost_out", leg.lost_out)?;
    counts.set_item("jitter_out_ms", leg.jitter_out_ms)?;
    counts.set_item("codec_in", leg.codec_in.map(AudioCodec::name))?;
    counts.set_item("codec_out", leg.codec_out.map(AudioCodec::name))?;
    counts.set_item("buffer_delay", seconds(leg.buffer_delay))?;
    counts.set_item("concealed_ms", leg.concealed_ms)?;
    counts.set_item("round_trip", seconds(leg.round_trip))?;
    counts.set_item("last_packet_age", seconds(leg.last_packet_age))?;
    Ok(counts)
}

fn peer_counts<'py>(py: Python<'py>, peer: &PeerStats) -> PyResult<Bound<'py, PyDict>> {
    let of = &peer.counters;
    let counts = PyDict::new(py);
    counts.set_item("peer", peer.peer)?;
    counts.set_item("packets_in", of.packets_in)?;
    counts.set_item("bytes_in", of.bytes_in)?;
    counts.set_item("packets_out", of.packets_out)?;
    counts.set_item("bytes_out", of.bytes_out)?;
    counts.set_item("rtp_in", of.rtp_in)?;
    counts.set_item("rtp_out", of.rtp_out)?;
    counts.set_item("lost_in", of.lost_in)?;
    counts.set_item("lost_out", of.lost_out)?;
    counts.set_item("dropped", of.dropped)?;
    counts.set_item("data_dropped", of.data_dropped)?;
    counts.set_item("round_trip", seconds(of.round_trip))?;
    Ok(counts)
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}
