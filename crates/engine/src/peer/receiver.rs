//! What arrives: which section and which codec a packet belongs to.

use std::sync::Arc;

use str0m::format::{Codec, CodecConfig};
use str0m::media::Pt;
use str0m::rtp::{ExtensionValues, RtpPacket, Ssrc};
use switchroom_rtp::redundancy::{Block, Blocks};

use super::{IncomingRtp, Mid};
use crate::audio::{AudioCodec, AudioLevel};

/// Streams remembered; a client publishes a handful and changes them rarely.
const MAX_STREAMS: usize = 64;
/// A client that went through more streams than this is not a client but an attack on our memory:
/// str0m keeps a replay window for each, for as long as the connection lives.
const MAX_STREAMS_EVER: u32 = 4_096;

#[derive(Debug)]
pub(super) struct Receiver {
    codecs: [Option<AudioCodec>; 128],
    /// The payload type that packets with copies of earlier ones have (RFC 2198), and that of what
    /// they carry.
    redundant: Option<(u8, u8)>,
    streams: Vec<Stream>,
    streams_ever: u32,
    started: Vec<(Mid, AudioCodec)>,
    lost_before: u64,
}

#[derive(Debug)]
struct Stream {
    ssrc: Ssrc,
    mid: Mid,
    first: u64,
    highest: u64,
    received: u64,
    /// Bit n: packet `highest - n` was given out.
    given: u64,
}

/// A client used more RTP streams than any client does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyStreams;

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            codecs: [None; 128],
            redundant: None,
            streams: Vec::new(),
            streams_ever: 0,
            started: Vec::new(),
            lost_before: 0,
        }
    }

    /// Takes over the payload types that were negotiated.
    pub(super) fn set_codecs(&mut self, config: &CodecConfig) {
        (self.codecs, self.redundant) = ([None; 128], None);
        for params in config.params() {
            if let Some(red) = params.red() {
                self.redundant = Some((*red, *params.pt()));
            }
            let slot = self.codecs.get_mut(usize::from(*params.pt()));
            if let (Some(slot), codec @ Some(_)) = (slot, audio_codec(params.spec().codec)) {
                *slot = codec;
            }
        }
    }

    pub(super) fn codec(&self, payload_type: Pt) -> Option<AudioCodec> {
        *self.codecs.get(usize::from(*payload_type))?
    }

    /// Names a packet and adds it to `out`, after those before it that were lost and of which it
    /// has copies. `section` looks up the section of a stream not seen before; later packets may
    /// lack the mid extension, so the stream is what counts. False for what nobody can use.
    pub(super) fn name(
        &mut self,
        packet: &RtpPacket,
        section: impl FnOnce() -> Option<Mid>,
        out: &mut Vec<IncomingRtp>,
    ) -> Result<bool, TooManyStreams> {
        let payload_type = *packet.header.payload_type;
        let redundant = self.redundant.filter(|(wrapping, _)| *wrapping == payload_type);
        let Some(codec) = self.codec(redundant.map_or(payload_type, |(_, held)| held).into())
        else {
            return Ok(false);
        };
        let sequence = *packet.seq_no;
        let known = self.streams.iter().position(|stream| stream.ssrc == packet.header.ssrc);
        let stream = if let Some(at) = known {
            &mut self.streams[at]
        } else {
            let Some(mid) = section() else { return Ok(false) };
            self.add(packet.header.ssrc, mid, sequence)?
        };
        stream.received += 1;
        let mut named = IncomingRtp {
            mid: stream.mid,
            codec,
            ssrc: *packet.header.ssrc,
            sequence,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            level: level(&packet.header.ext_vals),
            payload: packet.payload.clone(),
        };
        if let Some((_, held)) = redundant {
            let Some(blocks) = Blocks::parse(&packet.payload) else { return Ok(false) };
            stream.recover(&named, &blocks, held, out);
            if blocks.primary.payload_type != held {
                return Ok(false);
            }
            named.payload = blocks.primary.payload.into();
        }
        stream.give(sequence);
        out.push(named);
        Ok(true)
    }

    /// Whether this is the section's first packet in this codec.
    pub(super) fn starts(&mut self, packet: &IncomingRtp) -> bool {
        let known = self.started.iter_mut().find(|(mid, _)| *mid == packet.mid);
        if let Some((_, codec)) = known {
            return std::mem::replace(codec, packet.codec) != packet.codec;
        }
        self.started.push((packet.mid, packet.codec));
        true
    }

    /// Packets missing between the first and the newest of each stream.
    pub(super) fn lost(&self) -> u64 {
        self.streams.iter().map(Stream::lost).sum::<u64>() + self.lost_before
    }

    fn add(&mut self, ssrc: Ssrc, mid: Mid, first: u64) -> Result<&mut Stream, TooManyStreams> {
        self.streams_ever += 1;
        if self.streams_ever > MAX_STREAMS_EVER {
            return Err(TooManyStreams);
        }
        if self.streams.len() == MAX_STREAMS {
            self.lost_before += self.streams.remove(0).lost();
        }
        self.streams.push(Stream { ssrc, mid, first, highest: first, received: 0, given: 0 });
        let newest = self.streams.len() - 1;
        Ok(&mut self.streams[newest])
    }
}

