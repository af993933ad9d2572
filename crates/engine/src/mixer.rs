//! Mixes for sinks that hear several sources, on one 20 ms clock for all of them.

use std::time::{Duration, Instant};

use switchroom_codecs::mixer::{Gain, mix};
use switchroom_codecs::opus::{MAX_PACKET, OpusEncoder, OpusEncoderConfig};

use crate::audio::{AudioCodec, AudioLevel};
use crate::graph::{Frame, Graph, SinkKey};
use crate::output::Output;
use crate::peers::Peers;
use crate::sink::{Input, Mixing, SinkEnd};
use crate::transcode::{FRAME, LinearFrame};

/// The clock of mixes and players.
pub(crate) const TICK: Duration = Duration::from_millis(20);

impl Graph {
    /// Plays 20 ms of every source that is mixed, and sends each mix.
    pub(crate) fn mix(&mut self, now: Instant, peers: &mut Peers, out: &mut Output) {
        self.play_voices(now, peers, out);
        for (_, source) in &mut self.sources {
            source.playouts.iter_mut().for_each(|playout| playout.tick(now));
        }
        for at in 0..self.mixing.len() {
            self.mix_one(now, self.mixing[at], peers, out);
        }
        for at in (0..self.mixing.len()).rev() {
            self.settle(self.mixing[at]);
        }
    }

    /// What follows a tick: who has been played to the end leaves the mix.
    fn settle(&mut self, key: SinkKey) {
        let Some(sink) = self.sinks.get_mut(key.0) else { return };
        if let Some(mixing) = &mut sink.mixing
            && let Some(left) = mixing.play_out.take()
        {
            match left.saturating_sub(1) {
                0 => self.played_out.extend(sink.leg()),
                left => mixing.play_out = Some(left),
            }
        }
        if !sink.leaving.is_empty() {
            let (inputs, rate) = (sink.inputs.clone(), sink.rate);
            let mut leaving = sink.leaving.clone();
            leaving.retain(|input| self.rings(*input, rate));
            self.rewire(key, inputs, leaving);
        }
    }

    fn mix_one(&mut self, now: Instant, key: SinkKey, peers: &mut Peers, out: &mut Output) {
        let Some(sink) = self.sinks.get_mut(key.0) else { return };
        let rate = sink.rate;
        let voice = |input: &Input| {
            let played = self.sources.get(input.source.0)?.playout(rate)?.frame();
            Some((played, Gain::from_linear(input.gain)))
        };
        let voices: Vec<_> = sink.voices().filter_map(voice).collect();
        let mut mixed = [0; 6 * FRAME];
        let mixed = &mut mixed[..(rate / 50) as usize];
        mix(&voices, mixed);
        let Some(mixing) = &mut sink.mixing else { return };
        let (stream, sequence) = (mixing.stream, mixing.sequence);
        mixing.sequence += 1;
        let mut frame = Frame {
            stream,
            codec: AudioCodec::Opus,
            sequence,
            timestamp: (sequence as u32).wrapping_mul(rate / 50),
            marker: sequence == 0,
            pause: false,
            keep: false,
            level: None,
            payload: &[],
            shared: None,
        };
        match &mut sink.end {
            SinkEnd::Leg(sender) => {
                let Some(format) = sender.format() else { return };
                let Some(law) = format.codec.law() else {
                    let made = LinearFrame::mixed(stream, sequence, mixed.len());
                    return sender.speak(now, &made, mixed, out);
                };
                let mut octets = [0; FRAME];
                law.encode(mixed, &mut octets);
                (frame.codec, frame.payload) = (format.codec, &octets);
                sender.audio(now, &frame, out);
            }
            SinkEnd::Peer(section) => {
                let mut packet = [0; MAX_PACKET];
                let Some(size) = mixing.encode(rate, mixed, &mut packet) else { return };
                frame.payload = &packet[..size];
                frame.level = Some(AudioLevel::of_samples(mixed));
                peers.send(now, *section, &frame, &mut None);
            }
        }
    }
}

impl Mixing {
    fn encode(&mut self, rate: u32, samples: &[i16], packet: &mut [u8]) -> Option<usize> {
        if self.encoder.is_none() {
            self.encoder = OpusEncoder::new(OpusEncoderConfig::speech(rate)).ok();
        }
        self.encoder.as_mut()?.encode(samples, packet).ok()
    }
}
