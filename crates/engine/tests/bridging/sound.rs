use switchroom_engine::command::PeerCommand;

use crate::tone::{OpusTone, Tone, decoded, from_mu_law, level_of, mu_law};
use crate::world::World;

fn opus_only(offer: String) -> String {
    offer
        .replace("111 63 9 0 8 13 110 126", "111")
        .replace("a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n", "")
        .replace("a=rtpmap:9 G722/8000\r\n", "")
}

fn unchanged(offer: String) -> String {
    offer
}

fn assert_level(sound: &[i16], hz: f64, dbov: f64) {
    let level = level_of(hz, sound);
    assert!((level - dbov).abs() < 1.0, "{hz} Hz is at {level:.1} dBov, not {dbov}");
}

fn phone_sound(world: &World, phone: usize) -> Vec<i16> {
    world.phones[phone].heard.iter().flat_map(|payload| from_mu_law(payload)).collect()
}

#[test]
fn what_a_phone_says_reaches_a_client_octet_by_octet() {
    let mut world = World::new();
    let (guest, phone) = (world.join(unchanged), world.call());
    let (sink, source) = (world.guests[guest].sinks[0], world.phones[phone].ids.source);
    world.hears(sink, &[source]);
    let mut tone = Tone::new(1_000.0, -20.0, 8_000);
    let mut said = Vec::new();
    world.talk(1_000, |world| {
        said.push(mu_law(&tone.frame()));
        world.say(phone, said.last().unwrap());
    });
    let received = &world.guests[guest].client.received;
    assert_eq!(received.len(), said.len());
    for (packet, octets) in received.iter().zip(&said) {
        assert_eq!(*packet.header.payload_type, 0);
        assert_eq!(packet.payload[..], octets[..]);
    }
    assert!(received.windows(2).all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1));
    let level = received[10].header.ext_vals.audio_level.unwrap();
    assert!((-22..=-18).contains(&level), "{level}");
}

#[test]
fn a_client_is_heard_by_a_phone_at_its_level() {
    let mut world = World::new();
    let (guest, phone) = (world.join(unchanged), world.call());
    let (source, sink) = (world.guests[guest].source, world.phones[phone].ids.sink);
    world.hears(sink, &[source]);
    let mut tone = OpusTone::new(440.0, -20.0);
    world.talk(2_000, |world| {
        let now = world.now;
        world.guests[guest].client.send_audio(now, "s0", 111, &tone.packet());
    });
    let sound = phone_sound(&world, phone);
    assert!(sound.len() > 15_000, "{}", sound.len());
    assert_level(&sound[4_000..12_000], 440.0, -20.0);
}

#[test]
fn clients_without_g711_hear_a_phone_through_one_encoder() {
    let mut world = World::new();
    let (first, second) = (world.join(opus_only), world.join(opus_only));
    let (third, phone) = (world.join(unchanged), world.call());
    let source = world.phones[phone].ids.source;
    for guest in [first, second, third] {
        let sink = world.guests[guest].sinks[0];
        world.hears(sink, &[source]);
    }
    let mut tone = Tone::new(1_000.0, -20.0, 8_000);
    world.talk(2_000, |world| world.say(phone, &mu_law(&tone.frame())));
    let received = |guest: usize| &world.guests[guest].client.received;
    assert!(received(first).iter().all(|packet| *packet.header.payload_type == 111));
    assert!(received(third).iter().all(|packet| *packet.header.payload_type == 0));
    for (one, other) in received(first).iter().zip(received(second)) {
        assert_eq!(one.payload, other.payload);
    }
    for guest in [first, second, third] {
        assert_level(&decoded(received(guest))[4_000..12_000], 1_000.0, -20.0);
    }
}

#[test]
fn a_phone_hears_several_clients_at_once_and_goes_on_when_one_leaves() {
    let mut world = World::new();
    let (one, other) = (world.join(unchanged), world.join(unchanged));
    let phone = world.call();
    let sources = [world.guests[one].source, world.guests[other].source];
    let sink = world.phones[phone].ids.sink;
    world.hears(sink, &sources);
    let mut low = OpusTone::new(440.0, -25.0);
    let mut high = OpusTone::new(1_500.0, -25.0);
    let mut silence = Tone::new(0.0, -90.0, 8_000);
    let mut both = |world: &mut World| {
        let now = world.now;
        world.say(phone, &mu_law(&silence.frame()));
        world.guests[one].client.send_audio(now, "s0", 111, &low.packet());
        world.guests[other].client.send_audio(now, "s0", 111, &high.packet());
    };
    world.talk(1_000, &mut both);
    world.forget();
    world.talk(2_000, &mut both);
    let sound = phone_sound(&world, phone);
    assert_level(&sound[2_000..10_000], 440.0, -25.0);
    assert_level(&sound[2_000..10_000], 1_500.0, -25.0);
    // One leaves: its peer goes, the other is heard alone.
    let gone = world.guests[other].peer;
    world.guests[other].client.dead = true;
    world.peer(gone, PeerCommand::Close);
    world.talk(500, |world| {
        let now = world.now;
        world.guests[one].client.send_audio(now, "s0", 111, &low.packet());
    });
    world.forget();
    world.talk(2_000, |world| {
        let now = world.now;
        world.guests[one].client.send_audio(now, "s0", 111, &low.packet());
    });
    let sound = phone_sound(&world, phone);
    assert!((95..=105).contains(&world.phones[phone].heard.len()));
    assert_level(&sound[2_000..10_000], 440.0, -25.0);
    assert!(level_of(1_500.0, &sound[2_000..10_000]) < -50.0);
}

#[test]
fn a_listener_switched_from_one_source_to_another_hears_no_gap_in_numbers() {
    let mut world = World::new();
    let (guest, first, second) = (world.join(unchanged), world.call(), world.call());
    let sink = world.guests[guest].sinks[0];
    let sources = [first, second].map(|phone| world.phones[phone].ids.source);
    for _ in 0..3 {
        for source in sources {
            world.hears(sink, &[source]);
            world.talk(200, |world| {
                world.say(first, &[0x11; 160]);
                world.say(second, &[0x22; 160]);
            });
        }
    }
    let received = &world.guests[guest].client.received;
    assert_eq!(received.len(), 60);
    assert!(received.windows(2).all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1));
    let advance = |pair: &[str0m::rtp::RtpPacket]| {
        pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp)
    };
    assert!(received.windows(2).all(|pair| (160..=320).contains(&advance(pair))));
}

#[test]
fn closing_everything_leaves_nothing() {
    let mut world = World::new();
    let (guest, phone) = (world.join(unchanged), world.call());
    let (source, sink) = (world.guests[guest].source, world.phones[phone].ids.sink);
    world.hears(sink, &[source]);
    let before = world.stats();
    assert_eq!((before.peers.len(), before.legs.len()), (1, 1));
    assert_eq!((before.sources, before.sinks), (2, 4));
    let peer = world.guests[guest].peer;
    world.peer(peer, PeerCommand::Close);
    let leg = world.phones[phone].ids.leg;
    world.command(switchroom_engine::command::Command::CloseLeg { leg });
    let after = world.stats();
    assert_eq!((after.peers.len(), after.legs.len()), (0, 0));
    assert_eq!((after.sources, after.sinks), (0, 0));
    world.pass(std::time::Duration::from_secs(1));
    assert!(world.guests[guest].client.closed);
    assert_eq!(world.engine.next_deadline(), None);
}
