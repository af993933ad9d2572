use super::*;
use switchroom_codecs::g722::G722Encoder;
use switchroom_codecs::level;
use switchroom_codecs::opus::{MAX_PACKET, OpusDecoder, OpusEncoder, OpusEncoderConfig};
use switchroom_codecs::tone::{Segment, ToneGenerator};

const HZ: f64 = 500.0;

fn tone() -> ToneGenerator {
    let segment = Segment { frequencies: vec![HZ], duration: 600.0 };
    ToneGenerator::new(8_000, &[segment], -20.0, false).unwrap()
}

/// A source's packets, one after another.
struct Packets {
    codec: AudioCodec,
    tone: ToneGenerator,
    encoder: OpusEncoder,
    sequence: u64,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Packets {
    fn new(codec: AudioCodec) -> Self {
        let encoder = OpusEncoder::new(OpusEncoderConfig::speech(8_000)).unwrap();
        // Close to the wrap of the timestamp.
        let (sequence, timestamp) = (70_000, u32::MAX - 20_000);
        Self { codec, tone: tone(), encoder, sequence, timestamp, payload: Vec::new() }
    }

    fn next(&mut self, samples: usize) -> Frame<'_> {
        let mut pcm = vec![0; samples];
        self.tone.fill(&mut pcm);
        self.payload.clear();
        if let Some(law) = self.codec.law() {
            law.encode_onto(&pcm, &mut self.payload);
        } else {
            let mut packet = [0; MAX_PACKET];
            let size = self.encoder.encode(&pcm, &mut packet).unwrap();
            self.payload.extend_from_slice(&packet[..size]);
        }
        let (sequence, timestamp) = (self.sequence, self.timestamp);
        self.sequence += 1;
        let ticks = samples as u32 * (self.codec.clock_rate() / 8_000);
        self.timestamp = timestamp.wrapping_add(ticks);
        Frame {
            stream: 3,
            codec: self.codec,
            sequence,
            timestamp,
            marker: false,
            pause: false,
            keep: false,
            level: None,
            payload: &self.payload,
            shared: None,
        }
    }
}

#[derive(Debug)]
struct Heard {
    sequence: u64,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

fn take(transcoder: &mut Transcoder, frame: &Frame<'_>, codec: AudioCodec) -> Vec<Heard> {
    transcoder.begin();
    let form = transcoder.form(&Sound::Packet(frame), codec);
    form.packets(codec, None)
        .map(|(frame, _)| Heard {
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            marker: frame.marker,
            payload: frame.payload.to_vec(),
        })
        .collect()
}

fn assert_continuous(heard: &[Heard], ticks: u32) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), ticks);
    }
}

/// Levels (dB below overload) of 20 ms frames of G.711, the first ones left out.
fn levels(heard: &[Heard], law: Law) -> Vec<u8> {
    heard.iter().skip(10).map(|packet| level::of_g711(law, &packet.payload)).collect()
}

#[test]
fn opus_of_every_packet_length_becomes_g711_of_20_ms_at_its_level() {
    for samples in [20, 80, 160, 320, 480] {
        let mut packets = Packets::new(AudioCodec::Opus);
        let mut transcoder = Transcoder::default();
        let mut heard = Vec::new();
        for _ in 0..9_600 / samples {
            let frame = packets.next(samples);
            heard.append(&mut take(&mut transcoder, &frame, AudioCodec::Pcma));
        }
        assert_eq!(heard.len(), 60, "{samples}");
        assert_continuous(&heard, 160);
        assert!(heard[0].marker && !heard[1].marker);
        assert!(heard.iter().all(|packet| packet.payload.len() == 160));
        let levels = levels(&heard, Law::A);
        // At 2.5 ms Opus itself has few bits left for a tone.
        let expected = if samples == 20 { 19..=26 } else { 19..=21 };
        assert!(levels.iter().all(|level| expected.contains(level)), "{samples}: {levels:?}");
    }
}

#[test]
fn lost_opus_is_concealed_and_the_stream_stays_whole() {
    let mut packets = Packets::new(AudioCodec::Opus);
    let mut transcoder = Transcoder::default();
    let mut heard = Vec::new();
    for n in 0..200 {
        let frame = packets.next(160);
        if n % 20 != 7 && n % 50 != 30 && n % 50 != 31 {
            heard.append(&mut take(&mut transcoder, &frame, AudioCodec::Pcmu));
        }
    }
    assert_eq!(heard.len(), 200);
    assert_continuous(&heard, 160);
    let levels = levels(&heard, Law::Mu);
    // A pure tone is the hardest for Opus to find back to; but there is never a hole.
    assert!(levels.iter().all(|level| (13..=36).contains(level)), "{levels:?}");
}

#[test]
fn a_pause_of_opus_is_a_gap_in_time_and_not_in_number() {
    let mut packets = Packets::new(AudioCodec::Opus);
    let mut transcoder = Transcoder::default();
    let first = take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
    packets.timestamp = packets.timestamp.wrapping_add(19 * 960); // DTX
    let second = take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
    assert_eq!(second[0].sequence, first[0].sequence + 1);
    assert_eq!(second[0].timestamp.wrapping_sub(first[0].timestamp), 20 * 160);
    assert!(second[0].marker);
}

