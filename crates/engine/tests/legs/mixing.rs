//! Several sources in one sink.

use std::time::Duration;

use switchroom_codecs::g711::Law;
use switchroom_engine::command::Command;
use switchroom_engine::event::{Event, LegEvent};

use crate::world::{
    FRAME, Phone, World, assert_continuous, assert_whole, decode, level_of, tone_packets,
};

/// Three phones, each with a tone of its own, and each hearing the two others.
struct Conference {
    world: World,
    phones: Vec<Phone>,
    tones: Vec<Vec<Vec<u8>>>,
    at: usize,
}

const TONES: [f64; 3] = [400.0, 800.0, 1_600.0];

impl Conference {
    fn new() -> Self {
        let mut world = World::new();
        let phones: Vec<Phone> = [0, 8, 0].into_iter().map(|law| world.call(law)).collect();
        let law = |phone: &Phone| if phone.payload_type == 8 { Law::A } else { Law::Mu };
        let tones = phones
            .iter()
            .zip(TONES)
            .map(|(phone, hz)| tone_packets(law(phone), hz, -20.0))
            .collect();
        for (n, phone) in phones.iter().enumerate() {
            let others: Vec<&Phone> =
                phones.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, p)| p).collect();
            world.hear(phone, &others);
        }
        world.forget();
        Self { world, phones, tones, at: 0 }
    }

    /// Everybody's packets, 5 ms apart, for so many frames; `lose` says which are lost.
    fn talk(&mut self, frames: usize, lose: impl Fn(usize, usize) -> bool) {
        for _ in 0..frames {
            for (n, phone) in self.phones.iter_mut().enumerate() {
                let packet = phone.next(&self.tones[n][self.at % 50]);
                if !lose(n, self.at) {
                    self.world.deliver(phone.key, phone.address, &packet);
                }
                self.world.pass(Duration::from_millis(5));
            }
            self.world.pass(Duration::from_millis(5));
            self.at += 1;
        }
    }
}

#[test]
fn everybody_hears_all_others_at_their_level_and_not_themselves() {
    let mut conference = Conference::new();
    conference.talk(25, |_, _| false);
    conference.world.forget();
    conference.talk(100, |_, _| false);
    for (n, phone) in conference.phones.iter().enumerate() {
        let heard = conference.world.heard(phone);
        assert_whole(&heard, FRAME * 100);
        let samples = decode(&heard);
        for (m, hz) in TONES.into_iter().enumerate() {
            let level = level_of(&samples, hz);
            if n == m {
                assert!(level < -50.0, "phone {n} hears itself at {level}");
            } else {
                assert!((level + 20.0).abs() < 1.0, "phone {n} hears {m} at {level}");
            }
        }
    }
}

#[test]
fn losses_and_reordering_are_hidden_in_a_mix() {
    let mut conference = Conference::new();
    conference.talk(25, |_, _| false);
    conference.world.forget();
    conference.talk(200, |n, at| n == 0 && at % 20 == 7);
    let heard = conference.world.heard(&conference.phones[1]);
    assert_whole(&heard, FRAME * 200);
    let samples = decode(&heard);
    let level = level_of(&samples, TONES[0]);
    assert!((level + 20.0).abs() < 1.0, "{level}");
    for second in samples.chunks(1_600) {
        assert!(level_of(second, TONES[0]) > -23.0, "no hole in it");
    }
}

#[test]
fn going_over_to_a_mix_and_back_leaves_no_hole() {
    let mut world = World::new();
    let (mut a, b, c) = (world.call(0), world.call(0), world.call(0));
    let packets = tone_packets(Law::Mu, 400.0, -20.0);
    let speak = |world: &mut World, a: &mut Phone, frames: usize| {
        for n in 0..frames {
            world.say_payload(a, &packets[n % 50]);
            world.pass(FRAME);
        }
    };
    world.hear(&b, &[&a]);
    speak(&mut world, &mut a, 50);
    world.forget();
    world.hear(&b, &[&a, &c]);
    speak(&mut world, &mut a, 50);
    world.hear(&b, &[&a]);
    speak(&mut world, &mut a, 50);
    let heard = world.heard(&b);
    assert_continuous(&heard);
    let samples = decode(&heard);
    for part in samples.chunks(400) {
        let level = level_of(part, 400.0);
        assert!(level > -26.0, "{level}: 50 ms without the tone");
    }
}

