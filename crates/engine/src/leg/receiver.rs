//! What a phone says: its RTP packets, sorted by what they are.

use std::time::Instant;

use switchroom_rtp::digits::{DigitReceiver, ReceivedDigit};
use switchroom_rtp::srtp::SrtpError;
use switchroom_rtp::{Packet, ReceiveStatistics};

use crate::audio::AudioCodec;
use crate::command::LegMedia;
use crate::graph::Frame;
use crate::stats::LegCounters;
use crate::stream::CLOCK_RATE;

/// More payload types than anybody negotiates.
const MAX_PAYLOAD_TYPES: usize = 16;

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Audio(AudioCodec),
    Digits,
    /// Comfort noise (RFC 3389), which anybody may send at payload type 13: silence.
    ComfortNoise,
}

#[derive(Debug)]
pub(crate) struct LegReceiver {
    payload_types: Vec<(u8, Payload)>,
    receives: bool,
    ssrc: Option<u32>,
    codec: Option<AudioCodec>,
    /// Names the numbering of the present SSRC.
    stream: u64,
    pub(crate) statistics: ReceiveStatistics,
    digits: DigitReceiver,
    pub(crate) counters: LegCounters,
}

impl LegReceiver {
    pub(crate) fn new() -> Self {
        Self {
            payload_types: Vec::new(),
            receives: false,
            ssrc: None,
            codec: None,
            stream: 0,
            statistics: ReceiveStatistics::new(CLOCK_RATE),
            digits: DigitReceiver::new(CLOCK_RATE),
            counters: LegCounters::default(),
        }
    }

    pub(crate) fn update(&mut self, media: &LegMedia) {
        let audio = media.codecs.iter().filter_map(|codec| {
            let name = AudioCodec::from_name(&codec.name)?;
            name.law().map(|_| (codec.payload_type, Payload::Audio(name)))
        });
        let digits = media.digits.iter().map(|digits| (digits.payload_type, Payload::Digits));
        let noise = [(13, Payload::ComfortNoise)];
        self.payload_types = audio.chain(digits).chain(noise).take(MAX_PAYLOAD_TYPES).collect();
        self.receives = media.direction.receives();
    }

    pub(crate) fn payload(&self, payload_type: u8) -> Option<Payload> {
        self.payload_types.iter().find(|(known, _)| *known == payload_type).map(|(_, kind)| *kind)
    }

    /// Takes a packet of the phone. Audio is given back, keys are added to `digits`.
    /// `next_stream` names a numbering that has not been used.
    pub(crate) fn receive<'a>(
        &mut self,
        now: Instant,
        packet: &Packet<'a>,
        payload: Payload,
        next_stream: &mut u64,
        digits: &mut Vec<ReceivedDigit>,
    ) -> Option<Frame<'a>> {
        let header = packet.header;
        let size = packet.payload.len();
        if self.ssrc != Some(header.ssrc) {
            self.ssrc = Some(header.ssrc);
            *next_stream += 1;
            self.stream = *next_stream;
        }
        let (sequence, timestamp) = (header.sequence, header.timestamp);
        let sequence = self.statistics.receive(now, header.ssrc, sequence, timestamp, size)?;
        if !self.receives {
            return None;
        }
        if let Payload::Audio(codec) = payload {
            self.codec = Some(codec);
        }
        match payload {
            Payload::Audio(codec) if size > 0 => Some(Frame {
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
            Payload::Digits => {
                self.digits.receive(now, timestamp, packet.payload, digits);
                None
            }
            Payload::Audio(_) | Payload::ComfortNoise => None,
        }
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
