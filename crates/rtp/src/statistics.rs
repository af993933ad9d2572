//! What a receiver knows about a stream, RFC 3550 §6.4.1 and appendix A: loss, jitter, and the
//! block that reports them.

use std::time::{Duration, Instant};

use crate::SequenceUnwrapper;
use crate::rtcp::{ReportBlock, SenderInfo, middle_of_ntp};

/// RFC 3550 appendix A.1: a jump further ahead than this is a stream begun anew, not loss …
const MAX_DROPOUT: u16 = 3_000;
/// … and so is one further back than this.
const MAX_MISORDER: u16 = 100;

/// Statistics of one received stream. A new SSRC or [`Self::restart`] begins a new one.
#[derive(Clone, Debug)]
pub struct ReceiveStatistics {
    clock_rate: u32,
    stream: Option<Stream>,
    /// Streams begun so far.
    begun: u64,
    total: Totals,
}

/// What has been received since the beginning, restarts included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Packets, repeated ones included.
    pub packets: u64,
    /// Octets of payload.
    pub octets: u64,
    /// Packets expected but not received; repeats make up for losses (RFC 3550 §6.4.1).
    pub lost: i64,
}

#[derive(Clone, Debug)]
struct Stream {
    ssrc: u32,
    sequence: SequenceUnwrapper,
    first: u64,
    received: u64,
    /// Expected and received at the last report.
    reported: (u64, u64),
    /// Last transit time in ticks, its zero unknown; and the jitter times 16 (appendix A.8).
    transit: Option<u32>,
    jitter_16: u64,
    began: Instant,
    last_sender_report: Option<(u32, Instant)>,
    /// The sequence number that would confirm a jump (appendix A.1).
    suspect: Option<u16>,
}

impl ReceiveStatistics {
    /// `clock_rate` is that of the RTP timestamps, in Hz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate, stream: None, begun: 0, total: Totals::default() }
    }

    /// Forgets the stream but not the totals: another sender, or another clock.
    pub fn restart(&mut self, clock_rate: u32) {
        self.total.lost = self.lost();
        self.clock_rate = clock_rate;
        self.stream = None;
    }

    /// Timestamps are on another clock from now on: jitter is measured anew.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        if self.clock_rate == clock_rate {
            return;
        }
        self.clock_rate = clock_rate;
        if let Some(stream) = &mut self.stream {
            (stream.transit, stream.jitter_16) = (None, 0);
        }
    }

    /// Counts a packet; `timestamp` is that of packets which show how even the stream is, all but
    /// those of telephone events (RFC 4733 §2.5.2.2 would have them share one). Returns its extended sequence number, or `None` for one that jumps so far
    /// that a second in its sequence is awaited before it is believed.
    pub fn receive(
        &mut self,
        now: Instant,
        ssrc: u32,
        sequence: u16,
        timestamp: Option<u32>,
        payload_size: usize,
    ) -> Option<u64> {
        self.total.packets += 1;
        self.total.octets += payload_size as u64;
        if self.stream.as_ref().is_none_or(|stream| stream.ssrc != ssrc) {
            self.restart(self.clock_rate);
        }
        let begun = &mut self.begun;
        let stream = self.stream.get_or_insert_with(|| {
            *begun += 1;
            Stream::new(now, ssrc, sequence)
        });
        if stream.jumps(sequence) {
            if stream.suspect != Some(sequence) {
                stream.suspect = Some(sequence.wrapping_add(1));
                return None;
            }
            let sender_report = stream.last_sender_report;
            self.restart(self.clock_rate);
            let stream = self.stream.insert(Stream::new(now, ssrc, sequence));
            stream.last_sender_report = sender_report;
            self.begun += 1;
        }
        let clock_rate = self.clock_rate;
        let stream = self.stream.as_mut()?;
        stream.suspect = None;
        stream.received += 1;
        if let Some(timestamp) = timestamp {
            stream.measure_jitter(now, timestamp, clock_rate);
        }
        Some(stream.sequence.unwrap(sequence))
    }

    /// Takes note of the sender's report, so that ours lets it compute the round trip.
    pub fn receive_sender_report(&mut self, now: Instant, ssrc: u32, info: &SenderInfo) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
            stream.last_sender_report = Some((middle_of_ntp(info.ntp), now));
        }
    }

    /// The block for our next report, which begins a new interval; `None` before the first packet.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let (expected_before, received_before) = stream.reported;
        stream.reported = (expected, stream.received);
        let expected_now = expected.saturating_sub(expected_before);
        let lost_now = expected_now.saturating_sub(stream.received - received_before);
        let fraction_lost = (lost_now << 8).checked_div(expected_now).unwrap_or(0).min(255) as u8;
        let (last_sender_report, delay_since) = match stream.last_sender_report {
            Some((report, heard)) => (report, in_65536ths(now.saturating_duration_since(heard))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost,
            cumulative_lost: stream.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            // The unwrapper begins one cycle up; the report counts cycles from zero.
            highest_sequence: stream.highest().wrapping_sub(0x1_0000) as u32,
            jitter: (stream.jitter_16 >> 4) as u32,
            last_sender_report,
            delay_since,
        })
    }

    /// Totals since the beginning.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals { lost: self.lost(), ..self.total }
    }

    /// Interarrival jitter now (RFC 3550 §6.4.1).
    #[must_use]
    pub fn jitter(&self) -> Duration {
        let ticks = self.stream.as_ref().map_or(0, |stream| stream.jitter_16 >> 4);
        Duration::from_nanos(ticks * 1_000_000_000 / u64::from(self.clock_rate.max(1)))
    }

    /// Streams begun so far: what [`Self::receive`] returns counts on from packet to packet only
    /// while this stays the same.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// The SSRC heard, once a packet came.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.stream.as_ref().map(|stream| stream.ssrc)
    }

    fn lost(&self) -> i64 {
        self.total.lost + self.stream.as_ref().map_or(0, Stream::lost)
    }
}

