use switchroom_engine::AudioCodec;
use switchroom_engine::peer::{ChannelLabel, PeerError, PeerEvent, PeerId, PeerKind};

use crate::client::Direction;
use crate::world::{World, mid, ms};

const PYTHON_JOIN: &str = include_str!("../data/python-livekit-1.2.0_v1_join_offer.sdp");
const PYTHON_PUBLISH: &str =
    include_str!("../data/python-livekit-1.2.0_v0-fallback_publish_offer.sdp");
const CHROMIUM_PUBLISH: &str = include_str!("../data/chromium-js-2.23.0_v1_publish_offer.sdp");
pub const CAPTURED: [&str; 3] = [PYTHON_JOIN, PYTHON_PUBLISH, CHROMIUM_PUBLISH];

fn mids(sdp: &str) -> Vec<&str> {
    sdp.lines().filter_map(|line| line.strip_prefix("a=mid:")).map(str::trim).collect()
}

#[test]
fn a_client_joins_and_its_channels_open() {
    let mut world = World::new();
    let client = world.join(3, 0);
    let events = world.events_of(client);
    assert_eq!(events[0], PeerEvent::Connected);
    for label in [ChannelLabel::Reliable, ChannelLabel::Lossy, ChannelLabel::DataTrack] {
        assert!(events.contains(&PeerEvent::ChannelOpened(label)), "{label:?}");
    }
    let codecs = world.table.sender_codecs(PeerId(0), mid("r0"));
    assert!(AudioCodec::ALL.into_iter().all(|codec| codecs.contains(codec)));
}

#[test]
fn the_captured_offers_are_answered_section_by_section() {
    for offer in CAPTURED {
        let mut world = World::new();
        let client = world.add_client(PeerKind::Answerer);
        let answer = world.offer(client, offer).unwrap();
        assert_eq!(mids(&answer), mids(offer));
        let kinds = |sdp: &str| -> Vec<String> {
            let lines = sdp.lines().filter_map(|line| line.strip_prefix("m="));
            lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        };
        assert_eq!(kinds(&answer), kinds(offer));
        assert!(answer.contains("a=ice-lite"));
        assert!(answer.contains("a=setup:passive"));
        assert!(answer.contains("a=candidate:"));
        assert!(answer.contains(" 198.51.100.1 7882 typ host"));
        assert!(answer.contains("ssrc-audio-level"));
        assert!(!answer.contains("transport-wide-cc"));
        assert!(answer.contains("a=rtpmap:63 red/48000/2"));
        assert!(!answer.contains("sctp-init"));
        assert!(answer.contains("a=max-message-size:65535"));
    }
}

#[test]
fn a_real_offer_with_another_clients_keys_connects() {
    let mut world = World::new();
    let client = world.add_client(PeerKind::Answerer);
    let transport = world.clients[client].transport();
    for (n, kind) in ["audio", "audio", "audio"].into_iter().enumerate() {
        assert_eq!(kind, "audio");
        world.clients[client].add_section(&n.to_string(), Direction::RecvOnly);
    }
    let offer: String = PYTHON_JOIN
        .lines()
        .map(|line| match line.split_once(':') {
            Some(("a=ice-ufrag", _)) => format!("a=ice-ufrag:{}\r\n", transport.ice_ufrag),
            Some(("a=ice-pwd", _)) => format!("a=ice-pwd:{}\r\n", transport.ice_pwd),
            Some(("a=fingerprint", _)) => format!("a=fingerprint:{}\r\n", transport.fingerprint),
            _ => format!("{}\r\n", line.trim()),
        })
        .collect();
    let answer = world.offer(client, &offer).unwrap();
    let audio_only: String = answer.split("m=video").next().unwrap().to_owned();
    let server = world.server;
    world.clients[client].accept_answer(&audio_only, server);
    world.run_for(ms(500));
    assert!(world.clients[client].connected);
    assert_eq!(world.clients[client].open_channels(), 3);
}

#[test]
fn later_offers_add_sections_to_the_same_connection() {
    let mut world = World::new();
    let client = world.join(1, 0);
    world.clients[client].add_section("late", Direction::RecvOnly);
    // libwebrtc keeps the order of sections, so a new one comes after the data section.
    let offer = move_data_section_to(1, &world.clients[client].offer())
        .replace("BUNDLE r0 late data", "BUNDLE r0 data late");
    world.offer(client, &offer).unwrap();
    world.run_for(ms(200));
    assert!(!world.table.sender_codecs(PeerId(0), mid("late")).is_empty());
    assert!(!world.table.sender_codecs(PeerId(0), mid("r0")).is_empty());
}

fn move_data_section_to(index: usize, offer: &str) -> String {
    let mut parts: Vec<String> = offer.split("m=").map(str::to_owned).collect();
    let data = parts.pop().unwrap();
    parts.insert(index + 1, data);
    parts.join("m=")
}

#[test]
fn a_section_made_inactive_is_not_sent_on_and_keeps_its_ssrc() {
    let mut world = World::new();
    let client = world.join(2, 0);
    let ssrcs = |sdp: &str| -> Vec<String> {
        sdp.lines().filter(|l| l.contains("cname:")).map(str::to_owned).collect()
    };
    let before = world.negotiate(client);
    world.clients[client].set_direction("r0", Direction::Inactive);
    world.negotiate(client);
    assert!(world.table.sender_codecs(PeerId(0), mid("r0")).is_empty());
    world.clients[client].set_direction("r0", Direction::RecvOnly);
    let after = world.negotiate(client);
    assert!(!world.table.sender_codecs(PeerId(0), mid("r0")).is_empty());
    assert_eq!(ssrcs(&before), ssrcs(&after));
}

