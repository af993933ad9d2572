use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use str0m::rtp::RtpPacket;
use switchroom_engine::peer::{OutgoingRtp, PeerEvent, PeerId};
use switchroom_engine::{AudioCodec, AudioLevel};

use crate::world::{Route, World, mid, ms};

/// Which section each of our SSRCs was announced for.
fn announced(answer: &str) -> HashMap<u32, String> {
    let mut section = String::new();
    let mut ssrcs = HashMap::new();
    for line in answer.lines() {
        if let Some(name) = line.strip_prefix("a=mid:") {
            section = name.trim().to_owned();
        } else if let Some(rest) = line.strip_prefix("a=ssrc:") {
            ssrcs.insert(rest.split(' ').next().unwrap().parse().unwrap(), section.clone());
        }
    }
    ssrcs
}

fn continuous(packets: &[&RtpPacket]) -> bool {
    packets.windows(2).all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1)
}

#[test]
fn a_published_track_arrives_with_its_section_codec_and_level() {
    let mut world = World::new();
    let client = world.join(1, 1);
    world.talk(ms(1_000), |world| {
        let now = world.now;
        world.clients[0].send_audio(now, "s0", 111, b"sound");
    });
    world.run_for(ms(20));
    assert_eq!(world.rtp.len(), 50);
    for (n, (id, packet)) in world.rtp.iter().enumerate() {
        assert_eq!((*id, packet.mid, packet.codec), (PeerId(0), mid("s0"), AudioCodec::Opus));
        assert_eq!(packet.level, Some(AudioLevel { below_overload: 15, voice: true }));
        assert_eq!(packet.sequence, world.rtp[0].1.sequence + n as u64);
        assert_eq!(&packet.payload[..], b"sound");
    }
    let started = PeerEvent::MediaStarted(mid("s0"), AudioCodec::Opus);
    let events = world.events_of(client);
    assert_eq!(events.iter().filter(|event| **event == started).count(), 1);
    let counters = world.table.counters(PeerId(0)).unwrap();
    assert_eq!((counters.rtp_in, counters.lost_in), (50, 0));
}

#[test]
fn a_track_is_forwarded_to_another_client() {
    let mut world = World::new();
    let (speaker, listener) = (world.join(1, 1), world.join(1, 0));
    world.route(speaker, "s0", listener, "r0");
    world.talk(ms(1_000), |world| {
        let now = world.now;
        world.clients[speaker].send_audio(now, "s0", 111, b"sound");
    });
    world.run_for(ms(20));
    let received: Vec<&RtpPacket> = world.clients[listener].received.iter().collect();
    assert_eq!(received.len(), 50);
    assert!(continuous(&received));
    assert!(received[0].header.marker && !received[1].header.marker);
    assert!(received.iter().all(|packet| &packet.payload[..] == b"sound"));
    assert_eq!(received[3].header.ext_vals.audio_level, Some(-15));
    assert_eq!(received[3].header.ext_vals.voice_activity, Some(true));
}

#[test]
fn loss_on_the_way_in_is_a_gap_on_the_way_out() {
    let mut world = World::new();
    let (speaker, listener) = (world.join(1, 1), world.join(1, 0));
    world.route(speaker, "s0", listener, "r0");
    let mut n = 0;
    world.talk(ms(1_000), |world| {
        n += 1;
        world.loss_percent = if n % 10 == 5 { 100 } else { 0 };
        let now = world.now;
        world.clients[speaker].send_audio(now, "s0", 111, b"sound");
        world.run_for(Duration::ZERO);
        world.loss_percent = 0;
    });
    world.run_for(ms(20));
    let received = &world.clients[listener].received;
    assert_eq!(received.len(), 45);
    let span = *received.last().unwrap().seq_no - *received[0].seq_no;
    assert_eq!(span, 49);
    assert_eq!(world.table.counters(PeerId(0)).unwrap().lost_in, 5);
}

#[test]
fn thirty_tracks_go_to_one_client_each_on_its_section() {
    let mut world = World::new();
    let listener = world.join(30, 0);
    let answer = world.negotiate(listener);
    let ssrcs = announced(&answer);
    assert_eq!(ssrcs.len(), 30);
    let mut n = 0;
    world.talk(ms(600), |world| {
        n += 1;
        for section in 0..30_u64 {
            let packet = OutgoingRtp {
                stream: section,
                codec: AudioCodec::Opus,
                sequence: n,
                timestamp: n as u32 * 960,
                marker: false,
                level: None,
                payload: Arc::from(section.to_be_bytes()),
            };
            world.send_rtp(listener, mid(&format!("r{section}")), &packet);
        }
    });
    world.run_for(ms(20));
    for section in 0..30_u64 {
        let name = format!("r{section}");
        let received = world.clients[listener].received_on(&name, &ssrcs);
        assert_eq!(received.len(), 30, "{name}");
        assert!(continuous(&received));
        assert!(received.iter().all(|packet| packet.payload[..] == section.to_be_bytes()));
    }
}

#[test]
fn a_batch_of_packets_is_sent_by_one_poll() {
    let mut world = World::new();
    let listener = world.join(5, 0);
    world.sent.clear();
    for section in 0..5 {
        let packet = OutgoingRtp {
            stream: 1,
            codec: AudioCodec::Pcmu,
            sequence: 1,
            timestamp: 0,
            marker: false,
            level: None,
            payload: Arc::from([0xff; 160]),
        };
        world.send_rtp(listener, mid(&format!("r{section}")), &packet);
    }
    assert!(world.sent.is_empty());
    world.poll();
    assert!(world.sent.len() >= 5);
}

