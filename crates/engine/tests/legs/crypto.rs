//! SRTP: what is heard, what is not, and keys that change.

use std::time::Duration;

use switchroom_engine::LegPort;
use switchroom_engine::command::{LegCrypto, LegMedia};
use switchroom_engine::event::LegEvent;
use switchroom_rtp::Header;
use switchroom_rtp::rtcp;
use switchroom_rtp::srtp::{SrtpReceiver, SrtpSender, Suite};

use crate::world::{FRAME, Phone, World, assert_continuous};

fn key(suite: Suite, octet: u8) -> Vec<u8> {
    vec![octet; suite.key_size()]
}

fn crypto(suite: Suite, ours: u8, theirs: u8) -> LegCrypto {
    let (our_key, their_key) = (key(suite, ours), key(suite, theirs));
    LegCrypto { suite, our_key, their_key, their_mki_size: 0 }
}

fn secure(world: &mut World, phone: &Phone, keys: LegCrypto) {
    world.update(phone, |media: &mut LegMedia| media.crypto = Some(keys));
}

/// The phone sends a protected packet now.
fn say(world: &mut World, phone: &mut Phone, sender: &mut SrtpSender, octet: u8) {
    let mut datagram = phone.next(&[octet; 160]);
    sender.protect(&mut datagram, 0).unwrap();
    world.deliver(phone.key, phone.address, &datagram);
}

/// Two phones with SRTP of which the first one is heard by the second.
fn bridge(world: &mut World, suite: Suite) -> (Phone, SrtpSender, Phone, SrtpReceiver) {
    let (alice, bob) = (world.open(), world.open());
    secure(world, &alice, crypto(suite, 1, 2));
    secure(world, &bob, crypto(suite, 3, 4));
    world.hear(&bob, &[&alice]);
    let sender = SrtpSender::new(suite, &key(suite, 2)).unwrap();
    let receiver = SrtpReceiver::new(suite, &key(suite, 3), 0).unwrap();
    (alice, sender, bob, receiver)
}

#[test]
fn sound_crosses_two_protected_legs_in_every_suite() {
    for suite in Suite::ALL {
        let mut world = World::new();
        let (mut alice, mut sender, bob, mut receiver) = bridge(&mut world, suite);
        for _ in 0..50 {
            say(&mut world, &mut alice, &mut sender, 0x31);
            world.pass(FRAME);
        }
        let mut heard = world.heard(&bob);
        for sent in &mut heard {
            assert!(sent.bytes.len() > Header::SIZE + 160);
            receiver.open(&mut sent.bytes).unwrap();
        }
        assert_continuous(&heard);
        let voiced = heard.iter().filter(|sent| sent.packet().payload == [0x31; 160]).count();
        assert!(voiced >= 47, "{suite:?} {voiced}");
        assert_eq!(world.told(&alice), [LegEvent::MediaStarted(alice.address)]);
    }
}

#[test]
fn plain_packets_other_keys_and_copies_are_counted_and_not_heard() {
    let mut world = World::new();
    let suite = Suite::AesCm128Sha1_80;
    let (mut alice, mut sender, bob, mut receiver) = bridge(&mut world, suite);
    let mut wrong = SrtpSender::new(suite, &key(suite, 9)).unwrap();
    for _ in 0..5 {
        let plain = alice.packet(0, &[0x77; 160]);
        world.deliver(alice.key, alice.address, &plain);
        let mut other = plain.clone();
        wrong.protect(&mut other, 0).unwrap();
        world.deliver(alice.key, alice.address, &other);
        world.deliver(alice.key, alice.address, b"\x80\x00");
        let mut good = alice.next(&[0x31; 160]);
        sender.protect(&mut good, 0).unwrap();
        world.deliver(alice.key, alice.address, &good);
        world.deliver(alice.key, alice.address, &good);
        world.pass(FRAME);
    }
    let counters = world.stats().legs[0].received;
    assert_eq!((counters.not_authentic, counters.malformed), (15, 5));
    assert_eq!(counters.packets, 4); // the first one was a trial
    for mut sent in world.heard(&bob) {
        receiver.open(&mut sent.bytes).unwrap();
        assert_ne!(sent.packet().payload[80], 0x77);
    }
}

#[test]
fn a_stranger_without_the_key_cannot_move_the_phone() {
    let mut world = World::new();
    let (mut alice, mut sender, ..) = bridge(&mut world, Suite::AeadAes128Gcm);
    for _ in 0..3 {
        say(&mut world, &mut alice, &mut sender, 0x31);
    }
    world.pass(Duration::from_secs(5)); // long enough to move
    world.forget();
    let stranger = "203.0.113.9:6000".parse().unwrap();
    for _ in 0..20 {
        let plain = alice.next(&[1; 160]);
        world.deliver(alice.key, stranger, &plain);
    }
    world.pass(FRAME);
    assert_eq!(world.told(&alice), []);
    assert!(world.heard(&alice).iter().all(|sent| sent.to == alice.address));
}