#[test]
fn bad_offers_are_refused_by_name_and_change_nothing() {
    let mut world = World::new();
    let client = world.join(2, 0);
    let good = world.clients[client].offer();
    let bad = [
        ("no media sections", String::new()),
        ("no media sections", "hello".to_owned()),
        ("no a=group:BUNDLE", good.replace("a=group", "a=gruop")),
        ("used twice", good.replace("a=mid:r1", "a=mid:r0").replace("r0 r1", "r0")),
        ("not a usable mid", good.replace("r1", "a-b")),
        ("not a usable mid", good.replace("r1", "seventeen_letters")),
        ("without a=mid", good.replace("a=mid:r1\r\n", "")),
        ("two a=mid", good.replace("a=mid:r1\r\n", "a=mid:r1\r\na=mid:r9\r\n")),
        ("before the first section", good.replace("t=0 0\r\n", "t=0 0\r\na=mid:x\r\n")),
        ("no usable a=ice-ufrag", good.replace("a=ice-ufrag", "a=ice-frag")),
        ("no usable a=ice-ufrag", good.replace("a=ice-pwd", "a=ice-pw")),
        ("no a=fingerprint", good.replace("a=fingerprint", "a=thumbprint")),
        ("which is no section", good.replace("BUNDLE r0", "BUNDLE zz r0")),
        ("ICE-lite", good.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")),
        ("kind message", good.replace("m=application", "m=message")),
        ("Changed order", good.replace("r0", "xx").replace("r1", "r0").replace("xx", "r1")),
        ("is too long", format!("{good}{}", "a=x\r\n".repeat(120_000))),
    ];
    for (reason, offer) in bad {
        let error = world.offer(client, &offer).unwrap_err();
        assert!(error.to_string().contains(reason), "{error} instead of {reason}");
        world.run_for(ms(100));
    }
    world.run_for(ms(30_000));
    assert_eq!(world.events_of(client).len(), 4, "{:?}", world.events_of(client));
    world.negotiate(client);
}

#[test]
fn a_first_offer_that_was_refused_leaves_room_for_a_good_one() {
    let mut world = World::new();
    let client = world.add_client(PeerKind::Answerer);
    world.clients[client].add_section("r0", Direction::RecvOnly);
    let bad = world.clients[client].offer().replace("BUNDLE r0 data", "BUNDLE data r0");
    world.offer(client, &bad).unwrap_err();
    world.negotiate(client);
    world.run_for(ms(500));
    assert!(world.clients[client].connected);
}

#[test]
fn commands_for_the_other_kind_and_for_nobody_are_refused() {
    let mut world = World::new();
    let answerer = world.join(1, 0);
    let error = world.with(answerer, |peer, _, _| peer.declare_sender(mid("x"), 5)).unwrap_err();
    assert_eq!(error, PeerError::WrongKind);
    let offerer = world.add_client(PeerKind::Offerer);
    assert_eq!(world.offer(offerer, "v=0").unwrap_err(), PeerError::WrongKind);
    assert_eq!(world.offer(9, "v=0").unwrap_err(), PeerError::Gone);
    assert_eq!(
        world.table.open(world.now, PeerId(0), PeerKind::Answerer),
        Err(PeerError::Duplicate)
    );
}

#[test]
fn a_leaving_client_closes_its_peer_at_once() {
    let mut world = World::new();
    let client = world.join(1, 1);
    world.clients[client].rtc.close().unwrap();
    world.run_for(ms(50));
    assert_eq!(world.events_of(client).last(), Some(&PeerEvent::Closed));
    assert!(world.table.is_empty());
    assert_eq!(world.table.next_deadline(), None);
}

#[test]
fn closing_a_peer_tells_the_client_and_leaves_nothing() {
    let mut world = World::new();
    let client = world.join(1, 1);
    let address = world.clients[client].address;
    let check = world.tapped.iter().rev().find(|(_, bytes)| bytes[0] <= 3).unwrap().1.clone();
    assert!(world.inject(address, &check));
    assert!(world.inject(address, &[0x80; 40]));
    world.close(client);
    assert!(world.table.is_empty());
    assert_eq!(world.table.next_deadline(), None);
    // Neither its name nor its address means anybody any more.
    assert!(!world.inject(address, &check));
    assert!(!world.inject(address, &[0x80; 40]));
    world.run_for(ms(50));
    assert!(world.clients[client].closed);
    assert!(!world.events_of(client).contains(&PeerEvent::Closed));
}

/// A machine in a cloud: its socket has a private address, clients know the public one.
#[test]
fn behind_a_nat_clients_are_told_the_public_address_and_nothing_else() {
    let mut world = World::new();
    world.bound = "10.0.0.5:7882".parse().unwrap();
    let client = world.join(1, 1);
    let answer = world.negotiate(client);
    assert!(answer.contains(" 198.51.100.1 7882 typ host"));
    assert!(!answer.contains("10.0.0.5"));
    world.clients[client].send_data("_reliable", b"through");
    world.run_for(ms(20_000));
    assert!(world.events_of(client).iter().any(|e| matches!(e, PeerEvent::DataReceived(..))));
    assert!(!world.events_of(client).contains(&PeerEvent::Disconnected));
    assert!(world.sent.iter().all(|(_, to, _)| *to == world.clients[client].address));
}