impl Stream {
    /// Gives out the copies of packets that did not arrive. RFC 2198 numbers them by time only; by
    /// custom the newest copy is of the packet just before, and so on back.
    fn recover(
        &mut self,
        packet: &IncomingRtp,
        blocks: &Blocks<'_>,
        held: u8,
        out: &mut Vec<IncomingRtp>,
    ) {
        let back = (1..=blocks.copies().len() as u64).rev();
        for (back, Block { payload_type, earlier, payload }) in back.zip(blocks.copies()) {
            let Some(sequence) = packet.sequence.checked_sub(back) else { continue };
            let usable = *payload_type == held && !payload.is_empty() && sequence > self.first;
            if usable && !self.is_given(sequence) {
                self.give(sequence);
                out.push(IncomingRtp {
                    sequence,
                    timestamp: packet.timestamp.wrapping_sub(*earlier),
                    marker: false,
                    level: None,
                    payload: Arc::from(*payload),
                    ..*packet
                });
            }
        }
    }

    /// Whether it was given out, or is too old to tell.
    fn is_given(&self, sequence: u64) -> bool {
        let Some(back) = self.highest.checked_sub(sequence) else { return false };
        back >= 64 || self.given & 1 << back != 0
    }

    fn give(&mut self, sequence: u64) {
        if let Some(ahead) = sequence.checked_sub(self.highest) {
            self.given = self.given.checked_shl(ahead.min(64) as u32).unwrap_or(0) | 1;
            self.highest = sequence;
        } else if let Some(bit) = 1_u64.checked_shl((self.highest - sequence).min(64) as u32) {
            self.given |= bit;
        }
    }

    fn lost(&self) -> u64 {
        (self.highest - self.first.min(self.highest) + 1).saturating_sub(self.received)
    }
}

pub(super) fn audio_codec(codec: Codec) -> Option<AudioCodec> {
    match codec {
        Codec::Opus => Some(AudioCodec::Opus),
        Codec::PCMU => Some(AudioCodec::Pcmu),
        Codec::PCMA => Some(AudioCodec::Pcma),
        Codec::G722 => Some(AudioCodec::G722),
        _ => None,
    }
}

/// RFC 6464 §3: the level is sent as 0 to 127 below overload; str0m gives it as a negative number.
fn level(values: &ExtensionValues) -> Option<AudioLevel> {
    let below_overload = values.audio_level?.unsigned_abs().min(127);
    Some(AudioLevel { below_overload, voice: values.voice_activity.unwrap_or(false) })
}
