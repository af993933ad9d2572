//! The connection that we offer: the subscriber side of two-connection clients.

use std::sync::Arc;

use switchroom_engine::AudioCodec;
use switchroom_engine::peer::{
    ChannelLabel, LocalTransport, OutgoingRtp, PeerError, PeerEvent, PeerId, PeerKind,
};

use crate::client::Direction;
use crate::world::{World, mid, ms};

const ALL: [(AudioCodec, u8); 4] =
    [(AudioCodec::Opus, 111), (AudioCodec::Pcmu, 0), (AudioCodec::Pcma, 8), (AudioCodec::G722, 9)];

/// What signalling does with our offer and the client's answer.
fn exchange(world: &mut World, client: usize, transport: &LocalTransport) {
    let server = world.server;
    world.clients[client].connect(transport, server, false);
    let answer = world.clients[client].transport();
    world.with(client, |peer, now, out| peer.apply_answer(now, &answer, out)).unwrap();
}

fn add_track(world: &mut World, client: usize, name: &str, ssrc: u32, codecs: &[(AudioCodec, u8)]) {
    world.with(client, |peer, _, _| peer.declare_sender(mid(name), ssrc)).unwrap();
    world.with(client, |peer, _, _| peer.set_sender_payload_types(mid(name), codecs)).unwrap();
    world.clients[client].add_section(name, Direction::RecvOnly);
    world.clients[client].expect(name, ssrc);
}

fn subscribed() -> (World, usize) {
    let mut world = World::new();
    let client = world.add_client(PeerKind::Offerer);
    let transport = world.with(client, |peer, _, _| peer.describe()).unwrap();
    exchange(&mut world, client, &transport);
    world.run_for(ms(500));
    (world, client)
}

fn talk(world: &mut World, client: usize, name: &str, codec: AudioCodec, packets: u64, from: u64) {
    let mut n = from;
    world.talk(ms(packets * 20), |world| {
        n += 1;
        let packet = OutgoingRtp {
            stream: 1,
            codec,
            sequence: n,
            timestamp: n as u32 * codec.clock_rate() / 50,
            marker: false,
            level: None,
            payload: Arc::from(&b"sound"[..]),
        };
        world.send_rtp(client, mid(name), &packet);
    });
    world.run_for(ms(20));
}

#[test]
fn our_offer_connects_and_opens_our_channels() {
    let (mut world, client) = subscribed();
    let events = world.events_of(client);
    assert_eq!(events[0], PeerEvent::Connected);
    for label in [ChannelLabel::Reliable, ChannelLabel::Lossy] {
        assert!(events.contains(&PeerEvent::ChannelOpened(label)), "{label:?}");
    }
    world
        .with(client, |peer, now, out| peer.send_data(now, ChannelLabel::Reliable, b"down", out))
        .unwrap();
    world.run_for(ms(100));
    assert_eq!(world.clients[client].messages, [("_reliable".to_owned(), b"down".to_vec())]);
}

#[test]
fn a_description_names_every_address_of_ours() {
    let mut world = World::new();
    let client = world.add_client(PeerKind::Offerer);
    let transport = world.with(client, |peer, _, _| peer.describe()).unwrap();
    assert_eq!(transport.candidates.len(), 2);
    assert!(transport.candidates[0].starts_with("candidate:"));
    assert!(transport.candidates[0].contains("198.51.100.1 7882 typ host"));
    assert!(transport.fingerprint.starts_with("sha-256 "));
    assert_eq!(transport.fingerprint.len(), "sha-256 ".len() + 32 * 3 - 1);
}

#[test]
fn tracks_are_added_while_connected_and_play_in_any_negotiated_codec() {
    let (mut world, client) = subscribed();
    add_track(&mut world, client, "t1", 1_001, &ALL);
    add_track(&mut world, client, "t2", 1_002, &ALL);
    for (codec, payload_type) in ALL {
        world.clients[client].received.clear();
        talk(&mut world, client, "t1", codec, 10, 0);
        let received = &world.clients[client].received;
        assert_eq!(received.len(), 10, "{codec:?}");
        assert!(received.iter().all(|p| *p.header.payload_type == payload_type));
        assert!(received.iter().all(|p| *p.header.ssrc == 1_001));
    }
}

