//! What is done to a phone's sound: comfort noise, noise suppression, keys by their tones.

use std::time::Duration;

use switchroom_codecs::g711::Law;
use switchroom_codecs::level;
use switchroom_codecs::tone::{Segment, ToneGenerator};
use switchroom_engine::command::Command;
use switchroom_engine::event::LegEvent;

use crate::world::{
    DIGITS, FRAME, Phone, World, assert_continuous, assert_whole, decode, tone_packets,
};

const COMFORT_NOISE: u8 = 13;

fn process(world: &mut World, phone: &Phone, denoise: bool, detect_tones: bool) {
    world.command(Command::SetProcessing { leg: phone.ids.leg, denoise, detect_tones });
}

/// Frames of white noise (±`amplitude`), the same each time.
fn noise(amplitude: i32, frames: usize) -> Vec<Vec<u8>> {
    let mut random = 1_u32;
    let mut sample = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((random >> 16).cast_signed() % (2 * amplitude) - amplitude) as i16
    };
    let mut frame = || {
        let samples: Vec<i16> = (0..160).map(|_| sample()).collect();
        let mut octets = Vec::new();
        Law::Mu.encode_onto(&samples, &mut octets);
        octets
    };
    (0..frames).map(|_| frame()).collect()
}

fn levels(samples: &[i16]) -> Vec<u8> {
    samples.chunks(160).map(level::of_samples).collect()
}

#[test]
fn the_silence_of_a_phone_sounds_as_the_phone_says_until_it_speaks_again() {
    let mut world = World::new();
    let (mut alice, bob) = (world.call(0), world.call(0));
    world.hear(&bob, &[&alice]);
    let tone = tone_packets(Law::Mu, 500.0, -20.0);
    for _ in 0..2 {
        for payload in &tone {
            world.say_payload(&mut alice, payload);
            world.pass(FRAME);
        }
        let silence = alice.packet(COMFORT_NOISE, &[50]);
        world.deliver(alice.key, alice.address, &silence);
        alice.sequence = alice.sequence.wrapping_add(1);
        alice.timestamp = alice.timestamp.wrapping_add(160 * 100);
        world.pass(FRAME * 100);
    }
    let heard = world.heard(&bob);
    assert_whole(&heard, FRAME * 300);
    let levels = levels(&decode(&heard));
    let (words, pauses) = (&levels[160..195], &levels[65..140]);
    assert!(words.iter().all(|level| level.abs_diff(20) <= 2), "{words:?}");
    assert!(pauses.iter().all(|level| level.abs_diff(50) <= 4), "{pauses:?}");
    // The words of the second time are whole: fifty packets of them, one or two blended at the ends.
    let loud = levels[145..].iter().filter(|level| **level < 24).count();
    assert!((49..=51).contains(&loud), "{loud} {:?}", &levels[145..210]);
}

#[test]
fn comfort_noise_ends_with_the_negotiation_and_with_the_leg() {
    let mut world = World::new();
    let (mut alice, bob) = (world.call(0), world.call(0));
    world.hear(&bob, &[&alice]);
    let silence = alice.packet(COMFORT_NOISE, &[40]);
    world.deliver(alice.key, alice.address, &silence);
    alice.skip(1);
    world.pass(FRAME * 10);
    world.update(&alice, |media| {
        media.direction = switchroom_engine::command::Direction::SendOnly;
    });
    world.pass(FRAME * 20);
    world.forget();
    world.pass(FRAME * 20);
    assert!(levels(&decode(&world.heard(&bob))).iter().all(|level| *level > 70));
    world.update(&alice, |_| {});
    let silence = alice.packet(COMFORT_NOISE, &[40]);
    world.deliver(alice.key, alice.address, &silence);
    world.pass(FRAME * 10);
    world.command(Command::CloseLeg { leg: alice.ids.leg });
    world.pass(FRAME * 20);
    world.forget();
    world.pass(FRAME * 20);
    assert!(levels(&decode(&world.heard(&bob))).iter().all(|level| *level > 70));
    assert_eq!(world.stats().sources, 1);
}