#[test]
fn codecs_change_in_place_without_a_gap_in_numbers() {
    let mut world = World::new();
    let (speaker, listener) = (world.join(1, 1), world.join(1, 0));
    let order = [
        (AudioCodec::Pcmu, 0),
        (AudioCodec::G722, 9),
        (AudioCodec::Pcma, 8),
        (AudioCodec::Opus, 111),
        (AudioCodec::Pcmu, 0),
    ];
    for (codec, _) in order {
        world.routes = vec![Route {
            from: (PeerId(speaker as u64), mid("s0")),
            to: (PeerId(listener as u64), mid("r0")),
            codec: Some(codec),
        }];
        world.talk(ms(200), |world| {
            let now = world.now;
            world.clients[speaker].send_audio(now, "s0", 111, b"sound");
        });
        world.run_for(ms(20));
    }
    let received: Vec<&RtpPacket> = world.clients[listener].received.iter().collect();
    assert_eq!(received.len(), 50);
    assert!(continuous(&received));
    for (part, (_, payload_type)) in received.chunks(10).zip(order) {
        assert!(part.iter().all(|packet| *packet.header.payload_type == payload_type));
        assert!(part[0].header.marker);
        assert!(part[1..].iter().all(|packet| !packet.header.marker));
    }
}

#[test]
fn upstream_codec_changes_are_told() {
    let mut world = World::new();
    let client = world.join(1, 1);
    for (payload_type, codec) in [(111, AudioCodec::Opus), (0, AudioCodec::Pcmu)] {
        world.talk(ms(60), |world| {
            let now = world.now;
            world.clients[0].send_audio(now, "s0", payload_type, b"sound");
        });
        let started = PeerEvent::MediaStarted(mid("s0"), codec);
        assert!(world.when(client, &started).is_some());
    }
}

#[test]
fn a_codec_that_the_client_did_not_offer_is_not_sent() {
    let mut world = World::new();
    let client = world.add_client(switchroom_engine::peer::PeerKind::Answerer);
    world.clients[client].add_section("r0", crate::client::Direction::RecvOnly);
    let offer = world.clients[client]
        .offer()
        .replace("111 63 9 0 8 13 110 126", "111 63 13")
        .replace("a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n", "")
        .replace("a=rtpmap:9 G722/8000\r\n", "");
    let answer = world.offer(client, &offer).unwrap();
    let server = world.server;
    world.clients[client].accept_answer(&answer, server);
    world.run_for(ms(500));
    let codecs = world.table.sender_codecs(PeerId(0), mid("r0"));
    assert!(codecs.contains(AudioCodec::Opus) && !codecs.contains(AudioCodec::Pcmu));
    let packet = OutgoingRtp {
        stream: 1,
        codec: AudioCodec::Pcmu,
        sequence: 1,
        timestamp: 0,
        marker: false,
        level: None,
        payload: Arc::from([0xff; 160]),
    };
    world.send_rtp(client, mid("r0"), &packet);
    world.poll();
    world.run_for(ms(50));
    assert!(world.clients[client].received.is_empty());
    assert_eq!(world.table.counters(PeerId(0)).unwrap().rtp_out, 0);
}

/// A sender report must say at which RTP time the moment of its sending falls, by the clock of
/// what is being sent at present, and count what was sent (RFC 3550 §6.4.1).
#[test]
fn sender_reports_tie_rtp_time_to_the_time_of_sending() {
    for (codec, clock) in [(AudioCodec::Opus, 48_000), (AudioCodec::Pcmu, 8_000)] {
        let mut world = World::new();
        let (speaker, listener) = (world.join(1, 1), world.join(1, 0));
        world.routes = vec![Route {
            from: (PeerId(speaker as u64), mid("s0")),
            to: (PeerId(listener as u64), mid("r0")),
            codec: Some(codec),
        }];
        let payload_type = if codec == AudioCodec::Opus { 111 } else { 0 };
        world.talk(ms(10_000), |world| {
            let now = world.now;
            world.clients[speaker].send_audio(now, "s0", payload_type, b"sound");
        });
        let client = &world.clients[listener];
        let (at, report) = client.reports.last().unwrap();
        let sent_at = *at - crate::world::LATENCY;
        // The packet newest at that moment, and when it was sent.
        let newest = client.sent_at.iter().rposition(|arrived| arrived <= at).unwrap();
        let packet = &client.received[newest];
        let since =
            sent_at.saturating_duration_since(client.sent_at[newest] - crate::world::LATENCY);
        let expected =
            packet.header.timestamp.wrapping_add((since.as_micros() * clock / 1_000_000) as u32);
        let said = report.sender_info.rtp_time.numer() as u32;
        let off = said.wrapping_sub(expected) as i32;
        assert!(off.unsigned_abs() <= (clock / 50) as u32, "{codec:?}: off by {off} ticks");
        assert!(report.sender_info.sender_packet_count > 300);
        let reports = client.reports.iter().filter(|(_, r)| r.sender_info.sender_packet_count > 0);
        assert!(reports.count() >= 3);
    }
}

#[test]
fn loss_towards_the_client_and_the_round_trip_are_counted() {
    let mut world = World::new();
    let (speaker, listener) = (world.join(1, 1), world.join(1, 0));
    world.route(speaker, "s0", listener, "r0");
    world.loss_percent = 5;
    world.talk(ms(20_000), |world| {
        let now = world.now;
        world.clients[speaker].send_audio(now, "s0", 111, b"sound");
    });
    let counters = world.table.counters(PeerId(listener as u64)).unwrap();
    assert!((10..120).contains(&counters.lost_out), "{counters:?}");
    let round_trip = counters.round_trip.unwrap();
    assert!((ms(8)..ms(60)).contains(&round_trip), "{round_trip:?}");
}
