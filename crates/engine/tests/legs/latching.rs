//! Where a phone is: symmetric RTP in the engine (the rule itself is tested in `leg/latch.rs`).

use std::net::SocketAddr;

use switchroom_engine::event::LegEvent;

use crate::world::{FRAME, Phone, World};

fn nat() -> SocketAddr {
    "203.0.113.9:61234".parse().unwrap()
}

#[test]
fn rtp_goes_to_the_sdp_address_until_the_phone_is_heard_and_then_to_the_phone() {
    let mut world = World::new();
    let mut phone = world.open();
    let announced = phone.address;
    world.update(&phone, |_| {});
    world.pass(FRAME * 10);
    assert!(world.heard(&phone).iter().all(|sent| sent.to == announced));
    phone.address = nat();
    world.forget();
    world.talk(3, &mut [(&mut phone, 0x10)]);
    world.forget();
    world.talk(10, &mut [(&mut phone, 0x10)]);
    let heard = world.heard(&phone);
    assert!(heard.len() >= 9 && heard.iter().all(|sent| sent.to == nat()));
}

#[test]
fn the_phones_address_is_told_once() {
    let mut world = World::new();
    let mut phone = world.open();
    world.update(&phone, |_| {});
    world.talk(20, &mut [(&mut phone, 0x10)]);
    assert_eq!(world.told(&phone), [LegEvent::MediaStarted(phone.address)]);
}

#[test]
fn a_stranger_is_neither_heard_nor_answered_and_is_counted() {
    let mut world = World::new();
    let (mut a, mut b) = (world.call(0), world.call(0));
    world.hear(&b, &[&a]);
    let mut stranger = Phone { ssrc: 666, address: nat(), ..a.clone() };
    world.forget();
    for _ in 0..50 {
        world.say(&mut a, 0x10);
        world.say(&mut stranger, 0x66);
        world.say(&mut b, 0x20);
        world.pass(FRAME);
    }
    assert!(world.heard(&b).iter().all(|sent| sent.packet().payload == [0x10; 160]));
    assert!(world.sent.iter().all(|sent| sent.to != nat()));
    assert_eq!(world.stats().legs[0].received.strangers, 50);
}

#[test]
fn new_sdp_moves_the_stream_at_once_and_latches_anew() {
    let mut world = World::new();
    let mut phone = world.call(0);
    phone.address = "198.51.100.77:5000".parse().unwrap();
    world.update(&phone, |_| {});
    world.forget();
    world.pass(FRAME * 5);
    assert!(world.heard(&phone).iter().all(|sent| sent.to == phone.address));
    phone.address = nat();
    world.talk(5, &mut [(&mut phone, 0x10)]);
    assert_eq!(world.told(&phone), [LegEvent::MediaStarted(nat())]);
}

#[test]
fn nothing_is_accepted_before_anything_is_negotiated() {
    let mut world = World::new();
    let mut phone = world.open();
    world.talk(20, &mut [(&mut phone, 0x10)]);
    assert_eq!((world.sent.len(), world.events.len()), (0, 0));
    assert_eq!(world.stats().legs[0].received.unknown_payload_type, 20);
}
