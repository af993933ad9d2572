//! Keys, both ways.

use std::time::Duration;

use switchroom_engine::command::Command;
use switchroom_engine::event::LegEvent;
use switchroom_rtp::digits::{DigitReceiver, EventPayload};

use crate::world::{DIGITS, FRAME, Phone, Sent, World, decode, level_of};

fn press(world: &mut World, phone: &Phone, digits: &str) {
    world.command(Command::SendDigits { leg: phone.ids.leg, digits: digits.to_owned() });
}

fn events(packets: &[Sent]) -> Vec<(u32, EventPayload)> {
    let event = |sent: &Sent| {
        let packet = sent.packet();
        let event = || (packet.header.timestamp, EventPayload::parse(packet.payload).unwrap());
        (packet.header.payload_type == DIGITS).then(event)
    };
    packets.iter().filter_map(event).collect()
}

#[test]
fn keys_are_sent_as_events_in_place_of_audio_and_the_end_is_told() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.talk(10, &mut [(&mut a, 0x10)]);
    world.forget();
    press(&mut world, &b, "7w#");
    world.talk(100, &mut [(&mut a, 0x10)]);
    let heard = world.heard(&b);
    let sent = events(&heard);
    for (code, count) in [(7, 1), (11, 1)] {
        let of_key: Vec<_> = sent.iter().filter(|(_, event)| event.event == code).collect();
        assert!(of_key.iter().all(|(timestamp, _)| *timestamp == of_key[0].0));
        assert_eq!(of_key.iter().filter(|(_, event)| event.end).count(), 3 * count);
        assert_eq!(of_key.last().unwrap().1.duration, 2_000, "250 ms");
    }
    let starts = sent.iter().map(|(timestamp, _)| *timestamp);
    let (first, last) = (starts.clone().min().unwrap(), starts.max().unwrap());
    let apart = Duration::from_micros(u64::from(last - first) * 125);
    assert!((980..=1_020).contains(&apart.as_millis()), "250 + 250 + 500 ms: {apart:?}");
    let at_key = heard.iter().position(|sent| sent.header().payload_type == DIGITS).unwrap();
    assert!(heard[at_key].header().marker);
    let during = &heard[at_key..at_key + 15];
    assert!(during.iter().all(|sent| sent.header().payload_type == DIGITS));
    assert_eq!(world.told(&b), [LegEvent::DigitsSent]);
}

#[test]
fn a_receiver_of_the_stream_reads_the_same_keys() {
    let mut world = World::new();
    let phone = world.call(8);
    press(&mut world, &phone, "0123456789*#ABCD");
    world.pass(Duration::from_secs(12));
    let mut receiver = DigitReceiver::new(8_000);
    let mut digits = Vec::new();
    for sent in world.heard(&phone) {
        let packet = sent.packet();
        if packet.header.payload_type == DIGITS {
            let now = world.started + sent.at;
            receiver.receive(now, packet.header.timestamp, packet.payload, &mut digits);
        }
    }
    let keys: String = digits.iter().map(|digit| digit.digit).collect();
    assert_eq!(keys, "0123456789*#abcd");
    assert!(digits.iter().all(|digit| digit.duration_ms == 250));
}

#[test]
fn a_phone_without_events_hears_the_keys_as_tones() {
    let mut world = World::new();
    let phone = world.call(0);
    world.update(&phone, |media| media.digits = None);
    world.pass(FRAME * 10);
    world.forget();
    press(&mut world, &phone, "5");
    world.pass(Duration::from_millis(700));
    let heard = world.heard(&phone);
    assert!(heard.iter().all(|sent| sent.header().payload_type == 0));
    let samples = decode(&heard);
    let loud = samples.iter().position(|sample| sample.abs() > 2_000).unwrap();
    let key = &samples[loud..loud + 1_900];
    assert!((level_of(key, 770.0) + 13.0).abs() < 1.0);
    assert!((level_of(key, 1_336.0) + 13.0).abs() < 1.0);
    assert!(level_of(key, 1_000.0) < -35.0);
    assert!(samples[loud + 2_100..].iter().all(|sample| sample.abs() <= 8));
    assert_eq!(world.told(&phone), [LegEvent::DigitsSent]);
}

