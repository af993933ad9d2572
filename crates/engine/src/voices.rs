//! Phones in the graph: their packets to those who take them as they come, their voices to the others.

use std::time::Instant;

use crate::audio::AudioCodec;
use crate::comfort::ComfortNoise;
use crate::graph::{Delivery, Frame, Graph, SourceKey, passes};
use crate::output::Output;
use crate::peers::Peers;
use crate::sink::SinkEnd;
use crate::source::Source;
use crate::transcode::Sound;
use crate::voice::Processing;

impl Graph {
    /// Hands a packet of a phone to everybody who takes it as it is, and to its voice if anybody
    /// else listens.
    pub(crate) fn distribute_phone(
        &mut self,
        now: Instant,
        key: SourceKey,
        frame: &Frame<'_>,
        peers: &mut Peers,
        out: &mut Output,
    ) {
        let Some(source) = self.sources.get_mut(key.0) else { return };
        let Source { listeners, transcoder, playouts, phone: Some(phone), .. } = source else {
            return;
        };
        let whole = phone.is_whole();
        let mut needed = phone.needs_voice(frame.codec);
        let sound = &Sound::Packet(frame);
        if !whole {
            for playout in &mut *playouts {
                playout.insert(now, sound);
            }
        }
        transcoder.begin();
        let mut delivery = Delivery { now, sound, transcoder, shared: None, peers, out };
        for listener in listeners {
            let Some(sink) = self.sinks.get_mut(listener.0) else { continue };
            if whole || !takes(&sink.end, frame.codec, delivery.peers) {
                needed = true;
            } else {
                self.changed_legs.extend(delivery.to(&mut sink.end));
            }
        }
        if needed || phone.voice.is_some() {
            if phone.voice.is_none() {
                self.voices.push(key);
            }
            phone.voice_for(frame.codec, &mut self.streams_made).insert(now, frame);
        }
    }

    /// A phone says what its silence sounds like. `place`: stream, number and time of the packet.
    pub(crate) fn distribute_noise(
        &mut self,
        now: Instant,
        key: SourceKey,
        codec: AudioCodec,
        place: (u64, u64, u32),
        noise: ComfortNoise,
    ) {
        let source = self.sources.get_mut(key.0);
        let Some(phone) = source.and_then(|source| source.phone.as_mut()) else { return };
        if phone.voice.is_none() {
            self.voices.push(key);
        }
        phone.comforts = true;
        phone.voice_for(codec, &mut self.streams_made).insert_noise(now, place, noise);
    }

    /// What is done to a phone's sound from now on.
    pub(crate) fn set_processing(&mut self, key: SourceKey, processing: Processing) {
        if let Some(phone) = self.sources.get_mut(key.0).and_then(|source| source.phone.as_mut()) {
            phone.processing = processing;
        }
    }

    /// A phone was negotiated with anew: what its silence sounds like, it will have to say again.
    pub(crate) fn renew_phone(&mut self, key: SourceKey) {
        if let Some(phone) = self.sources.get_mut(key.0).and_then(|source| source.phone.as_mut()) {
            phone.comforts = false;
            if let Some(voice) = &mut phone.voice {
                voice.playout.hush();
            }
        }
    }

    /// Plays 20 ms of every phone whose sound is made even.
    pub(crate) fn play_voices(&mut self, now: Instant, peers: &mut Peers, out: &mut Output) {
        for at in (0..self.voices.len()).rev() {
            let key = self.voices[at];
            if self.play_voice(now, key, peers, out) {
                self.voices.swap_remove(at);
            }
        }
    }

    /// True if it has been let go.
    fn play_voice(
        &mut self,
        now: Instant,
        key: SourceKey,
        peers: &mut Peers,
        out: &mut Output,
    ) -> bool {
        let Some(source) = self.sources.get_mut(key.0) else { return true };
        let Source { listeners, transcoder, playouts, speaker, phone: Some(phone), .. } = source
        else {
            return true;
        };
        let whole = phone.is_whole();
        let Some(voice) = &mut phone.voice else { return true };
        let codec = voice.codec;
        let mut needed = whole || phone.processing.detect_tones || codec.law().is_none();
        let (samples, pressed) = voice.tick(now, phone.processing);
        self.keys.extend(pressed.map(|pressed| (key, pressed)));
        if let Some(samples) = samples {
            let sound = &Sound::Samples(&samples);
            if whole {
                for playout in &mut *playouts {
                    playout.insert(now, sound);
                }
            }
            transcoder.begin();
            let mut delivery = Delivery { now, sound, transcoder, shared: None, peers, out };
            for listener in listeners {
                let Some(sink) = self.sinks.get_mut(listener.0) else { continue };
                if whole || !takes(&sink.end, codec, delivery.peers) {
                    needed = true;
                    self.changed_legs.extend(delivery.to(&mut sink.end));
                }
            }
            let level = voice.level.filter(|_| whole || codec.law().is_none());
            if let Some(level) = level {
                self.heard
                    .push((key, speaker.observe(now, level.below_overload, crate::mixer::TICK)));
            }
        }
        let idle = voice.is_idle(needed);
        if idle {
            phone.let_go();
        }
        idle
    }
}

/// Whether a listener takes packets of this codec without their being decoded.
fn takes(end: &SinkEnd, codec: AudioCodec, peers: &Peers) -> bool {
    match end {
        // One that is sent nothing needs nothing.
        SinkEnd::Leg(sender) => sender.format().is_none_or(|format| passes(codec, format.codec)),
        SinkEnd::Peer(section) => {
            let taken = peers.codecs(*section);
            taken.is_empty()
                || AudioCodec::ALL.into_iter().any(|to| taken.contains(to) && passes(codec, to))
        }
    }
}
