//! What a phone gets is one stream, whatever it is made of.

use std::time::Duration;

use switchroom_codecs::g711::{self, Law};
use switchroom_engine::command::{Command, Direction};

use crate::world::{
    FRAME, Phone, World, assert_continuous, assert_whole, decode, level_of, tone_packets,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_packet_goes_through_at_once_and_untouched() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.forget();
    let payload: Vec<u8> = (0..160).collect();
    world.say_payload(&mut a, &payload);
    let heard = world.heard(&b);
    let [packet] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(packet.packet().payload, payload);
    assert_eq!((packet.to, packet.header().payload_type), (b.address, 0));
    assert_ne!(packet.header().ssrc, a.ssrc);
}

#[test]
fn the_other_law_is_made_by_table_where_the_phone_wants_it() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(8));
    world.hear(&b, &[&a]);
    world.forget();
    let payload: Vec<u8> = (0..160).collect();
    world.say_payload(&mut a, &payload);
    let mut expected = payload;
    g711::transcode(Law::Mu, Law::A, &mut expected);
    let heard = world.heard(&b);
    assert_eq!(heard[0].packet().payload, expected);
    assert_eq!(heard[0].header().payload_type, 8);
}

#[test]
fn before_anything_is_heard_a_phone_gets_silence_at_its_pace() {
    let mut world = World::new();
    let phone = world.open();
    world.pass(seconds(1));
    assert_eq!(world.heard(&phone).len(), 0);
    world.update(&phone, |_| {});
    world.pass(seconds(2));
    let heard = world.heard(&phone);
    assert_whole(&heard, seconds(2));
    assert!(heard[0].header().marker && !heard[1].header().marker);
    assert!(heard.iter().all(|sent| sent.packet().payload == [0xFF; 160]));
    let gaps = heard.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(gaps.into_iter().all(|gap| gap == FRAME));
}

#[test]
fn the_stream_is_whole_over_sources_silence_mixes_and_digits() {
    let mut world = World::new();
    let (mut a, mut b, c) = (world.call(0), world.call(8), world.call(0));
    let begun = world.now;
    let tone = world.play(425.0, -20.0, 60.0, true);
    let sources = [a.ids.source, b.ids.source];
    let mut talk =
        |world: &mut World, frames| world.talk(frames, &mut [(&mut a, 0x10), (&mut b, 0x20)]);
    let [a_id, b_id] = sources;
    let hear = |world: &mut World, sources: &[u64]| {
        let inputs = sources.iter().map(|source| (*source, 1.0)).collect();
        world.command(Command::SetInputs { sink: c.ids.sink, inputs });
    };
    for sources in [
        &[a_id][..],
        &[b_id],
        &[],
        &[tone.source],
        &[a_id, b_id],
        &[a_id, b_id, tone.source],
        &[b_id],
    ] {
        hear(&mut world, sources);
        talk(&mut world, 33);
    }
    world.command(Command::SendDigits { leg: c.ids.leg, digits: "1w#".to_owned() });
    talk(&mut world, 100);
    let heard = world.heard(&c);
    let audio: Vec<_> =
        heard.iter().filter(|sent| sent.header().payload_type == 0).cloned().collect();
    for pair in heard.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.wrapping_add(1));
        assert_eq!(pair[1].header().ssrc, pair[0].header().ssrc);
        assert!(pair[1].at - pair[0].at < Duration::from_millis(60), "{:?}", pair[1].at);
    }
    for pair in audio.windows(2) {
        let step = pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp);
        assert!(step == 160 || (2_000..3_000).contains(&step), "{step} at {:?}", pair[1].at);
    }
    let expected = (world.now - begun).as_millis() as usize / 20;
    assert!(heard.len().abs_diff(expected) <= 4, "{} of {expected}", heard.len());
}

#[test]
fn a_source_that_pauses_is_replaced_by_its_fading_voice_and_silence() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.forget();
    let begun = world.now;
    for packet in tone_packets(Law::Mu, 400.0, -10.0) {
        world.say_payload(&mut a, &packet);
        world.pass(FRAME);
    }
    world.pass(seconds(1));
    a.skip(50);
    world.talk(50, &mut [(&mut a, 0x10)]);
    let heard = world.heard(&b);
    assert_whole(&heard, world.now - begun);
    let samples = decode(&heard);
    assert!(level_of(&samples[4_000..8_000], 400.0) > -10.5);
    assert!(level_of(&samples[8_200..8_400], 400.0) > -30.0, "the voice fades");
    assert!(samples[8_700..15_900].iter().all(|sample| sample.abs() <= 8), "then silence");
    assert_eq!(heard.last().unwrap().packet().payload, [0x10; 160]);
}

