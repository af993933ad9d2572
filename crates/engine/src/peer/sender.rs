//! What we send on one media section: one RTP stream, whatever it is made of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::Pt;

use crate::audio::{AudioCodec, AudioLevel, CodecSet};

/// A packet that jumps further ahead of its stream than this starts a new numbering, and so does
/// one that falls further behind (RFC 3550 appendix A.1: `MAX_DROPOUT` and `MAX_MISORDER`).
const MAX_DROPOUT: u64 = 3_000;
const MAX_MISORDER: u64 = 100;

/// A packet to forward or to send, numbered by whoever made it.
#[derive(Debug, Clone)]
pub struct OutgoingRtp {
    /// Which numbering `sequence` and `timestamp` belong to. Another value than that of the packet
    /// before is a switch of source: the marker is set, sequence and time go on without a gap.
    pub stream: u64,
    /// What the payload is. The receiver must have negotiated it; see [`super::Peer::sender_codecs`].
    pub codec: AudioCodec,
    /// Extended sequence number within the stream. Gaps are kept as gaps.
    pub sequence: u64,
    /// In ticks of the codec's RTP clock.
    pub timestamp: u32,
    /// First packet after silence.
    pub marker: bool,
    /// What to say in the audio level header extension, if the receiver negotiated it.
    pub level: Option<AudioLevel>,
    /// The RTP payload.
    pub payload: Arc<[u8]>,
}

/// Header fields of a packet as this receiver is to see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) payload_type: Pt,
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
}

/// The numbering of one outgoing RTP stream over all switches of source and codec.
#[derive(Debug)]
pub(super) struct Sender {
    payload_types: [Option<Pt>; AudioCodec::ALL.len()],
    first_sequence: u64,
    first_timestamp: u32,
    source: Option<Source>,
    last: Option<Last>,
    /// Packets lost on the way, by the client's last report.
    pub(super) reported_lost: u64,
}

/// How the numbers of the present source become ours.
#[derive(Debug, Clone, Copy)]
struct Source {
    stream: u64,
    codec: AudioCodec,
    sequence_offset: u64,
    timestamp_offset: u32,
    /// Our number of its first packet; older ones came too late.
    first: u64,
}

/// The newest packet sent.
#[derive(Debug, Clone, Copy)]
struct Last {
    sequence: u64,
    timestamp: u32,
    at: Instant,
    /// Bit n: the packet n before the newest was sent.
    sent: u128,
}

impl Sender {
    /// `ssrc` is random, and so are the first numbers drawn from it (RFC 3550 §5.1). The first
    /// sequence number stays below 2^15: above 2^16 the SRTP roll-over counter would not be the
    /// receiver's, and just below it a lost first packet would make it so (RFC 3711 §3.3.1).
    pub(super) fn new(ssrc: u32) -> Self {
        let scrambled = ssrc.wrapping_mul(0x9e37_79b1);
        Self {
            payload_types: [None; AudioCodec::ALL.len()],
            first_sequence: u64::from(scrambled >> 17),
            first_timestamp: scrambled.rotate_left(13) ^ ssrc,
            source: None,
            last: None,
            reported_lost: 0,
        }
    }

    /// The same section under another SSRC: a new stream, of what was negotiated.
    pub(super) fn renewed(&self, ssrc: u32) -> Self {
        Self { payload_types: self.payload_types, ..Self::new(ssrc) }
    }

    pub(super) fn set_payload_type(&mut self, codec: AudioCodec, payload_type: Option<Pt>) {
        self.payload_types[codec as usize] = payload_type;
    }

    pub(super) fn clear_payload_types(&mut self) {
        self.payload_types = [None; AudioCodec::ALL.len()];
    }

    pub(super) fn codecs(&self) -> CodecSet {
        let negotiated = |codec: &AudioCodec| self.payload_types[*codec as usize].is_some();
        AudioCodec::ALL.into_iter().filter(negotiated).collect()
    }

