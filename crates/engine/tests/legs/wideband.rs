//! Phones with G.722 and Opus: what they hear, what is heard of them, and changes on the way.

use std::time::Duration;

use switchroom_codecs::g711::Law;
use switchroom_codecs::g722::{G722Decoder, G722Encoder};
use switchroom_codecs::keys::KeyDetector;
use switchroom_codecs::opus::{
    MAX_PACKET, OpusDecoder, OpusEncoder, OpusEncoderConfig, packet_samples,
};
use switchroom_codecs::tone::{Segment, ToneGenerator};
use switchroom_engine::AudioCodec;
use switchroom_engine::command::{Command, LegCodec, LegMedia};
use switchroom_engine::event::Event;

use crate::world::{DIGITS, FRAME, Phone, Sent, World};

const PCMU: (u8, &str, u32) = (0, "PCMU", 8_000);
const G722: (u8, &str, u32) = (9, "G722", 8_000);
const OPUS: (u8, &str, u32) = (96, "opus", 48_000);

fn codec((payload_type, name, clock_rate): (u8, &str, u32)) -> LegCodec {
    LegCodec { payload_type, name: name.to_owned(), clock_rate, parameters: String::new() }
}

fn negotiate(world: &mut World, phone: &mut Phone, codecs: &[(u8, &str, u32)]) {
    let codecs: Vec<LegCodec> = codecs.iter().copied().map(codec).collect();
    phone.payload_type = codecs[0].payload_type;
    let digits =
        LegCodec { payload_type: DIGITS, ..codec((0, "telephone-event", codecs[0].clock_rate)) };
    world.update(phone, |media: &mut LegMedia| {
        media.codecs = codecs;
        media.digits = Some(digits);
    });
}