#[test]
fn a_single_source_with_another_gain_is_made_softer() {
    let mut world = World::new();
    let phone = world.call(0);
    let tone = world.play(1_000.0, -20.0, 10.0, true);
    let inputs = vec![(tone.source, 0.5)];
    world.command(Command::SetInputs { sink: phone.ids.sink, inputs });
    world.pass(Duration::from_millis(500));
    world.forget();
    world.pass(Duration::from_secs(1));
    let heard = world.heard(&phone);
    assert_whole(&heard, Duration::from_secs(1));
    let level = level_of(&decode(&heard), 1_000.0);
    assert!((level + 26.0).abs() < 0.5, "{level}");
}

#[test]
fn a_mix_goes_on_when_one_of_its_sources_ends() {
    let mut conference = Conference::new();
    conference.talk(25, |_, _| false);
    let leg = conference.phones[2].ids.leg;
    conference.world.command(Command::CloseLeg { leg });
    conference.phones.pop();
    conference.world.forget();
    conference.talk(50, |_, _| false);
    conference.world.forget();
    conference.talk(50, |_, _| false);
    let heard = conference.world.heard(&conference.phones[0]);
    assert_whole(&heard, FRAME * 50);
    let samples = decode(&heard);
    assert!((level_of(&samples, TONES[1]) + 20.0).abs() < 1.0);
    assert!(level_of(&samples, TONES[2]) < -50.0);
}

#[test]
fn who_leaves_a_mix_is_heard_to_the_last_packet_that_came() {
    for ends in [false, true] {
        let mut world = World::new();
        let (mut a, mut b, hears) = (world.call(0), world.call(0), world.call(0));
        let (low, high) =
            (tone_packets(Law::Mu, 400.0, -20.0), tone_packets(Law::Mu, 1_600.0, -20.0));
        world.hear(&hears, &[&a, &b]);
        // B's packets come by turns late and at once, so that some are held back.
        for n in 0..150 {
            world.say_payload(&mut a, &low[n % 50]);
            if n % 2 == 1 {
                world.say_payload(&mut b, &high[(n - 1) % 50]);
                world.say_payload(&mut b, &high[n % 50]);
            }
            world.pass(FRAME);
        }
        world.forget();
        world.say_payload(&mut a, &low[0]);
        world.say_payload(&mut b, &high[0]);
        world.say_payload(&mut b, &high[1]);
        if ends {
            world.command(Command::CloseLeg { leg: b.ids.leg });
        } else {
            world.hear(&hears, &[&a]);
        }
        for packet in &low[1..50] {
            world.pass(FRAME);
            world.say_payload(&mut a, packet);
        }
        let samples = decode(&world.heard(&hears));
        let loud = |part: &[i16]| level_of(part, 1_600.0) > -30.0;
        assert!(samples.chunks(160).take(2).all(loud), "its last two packets");
        assert!(!samples[1_600..].chunks(160).any(loud), "and no more of it");
        assert_continuous(&world.heard(&hears));
        assert_eq!(world.stats().sources, if ends { 2 } else { 3 });
    }
}

#[test]
fn what_a_mix_has_received_is_sent_before_it_is_said_to_be() {
    let mut conference = Conference::new();
    conference.talk(100, |_, _| false);
    // Of packets that come together all but the first are held.
    let leg = conference.phones[0].ids.leg;
    let world = &mut conference.world;
    let payload = tone_packets(Law::Mu, 800.0, -20.0);
    for packet in &payload[..3] {
        world.say_payload(&mut conference.phones[2], packet);
    }
    world.forget();
    let asked = world.now;
    world.command(Command::PlayOut { leg });
    assert_eq!(world.told(&conference.phones[0]), []);
    world.pass(Duration::from_millis(100));
    assert_eq!(world.told(&conference.phones[0]), [LegEvent::PlayedOut]);
    let told = world.events.iter().find_map(|(at, event)| match event {
        Event::Leg { event: LegEvent::PlayedOut, .. } => Some(world.started + *at - asked),
        _ => None,
    });
    assert!(told.unwrap() <= Duration::from_millis(60), "{told:?}");
}

#[test]
fn what_is_passed_through_is_never_waited_for() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.say(&mut a, 0x55);
    world.forget();
    world.command(Command::PlayOut { leg: b.ids.leg });
    assert_eq!(world.told(&b), [LegEvent::PlayedOut]);
    world.hear(&b, &[]);
    world.command(Command::PlayOut { leg: b.ids.leg });
    assert_eq!(world.told(&b), [LegEvent::PlayedOut, LegEvent::PlayedOut]);
}