#[test]
fn a_short_stall_delays_nothing_and_fills_nothing() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.forget();
    world.pass(Duration::from_millis(30)); // packets are 30 ms late …
    for _ in 0..2 {
        world.say(&mut a, 0x11); // … and come together
    }
    world.talk(10, &mut [(&mut a, 0x12)]);
    let heard = world.heard(&b);
    assert_continuous(&heard);
    assert_eq!(heard.len(), 12);
    assert_eq!(world.stats().legs[1].filled_out, 0);
}

#[test]
fn a_burst_after_a_long_stall_does_not_add_to_the_delay() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.forget();
    let begun = world.now;
    world.pass(Duration::from_millis(300));
    for _ in 0..15 {
        world.say(&mut a, 0x11);
    }
    world.talk(50, &mut [(&mut a, 0x12)]);
    let heard = world.heard(&b);
    assert_whole(&heard, world.now - begun);
    let old = heard.iter().filter(|sent| sent.packet().payload == [0x11; 160]).count();
    assert!(old <= 1, "{old} packets whose time was over");
}

#[test]
fn a_stall_of_our_own_is_not_filled_and_drops_nothing() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.forget();
    world.stall(Duration::from_millis(300));
    for _ in 0..7 {
        world.say(&mut a, 0x11); // read before the deadlines are looked at, the rest a little later
    }
    world.pass(Duration::from_millis(5));
    for _ in 0..8 {
        world.say(&mut a, 0x11);
    }
    world.talk(50, &mut [(&mut a, 0x12)]);
    let heard = world.heard(&b);
    assert_continuous(&heard);
    let count = |octet| heard.iter().filter(|sent| sent.packet().payload == [octet; 160]).count();
    assert_eq!((count(0x11), count(0x12)), (15, 50));
    assert!(heard.len() <= 67, "{} packets for 65", heard.len());
}

#[test]
fn a_path_that_has_become_slower_for_good_is_followed() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.pass(Duration::from_millis(200)); // every later packet is late by as much
    world.forget();
    world.talk(50, &mut [(&mut a, 0x12)]);
    let heard = world.heard(&b);
    assert_continuous(&heard);
    let old = heard.iter().filter(|sent| sent.packet().payload == [0x12; 160]).count();
    assert!(old >= 45, "{old} of 50");
}

#[test]
fn a_loss_and_a_reordering_stay_what_they_are() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.forget();
    let first = a.next(&[1; 160]);
    let second = a.next(&[2; 160]);
    let _lost = a.next(&[3; 160]);
    let fourth = a.next(&[4; 160]);
    for datagram in [&second, &first, &first, &fourth] {
        world.deliver(a.key, a.address, datagram);
    }
    let heard = world.heard(&b);
    let sequences: Vec<u16> = heard.iter().map(|sent| sent.header().sequence).collect();
    let payloads: Vec<u8> = heard.iter().map(|sent| sent.packet().payload[0]).collect();
    assert_eq!(payloads, [2, 1, 4], "a duplicate is dropped");
    let base = sequences[0].wrapping_sub(1);
    assert_eq!(sequences, [base.wrapping_add(1), base, base.wrapping_add(3)]);
    let time = |at: usize| heard[at].header().timestamp;
    assert_eq!(time(0).wrapping_sub(time(1)), 160);
    assert_eq!(time(2).wrapping_sub(time(1)), 480);
}

#[test]
fn a_phone_that_starts_its_stream_anew_is_heard_without_a_gap() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.forget();
    let begun = world.now;
    world.talk(10, &mut [(&mut a, 0x10)]);
    a = Phone { ssrc: 99, sequence: 5, timestamp: 4_000_000_000, ..a };
    world.talk(10, &mut [(&mut a, 0x11)]);
    a.timestamp = 123; // and one that only its clock jumps
    world.talk(10, &mut [(&mut a, 0x12)]);
    let heard = world.heard(&b);
    assert_whole(&heard, world.now - begun);
    assert!(heard[10].header().marker && heard[20].header().marker);
    assert_eq!(heard.iter().filter(|sent| sent.header().marker).count(), 3);
}