#[test]
fn noise_is_taken_away_only_where_that_is_asked_for() {
    let mut world = World::new();
    let (mut alice, bob, mixed) = (world.call(0), world.call(0), world.call(8));
    let tone = world.play(700.0, -60.0, 600.0, true);
    world.hear(&bob, &[&alice]);
    world.command(Command::SetInputs {
        sink: mixed.ids.sink,
        inputs: vec![(alice.ids.source, 1.0), (tone.source, 1.0)],
    });
    let frames = noise(400, 200);
    let hear = |world: &mut World, alice: &mut Phone, phone: &Phone| {
        world.forget();
        for payload in &frames {
            world.say_payload(alice, payload);
            world.pass(FRAME);
        }
        let heard = world.heard(phone);
        assert_continuous(&heard);
        f64::from(level::of_samples(&decode(&heard)[16_000..]))
    };
    let plain = hear(&mut world, &mut alice, &bob);
    process(&mut world, &alice, true, false);
    let denoised = hear(&mut world, &mut alice, &bob);
    assert!(denoised - plain >= 10.0, "{plain} {denoised}");
    let in_a_mix = hear(&mut world, &mut alice, &mixed);
    assert!(in_a_mix - plain >= 10.0, "{plain} {in_a_mix}");
    process(&mut world, &alice, false, false);
    assert!((hear(&mut world, &mut alice, &bob) - plain).abs() < 1.0);
    // And passed through again, octet by octet.
    let payloads: Vec<Vec<u8>> =
        world.heard(&bob).iter().map(|sent| sent.packet().payload.to_vec()).collect();
    assert!(payloads.ends_with(&frames[150..]));
}

fn keys(pressed: &[(f64, f64)]) -> Vec<Vec<u8>> {
    let segment = |frequencies: Vec<f64>| Segment { frequencies, duration: 0.1 };
    let segments: Vec<Segment> = pressed
        .iter()
        .flat_map(|(row, column)| [segment(vec![*row, *column]), segment(Vec::new())])
        .collect();
    let mut tone = ToneGenerator::new(8_000, &segments, -16.0, false).unwrap();
    let frame = |_| {
        let mut samples = [0; 160];
        tone.fill(&mut samples);
        let mut octets = Vec::new();
        Law::Mu.encode_onto(&samples, &mut octets);
        octets
    };
    (0..pressed.len() * 10 + 10).map(frame).collect()
}

#[test]
fn keys_are_told_by_their_tones_where_that_is_asked_for() {
    for asked in [true, false] {
        let mut world = World::new();
        let mut alice = world.call(0);
        process(&mut world, &alice, false, asked);
        for payload in keys(&[(697.0, 1_209.0), (770.0, 1_336.0), (941.0, 1_477.0)]) {
            world.say_payload(&mut alice, &payload);
            world.pass(FRAME);
        }
        let digits: String = world
            .told(&alice)
            .iter()
            .filter_map(|event| match event {
                LegEvent::DigitReceived { digit, .. } => Some(*digit),
                _ => None,
            })
            .collect();
        assert_eq!(digits, if asked { "15#" } else { "" });
    }
}

#[test]
fn a_phone_that_sends_events_beside_its_tones_presses_each_key_once() {
    let mut world = World::new();
    let mut alice = world.call(0);
    process(&mut world, &alice, false, true);
    let event = alice.packet(DIGITS, &[1, 0x8A, 3, 0x20]);
    world.deliver(alice.key, alice.address, &event);
    alice.skip(1);
    for payload in keys(&[(697.0, 1_209.0)]) {
        world.say_payload(&mut alice, &payload);
        world.pass(FRAME);
    }
    let digit = |event: &&LegEvent| matches!(event, LegEvent::DigitReceived { .. });
    assert_eq!(world.told(&alice).iter().filter(digit).count(), 1);
}

#[test]
fn what_decodes_a_phone_is_let_go_when_nobody_needs_it() {
    let mut world = World::new();
    let (mut alice, bob) = (world.call(0), world.call(0));
    world.hear(&bob, &[&alice]);
    process(&mut world, &alice, true, true);
    world.talk(20, &mut [(&mut alice, 0x31)]);
    assert!(world.stats().legs[0].buffer_delay.is_some());
    process(&mut world, &alice, false, false);
    world.talk(150, &mut [(&mut alice, 0x31)]);
    assert_eq!(world.stats().legs[0].buffer_delay, None);
    // Nothing ticks any more but what the two legs need.
    world.pass(Duration::from_secs(20));
    assert_whole(&world.heard(&bob)[50..170], FRAME * 120);
}

#[test]
fn any_sound_of_any_phone_does_no_harm_to_what_is_decoded() {
    let mut world = World::new();
    let (alice, bob) = (world.call(0), world.call(8));
    world.hear(&bob, &[&alice]);
    process(&mut world, &alice, true, true);
    let mut random = switchroom_netem::Random::new(22);
    let mut phone = alice.clone();
    for _ in 0..5_000 {
        let mut payload = vec![0; random.below(400) as usize];
        random.fill(&mut payload);
        phone.sequence = phone.sequence.wrapping_add(random.below(5) as u16);
        phone.timestamp = phone.timestamp.wrapping_add(random.below(2_000) as u32);
        let payload_type = [0, 8, COMFORT_NOISE, 101, 77][random.below(5) as usize];
        let datagram = phone.packet(payload_type, &payload);
        world.deliver(phone.key, phone.address, &datagram);
        world.pass(Duration::from_millis(random.below(30)));
        world.forget();
    }
    world.pass(Duration::from_secs(1));
    assert_eq!((world.stats().sources, world.stats().sinks), (2, 2));
}
