//! What strangers, broken clients and hostile ones send.

use std::net::SocketAddr;

use switchroom_engine::peer::{PeerEvent, PeerId, PeerKind};

use crate::joining::CAPTURED;
use crate::world::{Dice, World, ms};

pub fn mutate(dice: &mut Dice, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.roll(3) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = dice.roll(bytes.len());
        match dice.roll(5) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes[at] = dice.roll(256) as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, dice.roll(256) as u8),
            _ => {
                let end = (at + dice.roll(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = dice.roll(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

fn mutate_text(dice: &mut Dice, text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(lines.len());
        match dice.roll(6) {
            0 => {
                lines.remove(at);
            }
            1 => {
                let line = lines[at].clone();
                lines.insert(dice.roll(lines.len()), line);
            }
            2 => {
                let other = dice.roll(lines.len());
                lines.swap(at, other);
            }
            3 => {
                let digits = ["0", "65536", "-1", "99999999999999999999", "", "255", "111"];
                let line = &lines[at];
                let number: String = line.chars().filter(char::is_ascii_digit).take(3).collect();
                if !number.is_empty() {
                    lines[at] = line.replacen(&number, digits[dice.roll(digits.len())], 1);
                }
            }
            4 => {
                let keep = dice.roll(lines[at].len() + 1);
                let kept: String = lines[at].chars().take(keep).collect();
                lines[at] = kept;
            }
            _ => {
                let kept = mutate(dice, lines[at].as_bytes());
                lines[at] = String::from_utf8_lossy(&kept).into_owned();
            }
        }
        if lines.is_empty() {
            lines.push(String::new());
        }
    }
    lines.join("\r\n")
}

#[test]
fn strangers_get_no_answer_and_leave_no_trace() {
    let mut world = World::new();
    world.join(1, 1);
    world.sent.clear();
    let seen = world.tapped.clone();
    let mut dice = Dice(1);
    for n in 0..20_000_u32 {
        let from = SocketAddr::from(([192, 0, 2, dice.roll(256) as u8], dice.roll(65_535) as u16));
        let bytes = if n % 2 == 0 {
            (0..dice.roll(200)).map(|_| dice.roll(256) as u8).collect()
        } else {
            // Real datagrams of a client, but not from its address. STUN may be taken for what it
            // is – a check from a new address – so leave it out here.
            let (_, bytes) = &seen[dice.roll(seen.len())];
            if bytes[0] <= 3 { vec![bytes[0]; 20] } else { bytes.clone() }
        };
        assert!(!world.inject(from, &bytes));
    }
    assert!(world.sent.is_empty());
    assert_eq!(world.table.len(), 1);
}

/// Nothing from the network may be answered with more than it sent.
#[test]
fn answers_to_checks_are_not_longer_than_the_checks() {
    let mut world = World::new();
    let client = world.join(1, 0);
    world.sent.clear();
    world.tapped.clear();
    world.run_for(ms(20_000));
    let longest = world.sent.iter().filter(|(_, _, b)| b[0] <= 3).map(|(_, _, b)| b.len()).max();
    let shortest = world.tapped.iter().filter(|(_, b)| b[0] <= 3).map(|(_, b)| b.len()).min();
    assert!(longest.unwrap() <= shortest.unwrap());
    let _ = client;
}

/// Every kind of datagram that crosses during join, talk and data, bent a little, sent from the
/// client's own address in the middle of its conversation.
#[test]
fn a_conversation_survives_thousands_of_bent_packets_from_its_own_address() {
    let mut world = World::new();
    let (speaker, listener) = (world.join(2, 1), world.join(2, 1));
    world.route(speaker, "s0", listener, "r0");
    let talk = |world: &mut World| {
        let now = world.now;
        world.clients[speaker].send_audio(now, "s0", 111, b"sound");
    };
    world.talk(ms(3_500), talk);
    world.clients[speaker].send_data("_reliable", b"payload");
    world.talk(ms(500), talk);
    let seen = world.tapped.clone();
    let mut dice = Dice(2);
    for _ in 0..300 {
        for _ in 0..30 {
            let (from, bytes) = seen[dice.roll(seen.len())].clone();
            let bent = mutate(&mut dice, &bytes);
            world.inject(from, &bent);
        }
        world.talk(ms(20), talk);
    }
    let heard = world.clients[listener].received.len();
    world.talk(ms(2_000), talk);
    assert_eq!(world.clients[listener].received.len() - heard, 100);
    world.clients[speaker].send_data("_reliable", b"still alive");
    world.run_for(ms(200));
    for client in [speaker, listener] {
        let bad = |event: &PeerEvent| {
            matches!(event, PeerEvent::Failed(_) | PeerEvent::Closed | PeerEvent::Disconnected)
        };
        assert!(!world.events_of(client).iter().any(bad), "{:?}", world.events_of(client).last());
    }
    let alive = |event: &PeerEvent| matches!(event, PeerEvent::DataReceived(_, message) if **message == *b"still alive");
    assert!(world.events_of(speaker).iter().any(alive));
}

/// Bent handshakes may fail; they may not panic, hang, or touch another peer.
#[test]
fn bent_handshakes_harm_nobody_else() {
    let mut dice = Dice(3);
    let mut world = World::new();
    let witness = world.join(1, 1);
    let mut failed = 0;
    for _ in 0..60 {
        let client = world.add_client(PeerKind::Answerer);
        world.clients[client].add_section("r0", crate::client::Direction::RecvOnly);
        world.negotiate(client);
        world.bend_from = Some(world.clients[client].address);
        world.bend_percent = 5 + dice.roll(60);
        world.run_for(ms(3_000));
        world.bend_from = None;
        failed += usize::from(!world.clients[client].connected);
        world.clients[client].dead = true;
        world.close(client);
    }
    assert!(failed < 60);
    let before = world.rtp.len();
    world.talk(ms(200), |world| {
        let now = world.now;
        world.clients[witness].send_audio(now, "s0", 111, b"sound");
    });
    world.run_for(ms(20));
    assert_eq!(world.rtp.len() - before, 10);
    assert_eq!(world.table.len(), 1);
}

#[test]
fn bent_first_offers_are_answered_or_refused_with_a_reason() {
    let mut dice = Dice(4);
    let (mut answered, mut refused) = (0, 0);
    let mut world = World::new();
    for n in 0..200 {
        world.table.open(world.now, PeerId(n as u64), PeerKind::Answerer).unwrap();
        let offer = mutate_text(&mut dice, CAPTURED[n % CAPTURED.len()]);
        match world.offer(n, &offer) {
            Ok(answer) => {
                let names = |sdp: &str| sdp.matches("\na=mid:").count();
                assert_eq!(names(&answer), names(&offer.replace('\r', "\n")), "{offer}");
                answered += 1;
            }
            Err(error) => {
                assert!(error.to_string().len() < 400);
                refused += 1;
            }
        }
        world.run_for(ms(1));
        world.close(n);
    }
    assert!(answered > 50 && refused > 40, "{answered} answered, {refused} refused");
    assert!(world.table.is_empty());
}

#[test]
fn a_conversation_survives_bent_offers() {
    let mut dice = Dice(5);
    let mut world = World::new();
    let (speaker, listener) = (world.join(1, 1), world.join(2, 1));
    world.route(speaker, "s0", listener, "r0");
    let talk = |world: &mut World| {
        let now = world.now;
        world.clients[speaker].send_audio(now, "s0", 111, b"sound");
    };
    let good = world.clients[listener].offer();
    for _ in 0..200 {
        let _ = world.offer(listener, &mutate_text(&mut dice, &good));
        world.talk(ms(20), talk);
        let gone = |event: &PeerEvent| matches!(event, PeerEvent::Failed(_));
        assert!(!world.events_of(listener).iter().any(gone), "{:?}", world.events.last());
    }
    // The last bent offer may have muted a section or restarted ICE: the client offers again.
    world.clients[listener].restart_ice();
    world.negotiate(listener);
    world.run_for(ms(3_000));
    let heard = world.clients[listener].received.len();
    world.talk(ms(1_000), talk);
    world.run_for(ms(20));
    assert_eq!(world.clients[listener].received.len() - heard, 50);
}

/// A client with valid keys is no friend either.
#[test]
fn a_client_that_changes_its_ssrc_for_ever_is_cut_off() {
    let mut world = World::new();
    let client = world.join(0, 1);
    for n in 0..6_000_u32 {
        world.clients[client].change_ssrc("s0", 10_000 + n);
        let now = world.now;
        world.clients[client].send_audio(now, "s0", 111, b"sound");
        world.run_for(ms(1));
    }
    world.run_for(ms(50));
    assert!(matches!(world.events_of(client).last(), Some(PeerEvent::Failed(reason))
        if reason.contains("RTP streams")));
    assert!(world.table.is_empty());
}

#[test]
fn a_fault_inside_one_peer_ends_that_peer_only() {
    let mut world = World::new();
    let (speaker, listener) = (world.join(1, 1), world.join(1, 0));
    let broken = world.join(1, 1);
    world.route(speaker, "s0", listener, "r0");
    world.panic_in(broken);
    assert!(matches!(world.events_of(broken).last(), Some(PeerEvent::Failed(reason))
        if reason == "internal error"));
    assert_eq!(world.table.len(), 2);
    world.talk(ms(200), |world| {
        let now = world.now;
        world.clients[speaker].send_audio(now, "s0", 111, b"sound");
    });
    world.run_for(ms(20));
    assert_eq!(world.clients[listener].received.len(), 10);
}
