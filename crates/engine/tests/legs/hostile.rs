//! Anything may arrive at a port.

use std::time::Duration;

use switchroom_engine::LegPort;
use switchroom_engine::command::Command;

use crate::world::{DIGITS, FRAME, World, assert_continuous, assert_whole};

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn garbage_changes_nothing_and_is_never_answered() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.forget();
    let begun = world.now;
    let mut noise = Noise(42);
    for _ in 0..500 {
        world.say(&mut a, 0x10);
        for _ in 0..20 {
            let size = noise.next() as usize % 200;
            let datagram: Vec<u8> = (0..size).map(|_| noise.next() as u8).collect();
            let from = if noise.next().is_multiple_of(2) { a.address } else { b.address };
            world.deliver(a.key, from, &datagram);
            world.deliver_rtcp(&a, LegPort::Rtcp, &datagram);
        }
        world.pass(FRAME);
    }
    // RTP to the two phones, and their reports, and nothing else.
    assert!(
        world.sent.iter().all(|sent| { [a.address.ip(), b.address.ip()].contains(&sent.to.ip()) })
    );
    let heard = world.heard(&b);
    assert!(heard.len() <= (world.now - begun).as_millis() as usize / 20 + 60);
    assert!(world.stats().legs[0].received.malformed > 1_000);
}

#[test]
fn an_empty_packet_or_one_of_an_unknown_type_is_no_sound() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.forget();
    let begun = world.now;
    for payload_type in [0, 13, 18, 96, 127, DIGITS] {
        world.deliver(a.key, a.address, &a.packet(payload_type, &[]));
        world.deliver(a.key, a.address, &a.packet(payload_type.max(1), &[1; 2]));
        a.skip(1);
        world.pass(FRAME);
    }
    assert_whole(&world.heard(&b), world.now - begun - FRAME);
}

#[test]
fn commands_about_what_is_gone_or_never_was_do_nothing() {
    let mut world = World::new();
    let phone = world.call(0);
    for (leg, sink) in [(phone.ids.source, phone.ids.leg), (999, 999)] {
        world.command(Command::CloseLeg { leg });
        world.command(Command::SendDigits { leg, digits: "1".to_owned() });
        world.command(Command::SetInputs { sink, inputs: vec![(leg, 1.0), (12_345, 0.5)] });
        world.command(Command::StopPlayer { player: leg });
    }
    assert_eq!(world.stats().legs.len(), 1);
    world.command(Command::CloseLeg { leg: phone.ids.leg });
    world.command(Command::CloseLeg { leg: phone.ids.leg });
    assert_eq!(world.closed, [phone.key]);
    world.deliver(phone.key, phone.address, &phone.packet(0, &[1; 160]));
    world.pass(Duration::from_secs(20));
}

#[test]
fn what_is_closed_leaves_nothing_behind() {
    let mut world = World::new();
    let tone = world.play(400.0, -20.0, 1.0, true);
    for _ in 0..20 {
        let (mut a, mut b) = (world.call(0), world.call(8));
        let c = world.call(0);
        world.hear(&a, &[&b]);
        world.hear(&b, &[&a, &c]);
        let inputs = vec![(a.ids.source, 1.0), (b.ids.source, 0.5), (tone.source, 0.1)];
        world.command(Command::SetInputs { sink: c.ids.sink, inputs });
        world.talk(10, &mut [(&mut a, 0x10), (&mut b, 0x20)]);
        for phone in [&b, &a, &c] {
            world.command(Command::CloseLeg { leg: phone.ids.leg });
        }
    }
    world.command(Command::StopPlayer { player: tone.player });
    let stats = world.stats();
    assert_eq!((stats.legs.len(), stats.sources, stats.sinks, stats.players), (0, 0, 0, 0));
    assert_eq!(world.closed.len(), 60);
    world.pass(Duration::from_secs(10));
    world.forget();
    world.pass(Duration::from_secs(60));
    assert!(world.sent.is_empty());
    assert_eq!(world.engine.next_deadline(), None);
}

#[test]
fn a_phone_that_sends_ten_times_faster_than_time_is_heard_at_the_pace_of_time() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(8));
    world.hear(&b, &[&a]);
    world.command(Command::SetProcessing { leg: a.ids.leg, denoise: true, detect_tones: true });
    world.forget();
    for _ in 0..250 {
        for _ in 0..10 {
            world.say(&mut a, 0x31);
        }
        world.pass(FRAME);
    }
    let heard = world.heard(&b);
    assert_continuous(&heard);
    assert!(heard.len().abs_diff(250) <= 5, "{}", heard.len());
    // And is understood at once when it comes to its senses.
    world.forget();
    world.talk(100, &mut [(&mut a, 0x31)]);
    assert_whole(&world.heard(&b), FRAME * 100);
    assert!(world.stats().legs[0].buffer_delay.unwrap() <= Duration::from_millis(100));
}

#[test]
fn timestamps_that_jump_with_every_packet_do_not_stop_the_stream_of_the_listener() {
    let mut world = World::new();
    let (mut a, b, c) = (world.call(0), world.call(8), world.call(0));
    world.hear(&b, &[&a]);
    world.hear(&c, &[&a]);
    world.command(Command::SetProcessing { leg: a.ids.leg, denoise: false, detect_tones: true });
    world.forget();
    let mut noise = Noise(7);
    for _ in 0..250 {
        a.timestamp = noise.next() as u32;
        world.say(&mut a, 0x31);
        world.pass(FRAME);
    }
    for phone in [&b, &c] {
        let heard = world.heard(phone);
        assert!((200..=300).contains(&heard.len()), "{}", heard.len());
    }
}