#[test]
fn keys_wait_while_the_phone_is_on_hold_and_keep_their_pace_then() {
    let mut world = World::new();
    let phone = world.call(0);
    world.update(&phone, |media| media.remote = None);
    press(&mut world, &phone, "12");
    world.pass(Duration::from_secs(5));
    assert!(events(&world.heard(&phone)).is_empty());
    world.update(&phone, |_| {});
    world.forget();
    world.pass(Duration::from_secs(2));
    let heard = world.heard(&phone);
    let keys = events(&heard);
    assert_eq!(keys.iter().filter(|(_, event)| event.end).count(), 6);
    let gaps = heard.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(gaps.into_iter().all(|gap| gap >= Duration::from_millis(4)));
}

#[test]
fn a_key_of_the_phone_is_told_once_however_often_it_is_sent() {
    let mut world = World::new();
    let (mut a, b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    world.forget();
    let timestamp = a.timestamp;
    for n in 1..=8_u16 {
        let end = n > 5;
        let duration = 160 * n.min(5);
        let payload = EventPayload { event: 10, end, volume: 10, duration }.to_bytes();
        let datagram = Phone { timestamp, ..a.clone() }.packet(DIGITS, &payload);
        for _ in 0..2 {
            world.deliver(a.key, a.address, &datagram);
        }
        a.skip(1);
        world.pass(FRAME);
    }
    assert_eq!(world.told(&a), [LegEvent::DigitReceived { digit: '*', duration_ms: 100 }]);
    assert!(events(&world.heard(&b)).is_empty(), "events are told, not passed on");
}

#[test]
fn a_flood_of_keys_is_told_at_a_pace_that_listeners_can_bear() {
    let mut world = World::new();
    let phone = world.call(0);
    for n in 0..5_000_u32 {
        let payload = EventPayload { event: 1, end: true, volume: 10, duration: 400 }.to_bytes();
        let mut phone = Phone { timestamp: n * 1_000, ..phone.clone() };
        phone.skip(n as u16);
        world.deliver(phone.key, phone.address, &phone.packet(DIGITS, &payload));
        world.pass(Duration::from_micros(200));
    }
    let told = world.told(&phone).len();
    assert!((40..=80).contains(&told), "{told} keys in one second");
    world.pass(Duration::from_secs(1));
    let after = Phone { timestamp: 9_000_000, sequence: 5, ssrc: 4, ..phone.clone() };
    let payload = EventPayload { event: 2, end: true, volume: 10, duration: 400 }.to_bytes();
    world.deliver(phone.key, phone.address, &after.packet(DIGITS, &payload));
    assert_eq!(world.told(&phone).len(), told + 1);
}

#[test]
fn a_key_whose_end_is_lost_is_told_all_the_same() {
    let mut world = World::new();
    let phone = world.call(0);
    let payload = EventPayload { event: 3, end: false, volume: 10, duration: 400 }.to_bytes();
    world.deliver(phone.key, phone.address, &phone.packet(DIGITS, &payload));
    world.pass(Duration::from_millis(400));
    assert_eq!(world.told(&phone), [LegEvent::DigitReceived { digit: '3', duration_ms: 50 }]);
}

#[test]
fn keys_of_a_phone_that_begins_another_stream_are_told_whatever_its_clock_says() {
    let mut world = World::new();
    let mut phone = world.call(0);
    let event = |event, end, duration| EventPayload { event, end, volume: 10, duration }.to_bytes();
    let key = |world: &mut World, phone: &mut Phone, payload: &[u8]| {
        let datagram = phone.packet(DIGITS, payload);
        phone.sequence = phone.sequence.wrapping_add(1);
        world.deliver(phone.key, phone.address, &datagram);
        world.pass(FRAME);
    };
    // Each stream counts from zero, so that the second key seems to be older than the first, and
    // the end of the second is lost with the rest of its stream.
    for (ssrc, timestamp, end) in [(1, 24_000, true), (2, 16_000, false), (3, 8_000, true)] {
        phone = Phone { ssrc, sequence: 1, timestamp: 0, ..phone };
        world.talk(10, &mut [(&mut phone, 0x55)]);
        phone.timestamp = timestamp;
        key(&mut world, &mut phone, &event(5, false, 160));
        key(&mut world, &mut phone, &event(5, end, 320));
    }
    // A copy of an end is one, whatever came in between.
    world.say(&mut Phone { ssrc: 4, ..phone.clone() }, 0x55);
    key(&mut world, &mut phone, &event(5, true, 320));
    let told = world.told(&phone);
    let keys = told.iter().filter(|event| matches!(event, LegEvent::DigitReceived { .. }));
    assert_eq!(keys.count(), 3, "{told:?}");
}