impl Stream {
    fn new(now: Instant, ssrc: u32, sequence: u16) -> Self {
        let mut unwrapper = SequenceUnwrapper::default();
        let first = unwrapper.unwrap(sequence);
        Self {
            ssrc,
            sequence: unwrapper,
            first,
            received: 0,
            reported: (0, 0),
            transit: None,
            jitter_16: 0,
            began: now,
            last_sender_report: None,
            suspect: None,
        }
    }

    fn highest(&self) -> u64 {
        self.sequence.highest().unwrap_or(self.first)
    }

    fn expected(&self) -> u64 {
        self.highest() - self.first + 1
    }

    fn lost(&self) -> i64 {
        self.expected().cast_signed() - self.received.cast_signed()
    }

    fn jumps(&self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest() as u16);
        ahead > MAX_DROPOUT && ahead < u16::MAX - MAX_MISORDER
    }

    /// RFC 3550 appendix A.8, in integers.
    fn measure_jitter(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
        let elapsed = now.saturating_duration_since(self.began);
        let ticks = elapsed.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        // Modulo 2^32, as the timestamp is.
        let transit = (ticks as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let difference = u64::from(transit.wrapping_sub(before).cast_signed().unsigned_abs());
            self.jitter_16 =
                (self.jitter_16 + difference).saturating_sub((self.jitter_16 + 8) >> 4);
        }
        self.transit = Some(transit);
    }
}

