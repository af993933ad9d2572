//! What a phone says: its RTP packets, sorted by what they are.

use std::time::Instant;

use switchroom_rtp::digits::{DigitReceiver, ReceivedDigit};
use switchroom_rtp::srtp::SrtpError;
use switchroom_rtp::{Packet, ReceiveStatistics};

use crate::audio::AudioCodec;
use crate::comfort::ComfortNoise;
use crate::command::{LegCodec, LegMedia};
use crate::graph::Frame;
use crate::stats::LegCounters;
use crate::stream::CLOCK_RATE;

/// More payload types than anybody negotiates.
const MAX_PAYLOAD_TYPES: usize = 16;
/// That of comfort noise, which anybody may send unasked (RFC 3551 table 4).
const COMFORT_NOISE: u8 = 13;

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Audio(AudioCodec),
    /// Telephone events on a clock of so many ticks a second.
    Digits(u32),
    /// Comfort noise (RFC 3389).
    ComfortNoise,
}

/// What a packet brought.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Audio(Frame<'a>),
    /// What silence sounds like: the codec around it, its stream, number and time, and the noise.
    Silence(AudioCodec, (u64, u64, u32), ComfortNoise),
    /// Keys, perhaps, or nothing that is heard.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct LegReceiver {
    payload_types: Vec<(u8, Payload)>,
    receives: bool,
    /// What was spoken last.
    codec: Option<AudioCodec>,
    /// Names the numbering of the present SSRC and clock: another one where it counts anew.
    stream: u64,
    /// Which of the streams in `statistics` that is.
    begun: u64,
    pub(crate) statistics: ReceiveStatistics,
    digits: DigitReceiver,
    /// Whose events were heard last, on which clock.
    digits_of: Option<(u32, u32)>,
    /// It has sent telephone events: its keys are told by those.
    pub(crate) sends_events: bool,
    pub(crate) counters: LegCounters,
}

impl LegReceiver {
    pub(crate) fn new() -> Self {
        Self {
            payload_types: Vec::new(),
            receives: false,
            codec: None,
            stream: 0,
            begun: 0,
            statistics: ReceiveStatistics::new(CLOCK_RATE),
            digits: DigitReceiver::new(CLOCK_RATE),
            digits_of: None,
            sends_events: false,
            counters: LegCounters::default(),
        }
    }

    pub(crate) fn update(&mut self, media: &LegMedia) {
        let kind = |codec: &LegCodec| {
            let payload = match AudioCodec::from_name(&codec.name) {
                Some(audio) => Payload::Audio(audio),
                None if codec.name.eq_ignore_ascii_case("telephone-event") => {
                    Payload::Digits(codec.clock_rate)
                }
                None if codec.name.eq_ignore_ascii_case("CN") => Payload::ComfortNoise,
                None => return None,
            };
            Some((codec.payload_type, payload))
        };
        let digits =
            media.digits.iter().map(|of| (of.payload_type, Payload::Digits(of.clock_rate)));
        let noise = [(COMFORT_NOISE, Payload::ComfortNoise)];
        let all = digits.chain(media.codecs.iter().filter_map(kind)).chain(noise);
        self.payload_types = all.take(MAX_PAYLOAD_TYPES).collect();
        self.receives = media.direction.receives();
    }

    pub(crate) fn payload(&self, payload_type: u8) -> Option<Payload> {
        self.payload_types.iter().find(|(known, _)| *known == payload_type).map(|(_, kind)| *kind)
    }

    /// Takes a packet of the phone. Keys are added to `digits`. `next_stream` names a numbering that
    /// has not been used.
    pub(crate) fn receive<'a>(
        &mut self,
        now: Instant,
        packet: &Packet<'a>,
        payload: Payload,
        next_stream: &mut u64,
        digits: &mut Vec<ReceivedDigit>,
    ) -> Received<'a> {
        let header = packet.header;
        let size = packet.payload.len();
        let other_clock = self.follow(payload);
        let (sequence, timestamp) = (header.sequence, header.timestamp);
        // All packets of an event have the time of its beginning: no measure of jitter.
        let measured = (!matches!(payload, Payload::Digits(_))).then_some(timestamp);
        let sequence = self.statistics.receive(now, header.ssrc, sequence, measured, size);
        let begun = self.statistics.begun();
        if other_clock || begun != self.begun {
            self.begun = begun;
            *next_stream += 1;
            self.stream = *next_stream;
        }
        let Some(sequence) = sequence else { return Received::Nothing };
        if !self.receives {
            return Received::Nothing;
        }
        match payload {
            Payload::Audio(codec) if size > 0 => Received::Audio(Frame {
                stream: self.stream,
                codec,
                sequence,
                timestamp,
                marker: header.marker,
                pause: false,
                keep: false,
                level: None,
                payload: packet.payload,
                shared: None,
            }),
            Payload::Audio(_) => Received::Nothing,
            Payload::Digits(clock) => {
                self.sends_events = true;
                // Not at each change of SSRC: another stream may come between the copies of an end.
                if self.digits_of.replace((header.ssrc, clock)) != Some((header.ssrc, clock)) {
                    self.digits.restart(clock, digits);
                }
                self.digits.receive(now, timestamp, packet.payload, digits);
                Received::Nothing
            }
            Payload::ComfortNoise => {
                let place = (self.stream, sequence, timestamp);
                // Noise is on a clock of 8 kHz: beside Opus it has no place.
                let codec = self.codec.filter(|codec| codec.clock_rate() == CLOCK_RATE);
                let noise = ComfortNoise::parse(packet.payload);
                codec.zip(noise).map_or(Received::Nothing, |(codec, noise)| {
                    Received::Silence(codec, place, noise)
                })
            }
        }
    }

    /// Takes note of what is spoken; true if that is on another clock than what was before, so that
    /// times cannot be compared.
    fn follow(&mut self, payload: Payload) -> bool {
        let Payload::Audio(codec) = payload else { return false };
        let before = self.codec.replace(codec);
        let clock = codec.clock_rate();
        if before.is_none_or(|before| before.clock_rate() == clock) {
            self.statistics.set_clock_rate(clock);
            return false;
        }
        self.statistics.set_clock_rate(clock);
        true
    }

    /// What the phone spoke last.
    pub(crate) fn codec(&self) -> Option<AudioCodec> {
        self.codec
    }

    /// A protected packet that could not be opened.
    pub(crate) fn count_unopened(&mut self, error: SrtpError) {
        match error {
            SrtpError::Malformed => self.counters.malformed += 1,
            _ => self.counters.not_authentic += 1,
        }
    }

    /// When a digit whose end was lost is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.digits.deadline()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, digits: &mut Vec<ReceivedDigit>) {
        self.digits.handle_timeout(now, digits);
    }

    pub(crate) fn counters(&self) -> LegCounters {
        let totals = self.statistics.totals();
        LegCounters {
            packets: totals.packets,
            bytes: totals.octets,
            lost: totals.lost,
            jitter_ms: self.statistics.jitter().as_secs_f64() * 1_000.0,
            ..self.counters
        }
    }
}
