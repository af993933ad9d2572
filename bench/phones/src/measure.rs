//! Figures: histograms with a fine grain, and their percentiles.

use std::fmt::Write;

/// Width of a bin: 10 µs.
const BIN_NS: u64 = 10_000;
/// Bins: up to 400 ms; what is beyond counts as that.
const BINS: usize = 40_000;

/// Counts of durations.
#[derive(Clone)]
pub(crate) struct Histogram {
    bins: Vec<u32>,
    count: u64,
    greatest: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { bins: vec![0; BINS], count: 0, greatest: 0 }
    }

    pub(crate) fn add(&mut self, ns: u64) {
        let bin = ((ns / BIN_NS) as usize).min(BINS - 1);
        self.bins[bin] += 1;
        self.count += 1;
        self.greatest = self.greatest.max(ns);
    }

    pub(crate) fn clear(&mut self) {
        self.bins.fill(0);
        self.count = 0;
        self.greatest = 0;
    }

    /// In milliseconds, the middle of its bin; 0 when nothing was counted.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let rank = (self.count as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bin, &count) in self.bins.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return (bin as f64 + 0.5) * BIN_NS as f64 / 1e6;
            }
        }
        0.0
    }

    /// The usual percentiles in milliseconds, as a JSON object.
    pub(crate) fn to_json(&self) -> String {
        let mut text = format!("{{\"count\":{}", self.count);
        for (name, percent) in
            [("p1", 1.0), ("p5", 5.0), ("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9)]
        {
            let _ = write!(text, ",\"{name}\":{:.3}", self.percentile(percent));
        }
        let _ = write!(text, ",\"max\":{:.3}}}", self.greatest as f64 / 1e6);
        text
    }
}

/// What all phones together sent and heard in one window.
pub(crate) struct Figures {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) audible_sent: u64,
    pub(crate) audible_received: u64,
    /// Gaps in the sequence numbers that arrived.
    pub(crate) missing: u64,
    /// Sequence numbers that went back or stood still.
    pub(crate) out_of_order: u64,
    pub(crate) spacing_sent: Histogram,
    pub(crate) spacing_received: Histogram,
    /// Of bursts that phones heard, and of those that agents heard.
    pub(crate) burst_delay: Histogram,
    pub(crate) agents_burst_delay: Histogram,
    /// Bursts sent, to see that each was heard.
    pub(crate) bursts: u64,
    /// How late this process was with its own packets.
    pub(crate) lateness: Histogram,
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            sent: 0,
            received: 0,
            audible_sent: 0,
            audible_received: 0,
            missing: 0,
            out_of_order: 0,
            spacing_sent: Histogram::new(),
            spacing_received: Histogram::new(),
            burst_delay: Histogram::new(),
            agents_burst_delay: Histogram::new(),
            bursts: 0,
            lateness: Histogram::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        for histogram in [
            &mut self.spacing_sent,
            &mut self.spacing_received,
            &mut self.burst_delay,
            &mut self.agents_burst_delay,
            &mut self.lateness,
        ] {
            histogram.clear();
        }
        (self.sent, self.received, self.missing, self.out_of_order) = (0, 0, 0, 0);
        (self.audible_sent, self.audible_received, self.bursts) = (0, 0, 0);
    }

    /// Counts a packet that left at `now` and was due at `due`.
    pub(crate) fn note_sent(
        &mut self,
        now: u64,
        due: u64,
        last_sent: &mut Option<u64>,
        audible: bool,
        burst_begins: bool,
    ) {
        self.sent += 1;
        self.audible_sent += u64::from(audible);
        self.bursts += u64::from(burst_begins);
        self.lateness.add(now.saturating_sub(due));
        if let Some(last) = last_sent.replace(now) {
            self.spacing_sent.add(now.saturating_sub(last));
        }
    }

    /// The members of a JSON object.
    pub(crate) fn to_json(&self) -> String {
        format!(
            "\"sent\":{},\"received\":{},\"audible_sent\":{},\"audible_received\":{},\
             \"missing\":{},\"out_of_order\":{},\"bursts\":{},\"spacing_sent\":{},\
             \"spacing_received\":{},\"burst_delay\":{},\"agents_burst_delay\":{},\
             \"lateness\":{}",
            self.sent,
            self.received,
            self.audible_sent,
            self.audible_received,
            self.missing,
            self.out_of_order,
            self.bursts,
            self.spacing_sent.to_json(),
            self.spacing_received.to_json(),
            self.burst_delay.to_json(),
            self.agents_burst_delay.to_json(),
            self.lateness.to_json(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_counted_values() {
        let mut histogram = Histogram::new();
        for value in 1..=1_000_u64 {
            histogram.add(value * 20_000 + 1);
        }
        assert!((histogram.percentile(50.0) - 10.005).abs() < 1e-9);
        assert!((histogram.percentile(99.9) - 19.985).abs() < 1e-9);
        histogram.add(10_000_000_000);
        assert!(histogram.to_json().ends_with("\"max\":10000.000}"));
        histogram.clear();
        assert!(histogram.percentile(50.0).abs() < 1e-9);
    }
}