#[test]
fn a_phone_that_counts_its_packets_anew_is_heard_in_every_form() {
    let mut world = World::new();
    let (mut a, same, other, third) = (world.call(0), world.call(0), world.call(8), world.call(0));
    let long = world.call(0);
    world.update(&long, |media| media.ptime_ms = 30);
    for listener in [&same, &long, &other] {
        world.hear(listener, &[&a]);
    }
    let mixed = world.call(0);
    world.hear(&mixed, &[&a, &third]);
    a.sequence = 60_000;
    world.talk(100, &mut [(&mut a, 0x10)]);
    // RFC 3550 appendix A.1: the same SSRC, and two numbers in a row that are far from the others.
    for sequence in [20_000, 50_000, 7] {
        (a.sequence, a.timestamp) = (sequence, u32::from(sequence) * 77_777);
        world.talk(10, &mut [(&mut a, 0x10)]);
        world.forget();
        world.talk(40, &mut [(&mut a, 0x10)]);
        for listener in [&same, &long, &other, &mixed] {
            let samples = decode(&world.heard(listener));
            let loud = samples.iter().filter(|sample| sample.unsigned_abs() > 10_000).count();
            assert!(loud + 480 >= samples.len() && loud > 5_000, "{sequence}: {loud}");
        }
    }
}

#[test]
fn on_hold_nothing_is_sent_and_time_goes_on() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.forget();
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.update(&b, |media| media.direction = Direction::RecvOnly);
    world.talk(50, &mut [(&mut a, 0x10)]);
    let before = world.heard(&b);
    assert_eq!(before.len(), 10);
    world.update(&b, |media| media.direction = Direction::SendRecv);
    world.talk(10, &mut [(&mut a, 0x10)]);
    let heard = world.heard(&b);
    assert_continuous(&heard[10..]);
    let (last, first) = (heard[9].header(), heard[10].header());
    assert_eq!(first.sequence, last.sequence.wrapping_add(1));
    assert!(first.marker);
    let passed = first.timestamp.wrapping_sub(last.timestamp);
    assert!((8_000..9_000).contains(&passed), "{passed} ticks for 1.02 s");
}

#[test]
fn a_phone_on_hold_is_not_heard() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.update(&a, |media| media.direction = Direction::SendOnly);
    world.forget();
    world.talk(10, &mut [(&mut a, 0x10)]);
    assert!(world.heard(&b).iter().all(|sent| sent.packet().payload != [0x10; 160]));
    world.update(&a, |media| {
        media.direction = Direction::SendRecv;
        media.remote = Some("0.0.0.0:4000".parse().unwrap()); // RFC 3264 §8.4
    });
    world.forget();
    world.pass(seconds(1));
    assert_eq!(world.heard(&a).len(), 0);
}

#[test]
fn packets_of_other_lengths_keep_theirs_unless_the_phone_asks_for_one() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.forget();
    for _ in 0..40 {
        let datagram = a.packet(0, &[0x10; 240]);
        a.sequence = a.sequence.wrapping_add(1);
        a.timestamp = a.timestamp.wrapping_add(240);
        world.deliver(a.key, a.address, &datagram);
        world.pass(Duration::from_millis(30));
    }
    let heard = world.heard(&b);
    assert_continuous(&heard);
    assert_eq!(heard.iter().filter(|sent| sent.packet().payload.len() == 240).count(), 40);
}

#[test]
fn a_tone_is_heard_at_its_frequency_and_level() {
    let mut world = World::new();
    for payload_type in [0, 8] {
        let phone = world.call(payload_type);
        let tone = world.play(1_000.0, -20.0, 10.0, true);
        let inputs = vec![(tone.source, 1.0)];
        world.command(Command::SetInputs { sink: phone.ids.sink, inputs });
        world.pass(Duration::from_millis(100));
        world.forget();
        world.pass(seconds(1));
        let heard = world.heard(&phone);
        assert_whole(&heard, seconds(1));
        let level = level_of(&decode(&heard), 1_000.0);
        assert!((level + 20.0).abs() < 0.5, "{level}");
        assert!(level_of(&decode(&heard), 1_500.0) < -50.0);
    }
}