#[test]
fn new_keys_take_over_at_once_and_the_old_ones_are_taken_for_two_seconds_more() {
    let mut world = World::new();
    let suite = Suite::AesCm128Sha1_32;
    let (mut alice, mut old, bob, mut receiver) = bridge(&mut world, suite);
    for _ in 0..10 {
        say(&mut world, &mut alice, &mut old, 0x31);
        world.pass(FRAME);
    }
    secure(&mut world, &alice, crypto(suite, 1, 7));
    secure(&mut world, &bob, crypto(suite, 8, 4));
    let mut receiver_after = receiver_of(suite, 8);
    let before = world.heard(&bob);
    for mut sent in before {
        receiver.open(&mut sent.bytes).unwrap();
    }
    world.forget();
    say(&mut world, &mut alice, &mut old, 0x31);
    let mut new = SrtpSender::new(suite, &key(suite, 7)).unwrap();
    world.pass(FRAME);
    say(&mut world, &mut alice, &mut new, 0x31);
    for mut sent in world.heard(&bob) {
        receiver_after.open(&mut sent.bytes).unwrap();
    }
    assert_eq!(world.stats().legs[0].received.not_authentic, 0);
    world.pass(Duration::from_secs(2));
    say(&mut world, &mut alice, &mut old, 0x31);
    assert_eq!(world.stats().legs[0].received.not_authentic, 1);
}

fn receiver_of(suite: Suite, octet: u8) -> SrtpReceiver {
    SrtpReceiver::new(suite, &key(suite, octet), 0).unwrap()
}

#[test]
fn hold_with_the_same_keys_goes_on_counting() {
    let mut world = World::new();
    let suite = Suite::AesCm128Sha1_80;
    let (mut alice, mut sender, bob, mut receiver) = bridge(&mut world, suite);
    for _ in 0..5 {
        say(&mut world, &mut alice, &mut sender, 0x31);
        world.pass(FRAME);
        secure(&mut world, &alice, crypto(suite, 1, 2));
        secure(&mut world, &bob, crypto(suite, 3, 4));
    }
    let first = world.heard(&bob)[0].bytes.clone();
    for mut sent in world.heard(&bob) {
        receiver.open(&mut sent.bytes).unwrap();
    }
    assert_eq!(world.stats().legs[0].received.not_authentic, 0);
    assert!(receiver.open(&mut first.clone()).is_err());
}

#[test]
fn reports_are_protected_too_and_share_the_port_where_that_was_agreed() {
    let suite = Suite::AeadAes256Gcm;
    for mux in [false, true] {
        let mut world = World::new();
        let (mut alice, mut sender, ..) = bridge(&mut world, suite);
        world.update(&alice, |media| {
            media.crypto = Some(crypto(suite, 1, 2));
            media.rtcp_mux = mux;
        });
        let mut receiver = receiver_of(suite, 1);
        for _ in 0..500 {
            say(&mut world, &mut alice, &mut sender, 0x31);
            world.pass(FRAME);
        }
        let port = if mux { LegPort::Rtp } else { LegPort::Rtcp };
        let is_report = |bytes: &[u8]| (200..=201).contains(&bytes[1]);
        let ours = world.sent.iter().filter(|sent| sent.leg == alice.key && is_report(&sent.bytes));
        let mut reports = 0;
        for sent in ours.cloned().collect::<Vec<_>>() {
            let mut bytes = sent.bytes.clone();
            assert_eq!(sent.port, port);
            assert_eq!(sent.to.port(), alice.address.port() + u16::from(!mux));
            receiver.open_report(&mut bytes).unwrap();
            assert!(rtcp::parse_compound(&bytes).is_ok());
            reports += 1;
        }
        assert!(reports >= 1);
        let mut theirs = Vec::new();
        rtcp::write_receiver_report(alice.ssrc, &[], &mut theirs);
        rtcp::write_source_description(alice.ssrc, "phone@198.51.100.1", &mut theirs);
        world.deliver_rtcp(&alice, port, &theirs);
        assert_eq!(world.stats().legs[0].received.not_authentic, 1);
        sender.protect_report(&mut theirs, 0).unwrap();
        world.deliver_rtcp(&alice, port, &theirs);
        let counters = world.stats().legs[0].received;
        assert_eq!((counters.not_authentic, counters.malformed), (1, 0));
    }
}