/// A phone that speaks and hears one codec, and plays a tone.
struct Speaking {
    phone: Phone,
    kind: (u8, &'static str, u32),
    tone: ToneGenerator,
    g722: G722Encoder,
    opus: OpusEncoder,
}

impl Speaking {
    fn call(world: &mut World, kind: (u8, &'static str, u32), hz: f64) -> Self {
        let mut phone = world.open();
        negotiate(world, &mut phone, &[kind]);
        let mut speaking = Self::of(phone, kind, hz);
        for _ in 0..3 {
            speaking.say(world, 160);
        }
        world.forget();
        speaking
    }

    fn of(phone: Phone, kind: (u8, &'static str, u32), hz: f64) -> Self {
        let rate = if kind == PCMU { 8_000 } else { 16_000 };
        let segment = Segment { frequencies: vec![hz], duration: 600.0 };
        let tone = ToneGenerator::new(rate, &[segment], -20.0, false).unwrap();
        let opus = OpusEncoder::new(OpusEncoderConfig::speech(16_000)).unwrap();
        Self { phone, kind, tone, g722: G722Encoder::new(), opus }
    }

    /// The next packet of so many ticks of 8 kHz.
    fn packet(&mut self, ticks: usize) -> Vec<u8> {
        let scale = if self.kind == PCMU { 1 } else { 2 };
        let mut samples = vec![0; ticks * scale];
        self.tone.fill(&mut samples);
        let mut payload = Vec::new();
        match self.kind {
            PCMU => Law::Mu.encode_onto(&samples, &mut payload),
            G722 => self.g722.encode_onto(&samples, &mut payload),
            _ => {
                payload.resize(MAX_PACKET, 0);
                let size = self.opus.encode(&samples, &mut payload).unwrap();
                payload.truncate(size);
            }
        }
        let datagram = self.phone.packet(self.kind.0, &payload);
        self.phone.sequence = self.phone.sequence.wrapping_add(1);
        let clock = self.kind.2 / 8_000;
        self.phone.timestamp = self.phone.timestamp.wrapping_add(ticks as u32 * clock);
        datagram
    }

    fn say(&mut self, world: &mut World, ticks: usize) {
        let datagram = self.packet(ticks);
        world.deliver(self.phone.key, self.phone.address, &datagram);
    }
}

/// The level of one frequency in what a phone heard, in dBov; the beginning is left out.
fn level_of(packets: &[Sent], kind: (u8, &str, u32), hz: f64) -> f64 {
    let (mut samples, mut g722) = (Vec::new(), G722Decoder::new());
    let mut opus = OpusDecoder::new(16_000).unwrap();
    for sent in packets {
        let packet = sent.packet();
        assert_eq!(packet.header.payload_type, kind.0);
        let mut frame = vec![0; 1_920];
        let count = match kind {
            PCMU => {
                Law::Mu.decode(packet.payload, &mut frame);
                packet.payload.len()
            }
            G722 => g722.decode(packet.payload, &mut frame),
            _ => opus.decode(packet.payload, &mut frame).unwrap(),
        };
        samples.extend_from_slice(&frame[..count]);
    }
    let rate = if kind == PCMU { 8_000.0 } else { 16_000.0 };
    let samples = &samples[samples.len() / 4..];
    let step = std::f64::consts::TAU * hz / rate;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let (sin, cos) = (step * at as f64).sin_cos();
        sine += f64::from(*sample) * sin;
        cosine += f64::from(*sample) * cos;
    }
    let amplitude = 2.0 * f64::hypot(sine, cosine) / samples.len() as f64;
    20.0 * (amplitude / 32_768.0).log10() - 3.01
}

/// Numbers without a gap, and times that advance by what the packets hold.
fn assert_continuous(packets: &[Sent], kind: (u8, &str, u32)) {
    for pair in packets.windows(2) {
        let (a, b) = (pair[0].packet(), pair[1].packet());
        assert_eq!(b.header.ssrc, a.header.ssrc);
        assert_eq!(b.header.sequence, a.header.sequence.wrapping_add(1), "{:?}", pair[1].at);
        let ticks = match kind {
            OPUS => packet_samples(a.payload, 48_000).unwrap() as u32,
            _ => a.payload.len() as u32,
        };
        assert_eq!(b.header.timestamp.wrapping_sub(a.header.timestamp), ticks, "{:?}", pair[1].at);
    }
}

fn talk(world: &mut World, frames: usize, phones: &mut [&mut Speaking]) {
    for _ in 0..frames {
        for phone in &mut *phones {
            phone.say(world, 160);
        }
        world.pass(FRAME);
    }
}

#[test]
fn every_pair_of_codecs_hears_each_others_tone_at_its_level() {
    for (one, other) in [(PCMU, G722), (PCMU, OPUS), (G722, OPUS), (G722, G722), (OPUS, OPUS)] {
        let mut world = World::new();
        let mut alice = Speaking::call(&mut world, one, 1_000.0);
        let mut bob = Speaking::call(&mut world, other, 500.0);
        world.hear(&alice.phone, &[&bob.phone]);
        world.hear(&bob.phone, &[&alice.phone]);
        talk(&mut world, 25, &mut [&mut alice, &mut bob]);
        world.forget();
        talk(&mut world, 100, &mut [&mut alice, &mut bob]);
        for (phone, kind, hz) in [(&alice.phone, one, 500.0), (&bob.phone, other, 1_000.0)] {
            let heard = world.heard(phone);
            assert!((99..=101).contains(&heard.len()), "{one:?} {other:?}: {}", heard.len());
            assert_continuous(&heard, kind);
            let level = level_of(&heard, kind, hz);
            assert!((level + 20.0).abs() < 1.5, "{one:?} {other:?} {hz} Hz: {level}");
        }
    }
}

#[test]
fn one_codec_on_both_sides_is_passed_through_octet_by_octet_at_once() {
    for kind in [G722, OPUS] {
        let mut world = World::new();
        let mut alice = Speaking::call(&mut world, kind, 1_000.0);
        let bob = Speaking::call(&mut world, kind, 500.0);
        world.hear(&bob.phone, &[&alice.phone]);
        talk(&mut world, 5, &mut [&mut alice]);
        world.forget();
        let mut said = Vec::new();
        for _ in 0..50 {
            let before = world.now - world.started;
            let datagram = alice.packet(160);
            world.deliver(alice.phone.key, alice.phone.address, &datagram);
            let heard = world.heard(&bob.phone);
            assert_eq!(heard.last().map(|sent| sent.at), Some(before));
            said.push(datagram[12..].to_vec());
            world.pass(FRAME);
        }
        let heard = world.heard(&bob.phone);
        let payloads: Vec<&[u8]> = heard.iter().map(|sent| sent.packet().payload).collect();
        assert_eq!(payloads, said.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

#[test]
fn sound_above_four_kilohertz_gets_from_one_wideband_phone_to_another() {
    for (one, other) in [(G722, OPUS), (OPUS, G722)] {
        let mut world = World::new();
        let mut alice = Speaking::call(&mut world, one, 5_500.0);
        let mut bob = Speaking::call(&mut world, other, 300.0);
        world.hear(&bob.phone, &[&alice.phone]);
        talk(&mut world, 25, &mut [&mut alice, &mut bob]);
        world.forget();
        talk(&mut world, 100, &mut [&mut alice, &mut bob]);
        let level = level_of(&world.heard(&bob.phone), other, 5_500.0);
        assert!((level + 20.0).abs() < 3.0, "{one:?} to {other:?}: {level}");
    }
}

#[test]
fn wideband_phones_hear_mixes_and_are_heard_in_them() {
    let mut world = World::new();
    let mut phones = [
        Speaking::call(&mut world, PCMU, 400.0),
        Speaking::call(&mut world, G722, 800.0),
        Speaking::call(&mut world, OPUS, 1_600.0),
    ];
    for at in 0..3 {
        let others: Vec<&Phone> =
            (0..3).filter(|other| *other != at).map(|other| &phones[other].phone).collect();
        world.hear(&phones[at].phone, &others);
    }
    let [a, b, c] = &mut phones;
    talk(&mut world, 25, &mut [a, b, c]);
    world.forget();
    talk(&mut world, 100, &mut [a, b, c]);
    for (at, kind) in [PCMU, G722, OPUS].into_iter().enumerate() {
        let heard = world.heard(&phones[at].phone);
        assert_continuous(&heard, kind);
        for (other, hz) in [400.0, 800.0, 1_600.0].into_iter().enumerate() {
            let level = level_of(&heard, kind, hz);
            if other == at {
                assert!(level < -45.0, "{kind:?} hears itself: {level}");
            } else {
                assert!((level + 20.0).abs() < 2.0, "{kind:?} {hz} Hz: {level}");
            }
        }
    }
}

#[test]
fn loss_is_concealed_where_sound_is_decoded() {
    for kind in [PCMU, G722, OPUS] {
        let mut world = World::new();
        let mut alice = Speaking::call(&mut world, kind, 500.0);
        let listener = Speaking::call(&mut world, if kind == OPUS { G722 } else { OPUS }, 300.0);
        world.hear(&listener.phone, &[&alice.phone]);
        talk(&mut world, 25, &mut [&mut alice]);
        world.forget();
        for at in 0..200 {
            let datagram = alice.packet(160);
            if at % 20 != 7 {
                world.deliver(alice.phone.key, alice.phone.address, &datagram);
            }
            world.pass(FRAME);
        }
        let heard = world.heard(&listener.phone);
        assert_continuous(&heard, listener.kind);
        assert_eq!(heard.len(), 200);
        let level = level_of(&heard, listener.kind, 500.0);
        assert!((level + 20.0).abs() < 2.5, "{kind:?}: {level}");
        let stats = world.stats();
        assert!((180..=240).contains(&stats.legs[0].concealed_ms), "{:?}", stats.legs[0]);
        assert_eq!(stats.legs[0].received.lost, 10);
    }
}

#[test]
fn jitter_is_evened_out_where_sound_is_decoded_and_kept_where_it_is_passed_through() {
    let mut world = World::new();
    let mut alice = Speaking::call(&mut world, PCMU, 500.0);
    let plain = Speaking::call(&mut world, PCMU, 300.0);
    let wide = Speaking::call(&mut world, G722, 300.0);
    world.hear(&plain.phone, &[&alice.phone]);
    world.hear(&wide.phone, &[&alice.phone]);
    for at in 0..300_u32 {
        // Every third packet is 19 ms late, and comes together with the one after it.
        let late = if at > 20 && at % 3 == 2 { 19 } else { 0 };
        let datagram = alice.packet(160);
        world.pass(Duration::from_millis(late));
        world.deliver(alice.phone.key, alice.phone.address, &datagram);
        world.pass(FRAME - Duration::from_millis(late));
        if at == 100 {
            world.forget();
        }
    }
    let spread = |phone: &Phone| {
        let sent = world.heard(phone);
        let gaps = sent.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis());
        (gaps.clone().min(), gaps.max())
    };
    assert_eq!(spread(&plain.phone), (Some(1), Some(39)));
    assert_eq!(spread(&wide.phone), (Some(20), Some(20)));
    assert_eq!(world.stats().legs[0].concealed_ms, 0);
}

#[test]
fn a_change_of_codec_by_either_side_is_no_break_in_the_stream() {
    let mut world = World::new();
    let mut alice = Speaking::call(&mut world, PCMU, 1_000.0);
    let mut bob = Speaking::call(&mut world, PCMU, 500.0);
    world.hear(&alice.phone, &[&bob.phone]);
    talk(&mut world, 25, &mut [&mut alice, &mut bob]);
    for kind in [OPUS, G722, PCMU] {
        world.forget();
        negotiate(&mut world, &mut alice.phone, &[kind, PCMU, G722, OPUS]);
        alice = Speaking::of(alice.phone, kind, 1_000.0);
        talk(&mut world, 100, &mut [&mut alice, &mut bob]);
        let heard = world.heard(&alice.phone);
        assert_continuous(&heard, kind);
        assert!((99..=101).contains(&heard.len()), "{kind:?}: {}", heard.len());
        let level = level_of(&heard, kind, 500.0);
        assert!((level + 20.0).abs() < 1.5, "{kind:?}: {level}");
    }
    // And one that the phone makes on its own, among what was negotiated.
    world.hear(&bob.phone, &[&alice.phone]);
    for kind in [G722, OPUS, PCMU] {
        alice = Speaking::of(alice.phone, kind, 1_000.0);
        talk(&mut world, 25, &mut [&mut alice, &mut bob]);
        world.forget();
        talk(&mut world, 50, &mut [&mut alice, &mut bob]);
        let heard = world.heard(&bob.phone);
        assert_continuous(&heard, PCMU);
        let level = level_of(&heard, PCMU, 1_000.0);
        assert!((level + 20.0).abs() < 1.5, "{kind:?}: {level}");
        assert_eq!(world.stats().legs[0].codec_in, AudioCodec::from_name(kind.1));
    }
}

#[test]
fn packets_of_every_length_are_understood() {
    for kind in [PCMU, G722, OPUS] {
        for ticks in [80, 160, 240, 320, 480] {
            if kind == OPUS && ticks == 240 {
                continue; // Opus has no packets of 30 ms
            }
            let mut world = World::new();
            let mut alice = Speaking::call(&mut world, kind, 500.0);
            let listener =
                Speaking::call(&mut world, if kind == G722 { OPUS } else { G722 }, 300.0);
            world.hear(&listener.phone, &[&alice.phone]);
            let length = Duration::from_micros(ticks as u64 * 125);
            for at in 0..100 {
                alice.say(&mut world, ticks);
                world.pass(length);
                if at == 30 {
                    world.forget();
                }
            }
            let heard = world.heard(&listener.phone);
            assert_continuous(&heard, listener.kind);
            let level = level_of(&heard, listener.kind, 500.0);
            assert!((level + 20.0).abs() < 1.5, "{kind:?} {ticks}: {level}");
        }
    }
}

#[test]
fn a_wideband_phone_hears_silence_when_nobody_speaks_and_a_voice_fades_out() {
    for kind in [G722, OPUS] {
        let mut world = World::new();
        let listener = Speaking::call(&mut world, kind, 300.0);
        let mut alice = Speaking::call(&mut world, PCMU, 500.0);
        world.pass(Duration::from_secs(1));
        let heard = world.heard(&listener.phone);
        assert_continuous(&heard, kind);
        assert!((48..=51).contains(&heard.len()), "{kind:?}: {}", heard.len());
        world.hear(&listener.phone, &[&alice.phone]);
        talk(&mut world, 20, &mut [&mut alice]);
        world.forget();
        world.pass(Duration::from_secs(1));
        let heard = world.heard(&listener.phone);
        assert_continuous(&heard, kind);
        assert!((47..=51).contains(&heard.len()), "{kind:?}: {}", heard.len());
        assert!(level_of(&heard[20..], kind, 500.0) < -60.0);
    }
}

#[test]
fn keys_are_pressed_on_the_clock_of_opus_and_understood_on_every_clock() {
    let mut world = World::new();
    let mut alice = Speaking::call(&mut world, OPUS, 500.0);
    world.command(Command::SendDigits { leg: alice.phone.ids.leg, digits: "5".to_owned() });
    world.pass(Duration::from_millis(600));
    let events: Vec<Sent> = world
        .heard(&alice.phone)
        .into_iter()
        .filter(|sent| sent.header().payload_type == DIGITS)
        .collect();
    let last = events.last().unwrap().packet().payload.to_vec();
    assert_eq!((last[0], last[1] & 0x80), (5, 0x80));
    assert_eq!(u16::from_be_bytes([last[2], last[3]]), 12_000); // 250 ms of 48 kHz
    // Both clocks were negotiated, and the phone uses the other one.
    world.update(&alice.phone, |media| {
        media.codecs = vec![codec(OPUS), codec((102, "telephone-event", 8_000))];
        media.digits = Some(codec((DIGITS, "telephone-event", 48_000)));
    });
    world.forget();
    for (payload_type, duration) in [(102, 800_u16), (DIGITS, 4_800)] {
        let [high, low] = duration.to_be_bytes();
        let event = alice.phone.packet(payload_type, &[7, 0x8A, high, low]);
        world.deliver(alice.phone.key, alice.phone.address, &event);
        alice.phone.sequence += 1;
        alice.phone.timestamp += 48_000;
        world.pass(FRAME);
    }
    let told = world.told(&alice.phone);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1]);
}

#[test]
fn who_speaks_on_a_wideband_phone_is_told() {
    for kind in [G722, OPUS] {
        let mut world = World::new();
        let mut alice = Speaking::call(&mut world, kind, 500.0);
        talk(&mut world, 50, &mut [&mut alice]);
        let speaks = |event: &Event| matches!(event, Event::Level { active: true, .. });
        assert!(world.events.iter().any(|(_, event)| speaks(event)), "{kind:?}");
        world.forget();
        world.pass(Duration::from_secs(2));
        let ends = |event: &Event| matches!(event, Event::Level { active: false, .. });
        assert!(world.events.iter().any(|(_, event)| ends(event)), "{kind:?}");
    }
}

#[test]
fn a_player_of_16_kilohertz_is_wide_to_those_who_hear_wide() {
    for kind in [PCMU, G722, OPUS] {
        let mut world = World::new();
        let listener = Speaking::call(&mut world, kind, 300.0);
        let hz = if kind == PCMU { 1_000.0 } else { 5_500.0 };
        let player = world.play_wide(hz, -20.0);
        world.command(Command::SetInputs {
            sink: listener.phone.ids.sink,
            inputs: vec![(player.source, 1.0)],
        });
        world.pass(Duration::from_millis(500));
        world.forget();
        world.pass(Duration::from_secs(1));
        let heard = world.heard(&listener.phone);
        assert_continuous(&heard, kind);
        let level = level_of(&heard, kind, hz);
        assert!((level + 20.0).abs() < 2.5, "{kind:?}: {level}");
    }
}

#[test]
fn a_phone_gets_packets_of_the_length_that_it_asks_for() {
    for kind in [PCMU, G722] {
        for ptime_ms in [10, 20, 30, 40, 60] {
            let mut world = World::new();
            let mut alice = Speaking::call(&mut world, kind, 500.0);
            let mut bob = Speaking::call(&mut world, PCMU, 1_000.0);
            world.update(&alice.phone, |media| {
                media.codecs = vec![codec(kind)];
                media.ptime_ms = ptime_ms;
            });
            world.hear(&alice.phone, &[&bob.phone]);
            talk(&mut world, 25, &mut [&mut alice, &mut bob]);
            world.forget();
            talk(&mut world, 60, &mut [&mut alice, &mut bob]);
            let heard = world.heard(&alice.phone);
            assert_continuous(&heard, kind);
            let size = ptime_ms as usize * 8;
            assert!(heard.iter().all(|sent| sent.packet().payload.len() == size));
            assert!(heard.len().abs_diff(1_200 / ptime_ms as usize) <= 1, "{}", heard.len());
            let level = level_of(&heard, kind, 1_000.0);
            assert!((level + 20.0).abs() < 1.5, "{kind:?} {ptime_ms} ms: {level}");
        }
    }
}

#[test]
fn jitter_of_60_ms_loses_nothing_where_sound_is_decoded() {
    let mut world = World::new();
    let mut alice = Speaking::call(&mut world, PCMU, 500.0);
    let wide = Speaking::call(&mut world, G722, 300.0);
    world.hear(&wide.phone, &[&alice.phone]);
    let mut random = switchroom_netem::Random::new(60);
    let mut under_way: Vec<(Duration, Vec<u8>)> = Vec::new();
    for at in 0..800_u32 {
        let jitter = Duration::from_millis(random.below(61));
        under_way.push((FRAME * at + jitter, alice.packet(160)));
        for step in 0..20 {
            let now = FRAME * at + Duration::from_millis(step);
            let arrived = |(due, _): &mut (Duration, Vec<u8>)| *due <= now;
            for (_, datagram) in under_way.extract_if(.., arrived) {
                world.deliver(alice.phone.key, alice.phone.address, &datagram);
            }
            world.pass(Duration::from_millis(1));
        }
        if at == 300 {
            world.forget();
        }
    }
    let before = world.stats().legs[0].concealed_ms;
    assert!(before < 400, "{before} ms of 16 s were made up"); // while the jitter became known
    let level = level_of(&world.heard(&wide.phone), G722, 500.0);
    assert!((level + 20.0).abs() < 1.0, "{level}");
}

#[test]
fn a_wideband_phone_without_events_hears_keys_as_tones() {
    let mut world = World::new();
    let alice = Speaking::call(&mut world, G722, 500.0);
    world.update(&alice.phone, |media| {
        media.codecs = vec![codec(G722)];
        media.digits = None;
    });
    world.forget();
    world.command(Command::SendDigits { leg: alice.phone.ids.leg, digits: "4#".to_owned() });
    world.pass(Duration::from_millis(1_200));
    let heard = world.heard(&alice.phone);
    assert_continuous(&heard, G722);
    let (mut decoder, mut detector) = (G722Decoder::new(), KeyDetector::new(16_000));
    let mut keys = String::new();
    for sent in &heard {
        let mut samples = [0; 320];
        decoder.decode(sent.packet().payload, &mut samples);
        keys.extend(detector.hear(&samples).map(|key| key.digit));
    }
    assert_eq!(keys, "4#");
}
