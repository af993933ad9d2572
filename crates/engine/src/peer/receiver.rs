//! What arrives: which section and which codec a packet belongs to.

use str0m::format::{Codec, CodecConfig};
use str0m::media::Pt;
use str0m::rtp::{ExtensionValues, RtpPacket, Ssrc};

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
}

/// A client used more RTP streams than any client does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyStreams;

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            codecs: [None; 128],
            streams: Vec::new(),
            streams_ever: 0,
            started: Vec::new(),
            lost_before: 0,
        }
    }

    /// Takes over the payload types that were negotiated.
    pub(super) fn set_codecs(&mut self, config: &CodecConfig) {
        self.codecs = [None; 128];
        for params in config.params() {
            let slot = self.codecs.get_mut(usize::from(*params.pt()));
            if let (Some(slot), codec @ Some(_)) = (slot, audio_codec(params.spec().codec)) {
                *slot = codec;
            }
        }
    }

    pub(super) fn codec(&self, payload_type: Pt) -> Option<AudioCodec> {
        *self.codecs.get(usize::from(*payload_type))?
    }

    /// Names a packet. `section` looks up the section of a stream not seen before; later packets
    /// may lack the mid extension, so the stream is what counts.
    pub(super) fn name(
        &mut self,
        packet: &RtpPacket,
        section: impl FnOnce() -> Option<Mid>,
    ) -> Result<Option<IncomingRtp>, TooManyStreams> {
        let Some(codec) = self.codec(packet.header.payload_type) else { return Ok(None) };
        let sequence = *packet.seq_no;
        let known = self.streams.iter().position(|stream| stream.ssrc == packet.header.ssrc);
        let stream = if let Some(at) = known {
            &mut self.streams[at]
        } else {
            let Some(mid) = section() else { return Ok(None) };
            self.add(packet.header.ssrc, mid, sequence)?
        };
        stream.highest = stream.highest.max(sequence);
        stream.received += 1;
        Ok(Some(IncomingRtp {
            mid: stream.mid,
            codec,
            ssrc: *packet.header.ssrc,
            sequence,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            level: level(&packet.header.ext_vals),
            payload: packet.payload.clone(),
        }))
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
        self.streams.push(Stream { ssrc, mid, first, highest: first, received: 0 });
        let newest = self.streams.len() - 1;
        Ok(&mut self.streams[newest])
    }
}

impl Stream {
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