#[test]
fn opus_that_was_overtaken_or_damaged_does_no_harm() {
    let mut packets = Packets::new(AudioCodec::Opus);
    let mut transcoder = Transcoder::default();
    let late = packets.next(160);
    let (late, payload) = ((late.sequence, late.timestamp), late.payload.to_vec());
    for _ in 0..5 {
        take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
    }
    let again =
        Frame { sequence: late.0, timestamp: late.1, payload: &payload, ..packets.next(160) };
    assert!(take(&mut transcoder, &again, AudioCodec::Pcmu).is_empty());
    for damaged in [&[][..], &[0xFF], &[0x03, 0xFF], &[0x0B; 400]] {
        let frame = Frame { payload: damaged, ..packets.next(160) };
        take(&mut transcoder, &frame, AudioCodec::Pcmu);
    }
    let heard = take(&mut transcoder, &packets.next(160), AudioCodec::Pcmu);
    assert_eq!(heard.last().map(|packet| packet.payload.len()), Some(160));
}

#[test]
fn g711_of_every_packet_length_becomes_opus_of_20_ms() {
    for samples in [80, 160, 240, 480] {
        let mut packets = Packets::new(AudioCodec::Pcmu);
        let mut transcoder = Transcoder::default();
        let mut heard = Vec::new();
        for _ in 0..9_600 / samples {
            let frame = packets.next(samples);
            heard.append(&mut take(&mut transcoder, &frame, AudioCodec::Opus));
        }
        assert_eq!(heard.len(), 60, "{samples}");
        assert_continuous(&heard, 960);
        let mut decoder = OpusDecoder::new(8_000).unwrap();
        for (n, packet) in heard.iter().enumerate() {
            let mut pcm = [0; 960];
            assert_eq!(decoder.decode(&packet.payload, &mut pcm), Ok(160));
            let level = level::of_samples(&pcm[..160]);
            assert!(n < 10 || (18..=22).contains(&level), "{samples}: {level}");
        }
    }
}

#[test]
fn lost_g711_is_a_gap_in_the_opus_made_of_it() {
    let mut packets = Packets::new(AudioCodec::Pcma);
    let mut transcoder = Transcoder::default();
    let before = take(&mut transcoder, &packets.next(160), AudioCodec::Opus);
    packets.next(160);
    packets.next(160);
    let after = take(&mut transcoder, &packets.next(160), AudioCodec::Opus);
    assert_eq!(after[0].sequence, before[0].sequence + 3);
    assert_eq!(after[0].timestamp.wrapping_sub(before[0].timestamp), 3 * 960);
}

#[test]
fn each_form_is_made_once_for_all_who_take_it() {
    let mut packets = Packets::new(AudioCodec::Pcmu);
    let mut transcoder = Transcoder::default();
    let frame = packets.next(160);
    let sound = Sound::Packet(&frame);
    transcoder.begin();
    let shared = |transcoder: &mut Transcoder| {
        let form = transcoder.form(&sound, AudioCodec::Opus);
        let (frame, shared) = form.packets(AudioCodec::Opus, None).next().unwrap();
        Arc::clone(shared.get_or_insert_with(|| Arc::from(frame.payload)))
    };
    let (one, other) = (shared(&mut transcoder), shared(&mut transcoder));
    assert!(Arc::ptr_eq(&one, &other));
}

#[test]
fn g722_becomes_opus_and_g711_and_its_packets_are_not_made_here() {
    let mut encoder = G722Encoder::new();
    let segment = Segment { frequencies: vec![HZ], duration: 600.0 };
    let mut tone = ToneGenerator::new(16_000, &[segment], -20.0, false).unwrap();
    let mut transcoder = Transcoder::default();
    let (mut opus, mut alaw) = (Vec::new(), Vec::new());
    let mut other = Packets::new(AudioCodec::Pcmu);
    for sequence in 0..60_u64 {
        let mut pcm = [0; 320];
        tone.fill(&mut pcm);
        let mut payload = Vec::new();
        encoder.encode_onto(&pcm, &mut payload);
        let frame = Frame {
            codec: AudioCodec::G722,
            sequence,
            timestamp: sequence as u32 * 160,
            payload: &payload,
            ..other.next(0)
        };
        opus.append(&mut take(&mut transcoder, &frame, AudioCodec::Opus));
        alaw.append(&mut take(&mut transcoder, &frame, AudioCodec::Pcma));
        assert!(take(&mut transcoder, &frame, AudioCodec::G722).is_empty());
    }
    assert_continuous(&alaw, 160);
    assert!(levels(&alaw, Law::A).iter().all(|level| (19..=21).contains(level)));
    assert_continuous(&opus, 960);
    let mut decoder = OpusDecoder::new(16_000).unwrap();
    let mut pcm = [0; 320];
    for packet in &opus {
        assert_eq!(decoder.decode(&packet.payload, &mut pcm), Ok(320));
    }
    assert!((18..=22).contains(&level::of_samples(&pcm)));
}

#[test]
fn samples_of_every_rate_become_what_is_asked_for() {
    for rate in [8_000, 16_000] {
        let segment = Segment { frequencies: vec![HZ], duration: 600.0 };
        let mut tone = ToneGenerator::new(rate, &[segment], -20.0, false).unwrap();
        let mut transcoder = Transcoder::default();
        let mut frame = vec![0; (rate / 50) as usize];
        for sequence in 0..50_u64 {
            tone.fill(&mut frame);
            let timestamp = (sequence as u32 * 160).wrapping_sub(4_000);
            let (stream, marker, pause) = (9, sequence == 0, false);
            let samples =
                Samples { stream, sequence, timestamp, rate, marker, pause, frame: &frame };
            transcoder.begin();
            for wanted in RATES {
                let linear = transcoder.linear(&Sound::Samples(&samples), wanted);
                assert_eq!(linear.frames.len(), 1);
                assert_eq!(linear.frames[0].timestamp, timestamp);
                assert_eq!(linear.samples.len(), (wanted / 50) as usize);
                let level = level::of_samples(&linear.samples);
                assert!(sequence < 2 || (19..=21).contains(&level), "{rate} {wanted} {level}");
            }
        }
    }
}