fn in_65536ths(duration: Duration) -> u32 {
    (duration.as_nanos() * 65_536 / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of time")]
    fn beginning() -> Instant {
        Instant::now()
    }

    /// A stream of 20 ms packets at 8 kHz: packet `number` arrives `late` after its time.
    struct Sender {
        start: Instant,
        statistics: ReceiveStatistics,
    }

    impl Sender {
        fn new() -> Self {
            Self { start: beginning(), statistics: ReceiveStatistics::new(8_000) }
        }

        fn at(&self, number: u32) -> Instant {
            self.start + Duration::from_millis(20) * number
        }

        fn send(&mut self, number: u32, late: Duration) -> Option<u64> {
            let (now, sequence) = (self.at(number) + late, (65_500 + number) as u16);
            let timestamp = (u32::MAX - 999).wrapping_add(number * 160);
            self.statistics.receive(now, 7, sequence, Some(timestamp), 160)
        }
    }

    #[test]
    fn an_even_stream_has_no_loss_and_no_jitter_over_both_wraps() {
        let mut sender = Sender::new();
        for number in 0..200 {
            sender.send(number, Duration::ZERO);
        }
        let report = sender.statistics.report(sender.at(200)).unwrap();
        assert_eq!((report.ssrc, report.jitter), (7, 0));
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 0));
        assert_eq!(report.highest_sequence, 65_500 + 199);
        assert_eq!(sender.statistics.totals(), Totals { packets: 200, octets: 32_000, lost: 0 });
    }

    #[test]
    fn loss_is_reported_for_the_interval_and_in_total() {
        let mut sender = Sender::new();
        for number in (0..100).filter(|number| number % 4 != 3) {
            sender.send(number, Duration::ZERO);
        }
        sender.send(100, Duration::ZERO);
        let report = sender.statistics.report(sender.at(100)).unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (63, 25));
        for number in 101..200 {
            sender.send(number, Duration::ZERO);
        }
        let report = sender.statistics.report(sender.at(200)).unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 25));
    }

    #[test]
    fn a_late_packet_is_not_lost_and_repeats_count_against_loss() {
        let mut sender = Sender::new();
        for number in [0, 2, 1, 3, 3, 3] {
            sender.send(number, Duration::ZERO);
        }
        assert_eq!(sender.statistics.totals().lost, -2);
        assert_eq!(sender.statistics.report(sender.at(4)).unwrap().fraction_lost, 0);
    }

    #[test]
    fn jitter_settles_at_the_mean_difference_in_spacing() {
        let mut sender = Sender::new();
        for number in 0..500 {
            sender.send(number, Duration::from_millis(u64::from(number % 2) * 10));
        }
        let jitter = sender.statistics.jitter();
        assert!((9..=10).contains(&jitter.as_millis()), "{jitter:?}");
    }

    #[test]
    fn one_wild_sequence_number_is_ignored_and_two_in_a_row_begin_anew() {
        let mut sender = Sender::new();
        let receive = |sender: &mut Sender, sequence| {
            sender.statistics.receive(sender.start, 7, sequence, Some(0), 160)
        };
        for sequence in 100..200 {
            assert!(receive(&mut sender, sequence).is_some());
        }
        assert_eq!(receive(&mut sender, 30_000), None);
        assert!(receive(&mut sender, 200).is_some());
        assert_eq!(sender.statistics.totals().lost, 0);
        assert_eq!(receive(&mut sender, 30_000), None);
        assert_eq!(sender.statistics.begun(), 1);
        assert!(receive(&mut sender, 30_001).is_some());
        assert_eq!(sender.statistics.begun(), 2);
        assert_eq!(sender.statistics.report(sender.start).unwrap().highest_sequence, 30_001);
        assert_eq!(sender.statistics.totals().lost, 0);
    }

    #[test]
    fn another_source_begins_anew_and_keeps_the_totals() {
        let mut sender = Sender::new();
        sender.send(0, Duration::ZERO);
        sender.send(5, Duration::ZERO);
        sender.statistics.receive(sender.at(6), 8, 40_000, Some(0), 160);
        assert_eq!((sender.statistics.ssrc(), sender.statistics.begun()), (Some(8), 2));
        assert_eq!(sender.statistics.totals(), Totals { packets: 3, octets: 480, lost: 4 });
    }

    #[test]
    fn our_report_lets_the_sender_compute_the_round_trip() {
        let mut sender = Sender::new();
        assert_eq!(sender.statistics.report(sender.start), None);
        sender.send(0, Duration::ZERO);
        let info = SenderInfo { ntp: 5 << 32, ..SenderInfo::default() };
        sender.statistics.receive_sender_report(sender.at(1), 99, &info);
        assert_eq!(sender.statistics.report(sender.at(1)).unwrap().last_sender_report, 0);
        sender.statistics.receive_sender_report(sender.at(1), 7, &info);
        let report = sender.statistics.report(sender.at(51)).unwrap();
        assert_eq!((report.last_sender_report, report.delay_since), (5 << 16, 65_536));
        // Sent at 5 s, kept for 1 s, heard back at 6.5 s.
        assert_eq!(report.round_trip((6 << 16) + 32_768), Some(32_768));
    }
}