#[test]
fn only_what_the_answer_took_is_sent() {
    let (mut world, client) = subscribed();
    // 0 is ours for PCMU; 97 is a number that we did not offer for anything.
    let taken = [(AudioCodec::Pcmu, 0), (AudioCodec::Opus, 97)];
    add_track(&mut world, client, "t1", 1_001, &taken);
    let codecs = world.table.sender_codecs(PeerId(client as u64), mid("t1"));
    assert!(codecs.contains(AudioCodec::Pcmu) && !codecs.contains(AudioCodec::Opus));
    talk(&mut world, client, "t1", AudioCodec::Opus, 5, 0);
    assert!(world.clients[client].received.is_empty());
    // A re-negotiation may take more, or nothing.
    world.with(client, |peer, _, _| peer.set_sender_payload_types(mid("t1"), &ALL)).unwrap();
    talk(&mut world, client, "t1", AudioCodec::Opus, 5, 0);
    assert_eq!(world.clients[client].received.len(), 5);
    world.with(client, |peer, _, _| peer.set_sender_payload_types(mid("t1"), &[])).unwrap();
    assert!(world.table.sender_codecs(PeerId(client as u64), mid("t1")).is_empty());
}

#[test]
fn a_section_keeps_its_ssrc_and_its_numbers_for_the_next_track() {
    let (mut world, client) = subscribed();
    add_track(&mut world, client, "t1", 1_001, &ALL);
    talk(&mut world, client, "t1", AudioCodec::Opus, 5, 0);
    world.with(client, |peer, _, _| peer.declare_sender(mid("t1"), 2_002)).unwrap();
    talk(&mut world, client, "t1", AudioCodec::Pcmu, 5, 900);
    let received = &world.clients[client].received;
    assert_eq!(received.len(), 10);
    assert!(received.iter().all(|packet| *packet.header.ssrc == 1_001));
    assert!(received.windows(2).all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1));
}

#[test]
fn an_ice_restart_of_ours_is_heard_without_a_gap() {
    let (mut world, client) = subscribed();
    add_track(&mut world, client, "t1", 1_001, &ALL);
    talk(&mut world, client, "t1", AudioCodec::Opus, 50, 0);
    let before = world.with(client, |peer, _, _| peer.describe()).unwrap();
    let after = world.with(client, |peer, _, _| peer.restart_ice()).unwrap();
    assert_ne!((&before.ice_ufrag, &before.ice_pwd), (&after.ice_ufrag, &after.ice_pwd));
    talk(&mut world, client, "t1", AudioCodec::Opus, 10, 50);
    world.clients[client].restart_ice();
    exchange(&mut world, client, &after);
    talk(&mut world, client, "t1", AudioCodec::Opus, 1_500, 60);
    let client = &world.clients[client];
    assert_eq!(client.received.len(), 1_560);
    let events = world.events_of(0);
    assert!(!events.contains(&PeerEvent::Disconnected), "{events:?}");
}

#[test]
fn bad_answers_are_refused_and_a_good_one_still_connects() {
    let mut world = World::new();
    let client = world.add_client(PeerKind::Offerer);
    let transport = world.with(client, |peer, _, _| peer.describe()).unwrap();
    let server = world.server;
    world.clients[client].connect(&transport, server, false);
    let good = world.clients[client].transport();
    let mut bad = vec![good.clone(), good.clone(), good.clone(), good.clone()];
    bad[0].fingerprint = "sha-256".into();
    bad[1].setup = "actpass".into();
    bad[2].ice_ufrag = String::new();
    bad[3].ice_pwd = "short".into();
    for answer in bad {
        let error = world.with(client, |peer, now, out| peer.apply_answer(now, &answer, out));
        assert!(matches!(error, Err(PeerError::BadAnswer(_))), "{error:?}");
    }
    world.with(client, |peer, now, out| peer.apply_answer(now, &good, out)).unwrap();
    world.run_for(ms(500));
    assert!(world.clients[client].connected);
}