    /// Numbers a packet. `None` if it must not be sent: not negotiated, from before the last
    /// switch, or sent already. An SRTP index used twice would give its key away (RFC 3711 §9.1).
    pub(super) fn place(&mut self, now: Instant, packet: &OutgoingRtp) -> Option<Placed> {
        let payload_type = self.payload_types[packet.codec as usize]?;
        let (source, switched) = match self.source {
            Some(source) if source.carries_on(packet, self.last) => (source, false),
            _ => (self.switch(now, packet), true),
        };
        let sequence = packet.sequence.wrapping_add(source.sequence_offset);
        let timestamp = packet.timestamp.wrapping_add(source.timestamp_offset);
        if sequence < source.first {
            return None;
        }
        self.last = Some(Last::after(self.last, sequence, timestamp, now)?);
        self.source = Some(source);
        Some(Placed { payload_type, sequence, timestamp, marker: packet.marker || switched })
    }

    /// Goes on where the last source stopped: next sequence number, and as much later in time as
    /// time has passed, at least one packet (RFC 7160 §4.1 for the change of clock rate).
    fn switch(&self, now: Instant, packet: &OutgoingRtp) -> Source {
        let clock = packet.codec.clock_rate();
        let (sequence, timestamp) = match self.last {
            None => (self.first_sequence, self.first_timestamp),
            Some(last) => {
                let passed = ticks(now.saturating_duration_since(last.at), clock);
                (last.sequence + 1, last.timestamp.wrapping_add(passed.max(clock / 50)))
            }
        };
        Source {
            stream: packet.stream,
            codec: packet.codec,
            sequence_offset: sequence.wrapping_sub(packet.sequence),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
            first: sequence,
        }
    }
}

impl Source {
    fn carries_on(&self, packet: &OutgoingRtp, last: Option<Last>) -> bool {
        let Some(last) = last else { return false };
        let sequence = packet.sequence.wrapping_add(self.sequence_offset);
        self.stream == packet.stream
            && self.codec == packet.codec
            && sequence <= last.sequence + MAX_DROPOUT
            && sequence + MAX_MISORDER >= last.sequence
    }
}

impl Last {
    fn after(last: Option<Self>, sequence: u64, timestamp: u32, at: Instant) -> Option<Self> {
        let Some(last) = last else {
            return Some(Self { sequence, timestamp, at, sent: 1 });
        };
        if sequence > last.sequence {
            let shift = u32::try_from(sequence - last.sequence).unwrap_or(u32::MAX);
            let sent = last.sent.checked_shl(shift).unwrap_or(0) | 1;
            return Some(Self { sequence, timestamp, at, sent });
        }
        let bit =
            u32::try_from(last.sequence - sequence).ok().and_then(|n| 1u128.checked_shl(n))?;
        (last.sent & bit == 0).then_some(Self { sent: last.sent | bit, ..last })
    }
}

fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_micros() * u128::from(clock_rate) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use AudioCodec::{Opus, Pcmu};

    struct Bench {
        sender: Sender,
        epoch: Instant,
    }

    impl Bench {
        #[allow(clippy::disallowed_methods)] // the origin of a test's virtual time
        fn new() -> Self {
            let mut sender = Sender::new(0x1234_5678);
            sender.set_payload_type(Opus, Some(111.into()));
            sender.set_payload_type(Pcmu, Some(0.into()));
            Self { sender, epoch: Instant::now() }
        }

        fn place(
            &mut self,
            ms: u64,
            stream: u64,
            codec: AudioCodec,
            sequence: u64,
            timestamp: u32,
        ) -> Option<Placed> {
            let packet = OutgoingRtp {
                stream,
                codec,
                sequence,
                timestamp,
                marker: false,
                level: None,
                payload: Arc::from([0u8; 1]),
            };
            self.sender.place(self.epoch + Duration::from_millis(ms), &packet)
        }
    }

    #[test]
    fn the_first_packet_starts_low_and_marked_whatever_the_source_counts() {
        for ssrc in [0, 1, 0xffff_ffff, 0x8000_0000, 0x1357_9bdf] {
            let mut sender = Sender::new(ssrc);
            sender.set_payload_type(Opus, Some(111.into()));
            let mut bench = Bench { sender, ..Bench::new() };
            let placed = bench.place(0, 1, Opus, 9_000_000, 77).unwrap();
            assert!(placed.sequence < 1 << 15, "{}", placed.sequence);
            assert!(placed.marker);
        }
    }

    #[test]
    fn a_source_keeps_its_gaps_and_its_clock() {
        let mut bench = Bench::new();
        let first = bench.place(0, 1, Opus, 100, 1_000).unwrap();
        let third = bench.place(40, 1, Opus, 102, 2_920).unwrap();
        let second = bench.place(41, 1, Opus, 101, 1_960).unwrap();
        assert_eq!(third.sequence, first.sequence + 2);
        assert_eq!(second.sequence, first.sequence + 1);
        assert_eq!(third.timestamp.wrapping_sub(first.timestamp), 1_920);
        assert!(!second.marker && !third.marker);
    }

    #[test]
    fn no_number_is_ever_used_twice() {
        let mut bench = Bench::new();
        bench.place(0, 1, Opus, 100, 1_000).unwrap();
        assert_eq!(bench.place(1, 1, Opus, 100, 1_000), None);
        bench.place(20, 1, Opus, 103, 1_960).unwrap();
        bench.place(21, 1, Opus, 102, 1_960).unwrap();
        assert_eq!(bench.place(22, 1, Opus, 102, 1_960), None);
        assert_eq!(bench.place(23, 1, Opus, 103, 1_960), None);
    }

    #[test]
    fn a_switch_goes_on_with_the_next_number_and_the_time_that_passed() {
        let mut bench = Bench::new();
        let before = bench.place(0, 1, Opus, 100, 1_000).unwrap();
        let after = bench.place(500, 2, Opus, 7, 4_000_000).unwrap();
        assert_eq!(after.sequence, before.sequence + 1);
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 24_000);
        assert!(after.marker);
        let next = bench.place(520, 2, Opus, 8, 4_000_960).unwrap();
        assert_eq!(next.timestamp.wrapping_sub(after.timestamp), 960);
        assert!(!next.marker);
    }

    #[test]
    fn another_codec_is_a_switch_to_its_own_clock() {
        let mut bench = Bench::new();
        let opus = bench.place(0, 1, Opus, 100, 1_000).unwrap();
        let pcmu = bench.place(20, 1, Pcmu, 101, 160).unwrap();
        assert_eq!((*opus.payload_type, *pcmu.payload_type), (111, 0));
        assert_eq!(pcmu.sequence, opus.sequence + 1);
        assert_eq!(pcmu.timestamp.wrapping_sub(opus.timestamp), 160);
    }

    #[test]
    fn a_switch_within_one_instant_still_moves_time_by_a_packet() {
        let mut bench = Bench::new();
        let a = bench.place(0, 1, Opus, 100, 1_000).unwrap();
        let b = bench.place(0, 2, Opus, 100, 1_000).unwrap();
        assert_eq!(b.timestamp.wrapping_sub(a.timestamp), 960);
    }

    #[test]
    fn packets_from_before_the_switch_are_dropped() {
        let mut bench = Bench::new();
        bench.place(0, 1, Opus, 100, 1_000).unwrap();
        bench.place(20, 1, Opus, 105, 1_000).unwrap();
        bench.place(40, 2, Opus, 50, 1_000).unwrap();
        // Its number would fall into the gap that the first source left.
        assert_eq!(bench.place(41, 2, Opus, 47, 40), None);
        assert_eq!(bench.place(42, 2, Opus, 49, 40), None);
    }

    #[test]
    fn a_source_that_jumps_is_taken_as_a_new_one() {
        let mut bench = Bench::new();
        let a = bench.place(0, 1, Opus, 100, 1_000).unwrap();
        let b = bench.place(20, 1, Opus, 100_000, 500).unwrap();
        let c = bench.place(40, 1, Opus, 3, 500).unwrap();
        assert_eq!((b.sequence, c.sequence), (a.sequence + 1, a.sequence + 2));
        assert!(b.marker && c.marker);
    }

    #[test]
    fn numbers_go_on_past_the_wrap_of_the_wire() {
        let mut bench = Bench::new();
        let first = bench.place(0, 1, Opus, 0, 0).unwrap();
        let mut last = first;
        for n in 1..70_000_u64 {
            last = bench.place(n * 20, 1, Opus, n, (n as u32).wrapping_mul(960)).unwrap();
        }
        assert_eq!(last.sequence, first.sequence + 69_999);
    }

    #[test]
    fn a_codec_that_was_not_negotiated_is_not_sent() {
        let mut bench = Bench::new();
        assert_eq!(bench.place(0, 1, AudioCodec::G722, 0, 0), None);
        bench.sender.clear_payload_types();
        assert_eq!(bench.place(0, 1, Opus, 0, 0), None);
        assert!(bench.sender.codecs().is_empty());
    }
}