#[test]
fn senders_cannot_share_an_ssrc_and_unknown_sections_are_named() {
    let (mut world, client) = subscribed();
    add_track(&mut world, client, "t1", 1_001, &ALL);
    let clash = world.with(client, |peer, _, _| peer.declare_sender(mid("t2"), 1_001));
    assert_eq!(clash, Err(PeerError::BadSsrc(1_001)));
    let zero = world.with(client, |peer, _, _| peer.declare_sender(mid("t2"), 0));
    assert_eq!(zero, Err(PeerError::BadSsrc(0)));
    let unknown = world.with(client, |peer, _, _| peer.set_sender_payload_types(mid("t9"), &ALL));
    assert_eq!(unknown, Err(PeerError::UnknownMid("t9".into())));
}

#[test]
fn checks_that_arrive_before_the_answer_are_answered_after_it() {
    let mut world = World::new();
    let client = world.add_client(PeerKind::Offerer);
    let transport = world.with(client, |peer, _, _| peer.describe()).unwrap();
    let server = world.server;
    world.clients[client].connect(&transport, server, false);
    world.run_for(ms(300));
    let answer = world.clients[client].transport();
    world.with(client, |peer, now, out| peer.apply_answer(now, &answer, out)).unwrap();
    world.run_for(ms(500));
    assert!(world.clients[client].connected);
}

/// libwebrtc hears nothing of a section that comes back under its old SSRC.
#[test]
fn a_section_gets_another_ssrc_for_its_next_track() {
    let (mut world, client) = subscribed();
    add_track(&mut world, client, "t1", 1_001, &ALL);
    talk(&mut world, client, "t1", AudioCodec::Opus, 5, 0);
    world.with(client, |peer, _, _| peer.renew_sender(mid("t1"), 2_002)).unwrap();
    world.clients[client].replace_stream("t1", 1_001, 2_002);
    talk(&mut world, client, "t1", AudioCodec::Pcmu, 700, 900);
    let received = &world.clients[client].received;
    let ssrcs: Vec<u32> = received.iter().map(|packet| *packet.header.ssrc).collect();
    assert_eq!(ssrcs[..5], [1_001; 5]);
    assert_eq!(ssrcs[5..], [2_002; 700]);
    assert!(received[5].header.marker);
    // The client's reports about the new stream are heard: the round trip is known.
    let counters = world.table.counters(PeerId(client as u64)).unwrap();
    assert!(counters.round_trip.is_some());
    let taken = world.with(client, |peer, _, _| peer.renew_sender(mid("t1"), 2_002));
    assert_eq!(taken, Err(PeerError::BadSsrc(2_002)));
    let unknown = world.with(client, |peer, _, _| peer.renew_sender(mid("t9"), 3_003));
    assert_eq!(unknown, Err(PeerError::UnknownMid("t9".into())));
}

#[test]
fn an_answer_names_the_ssrc_that_its_section_was_given_anew() {
    let mut world = World::new();
    let client = world.join(2, 0);
    let before = world.negotiate(client);
    world.with(client, |peer, _, _| peer.renew_sender(mid("r0"), 77_001)).unwrap();
    let after = world.negotiate(client);
    assert!(!before.contains("a=ssrc:77001 cname:"));
    assert!(after.contains("a=ssrc:77001 cname:"));
    let of_r1 = |sdp: &str| {
        sdp.split("m=").nth(2).unwrap().lines().find(|l| l.contains("cname")).map(str::to_owned)
    };
    assert_eq!(of_r1(&before), of_r1(&after));
    talk(&mut world, client, "r0", AudioCodec::Pcmu, 10, 70_000);
    let received = &world.clients[client].received;
    assert_eq!(received.len(), 10);
    assert!(received.iter().all(|packet| *packet.header.ssrc == 77_001));
}
