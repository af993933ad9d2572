//! Clients that restart ICE, change their address, fall silent, die.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::IceCreds;
use str0m::crypto::from_feature_flags;
use str0m::ice::{StunMessage, StunMessageBuilder, TransId};
use switchroom_engine::peer::{PeerEvent, PeerKind};

use crate::client::{Client, Direction};
use crate::world::{World, ms};

/// A speaker and a listener, forwarded, both ways in use.
fn conversation() -> (World, usize, usize) {
    let mut world = World::new();
    let (speaker, listener) = (world.join(1, 1), world.join(1, 1));
    world.route(speaker, "s0", listener, "r0");
    world.route(listener, "s0", speaker, "r0");
    (world, speaker, listener)
}

fn talk(world: &mut World, duration: Duration) {
    world.talk(duration, |world| {
        let now = world.now;
        for client in world.clients.iter_mut().filter(|client| !client.dead) {
            client.send_audio(now, "s0", 111, b"sound");
        }
    });
}

/// The longest silence that a client heard since then.
fn longest_gap(world: &World, client: usize, since: Instant) -> Duration {
    let arrivals: Vec<Instant> = std::iter::once(since)
        .chain(world.clients[client].sent_at.iter().copied().filter(|at| *at >= since))
        .chain(std::iter::once(world.now))
        .collect();
    arrivals.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

/// A binding request as a client would send it, or as someone would forge it.
fn check(ours: &str, theirs: &str, password: &str, nominates: bool) -> Vec<u8> {
    let username = format!("{ours}:{theirs}");
    let mut builder = StunMessageBuilder::new()
        .binding()
        .request()
        .username(&username)
        .prio(1)
        .ice_controlling(7);
    if nominates {
        builder = builder.use_candidate();
    }
    let crypto = from_feature_flags();
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    let mut bytes = vec![0; 500];
    let length = builder
        .build(TransId::new())
        .to_bytes(Some(password.as_bytes()), &mut bytes, hmac)
        .unwrap();
    bytes.truncate(length);
    bytes
}

fn credentials_in(answer: &str) -> IceCreds {
    let value = |prefix: &str| {
        answer.lines().find_map(|line| line.strip_prefix(prefix)).unwrap().trim().to_owned()
    };
    IceCreds { ufrag: value("a=ice-ufrag:"), pass: value("a=ice-pwd:") }
}

#[test]
fn an_ice_restart_by_the_client_changes_credentials_and_nothing_else() {
    let (mut world, speaker, listener) = conversation();
    talk(&mut world, ms(1_000));
    let before = credentials_in(&world.negotiate(listener));
    let start = world.now;
    world.clients[listener].restart_ice();
    let after = credentials_in(&world.negotiate(listener));
    assert_ne!(before.ufrag, after.ufrag);
    assert_ne!(before.pass, after.pass);
    talk(&mut world, ms(5_000));
    assert!(longest_gap(&world, listener, start) < ms(40));
    assert!(longest_gap(&world, speaker, start) < ms(40));
    let events = world.events_of(listener);
    assert!(!events.contains(&PeerEvent::Disconnected));
    assert_eq!(events.iter().filter(|event| **event == PeerEvent::Connected).count(), 1);
    talk(&mut world, ms(40_000));
    assert!(longest_gap(&world, listener, start) < ms(40));
    // The old credentials are worthless.
    let stale = check(&before.ufrag, "theirs", &before.pass, true);
    assert!(!world.inject("203.0.113.99:9".parse().unwrap(), &stale));
}

#[test]
fn a_refused_restart_leaves_the_old_credentials_in_force() {
    let (mut world, _, listener) = conversation();
    talk(&mut world, ms(1_000));
    let start = world.now;
    let broken = world.clients[listener].offer();
    let broken = broken
        .replace("BUNDLE r0 s0 data", "BUNDLE data s0 r0")
        .replace("a=ice-ufrag:", "a=ice-ufrag:changed")
        .replace("a=ice-pwd:", "a=ice-pwd:changed");
    world.offer(listener, &broken).unwrap_err();
    talk(&mut world, ms(30_000));
    assert!(!world.events_of(listener).contains(&PeerEvent::Disconnected));
    assert!(longest_gap(&world, listener, start) < ms(40));
}

/// A NAT forgot the client's flow and gave it another port: no signalling, no warning.
#[test]
fn media_follows_a_client_whose_address_changed_within_its_check_interval() {
    let (mut world, _, listener) = conversation();
    talk(&mut world, ms(5_000));
    let inside = world.clients[listener].address;
    let new: SocketAddr = "203.0.113.77:50000".parse().unwrap();
    let start = world.now;
    world.nat.insert(inside, new);
    talk(&mut world, ms(10_000));
    let gap = longest_gap(&world, listener, start);
    assert!(gap < ms(3_000), "{gap:?}");
    assert!(!world.events_of(listener).contains(&PeerEvent::Disconnected));
    let late = world.sent.iter().filter(|(at, ..)| *at > start + gap);
    assert!(late.clone().count() > 100);
    let listener_address = |to: &SocketAddr| *to == inside || *to == new;
    assert!(late.clone().filter(|(_, to, _)| listener_address(to)).all(|(_, to, _)| *to == new));
}

#[test]
fn an_answered_check_tells_the_client_its_real_address() {
    let (mut world, _, listener) = conversation();
    let theirs = world.clients[listener].transport().ice_ufrag;
    let ours = credentials_in(&world.negotiate(listener));
    let from: SocketAddr = "203.0.113.77:50000".parse().unwrap();
    world.sent.clear();
    assert!(world.inject(from, &check(&ours.ufrag, &theirs, &ours.pass, false)));
    let (_, to, response) = world.sent.iter().find(|(_, to, _)| *to == from).unwrap();
    let response_message = StunMessage::parse(response).unwrap();
    assert_eq!(response_message.mapped_address(), Some(*to));
    let crypto = from_feature_flags();
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    assert!(response_message.verify(ours.pass.as_bytes(), hmac));
}

/// Clients probe from several sockets; only the one they nominate counts.
#[test]
fn checks_without_nomination_do_not_move_media() {
    let (mut world, _, listener) = conversation();
    let theirs = world.clients[listener].transport().ice_ufrag;
    let ours = credentials_in(&world.negotiate(listener));
    let start = world.now;
    let other: SocketAddr = "203.0.113.77:50000".parse().unwrap();
    for _ in 0..5 {
        assert!(world.inject(other, &check(&ours.ufrag, &theirs, &ours.pass, false)));
        talk(&mut world, ms(200));
    }
    assert!(longest_gap(&world, listener, start) < ms(40));
    let to_other = world.sent.iter().filter(|(_, to, _)| *to == other).count();
    assert_eq!(to_other, 5, "the five answers and nothing else");
}

#[test]
fn a_forged_nomination_moves_nothing_and_is_not_answered() {
    let (mut world, _, listener) = conversation();
    let theirs = world.clients[listener].transport().ice_ufrag;
    let ours = credentials_in(&world.negotiate(listener));
    let start = world.now;
    let thief: SocketAddr = "203.0.113.77:50000".parse().unwrap();
    for password in ["", "guess", &ours.pass.to_lowercase()] {
        world.inject(thief, &check(&ours.ufrag, &theirs, password, true));
        talk(&mut world, ms(200));
    }
    // Right password, wrong client: the fragment of another session.
    world.inject(thief, &check(&ours.ufrag, "someone", &ours.pass, true));
    talk(&mut world, ms(200));
    assert!(!world.sent.iter().any(|(_, to, _)| *to == thief));
    assert!(longest_gap(&world, listener, start) < ms(40));
}

#[test]
fn a_client_that_died_is_reported_in_time_and_nothing_more_is_sent_to_it() {
    let (mut world, _, listener) = conversation();
    talk(&mut world, ms(3_000));
    let died = world.now;
    world.clients[listener].dead = true;
    talk(&mut world, ms(60_000));
    let told = world.when(listener, &PeerEvent::Disconnected).unwrap() - died;
    assert!((ms(8_000)..ms(13_000)).contains(&told), "{told:?}");
    let address = world.clients[listener].address;
    let last = world.sent.iter().filter(|(_, to, _)| *to == address).map(|(at, ..)| *at).max();
    assert!(last.unwrap() <= died + told);
}

#[test]
fn a_dead_client_costs_no_more_than_a_few_wakeups_a_second() {
    let (mut world, speaker, listener) = conversation();
    talk(&mut world, ms(3_000));
    world.clients[listener].dead = true;
    world.close(speaker);
    world.run_for(ms(20_000));
    let (start, mut wakeups) = (world.now, 0);
    while world.now < start + ms(30_000) {
        let next = world.table.next_deadline().unwrap();
        assert!(next > world.now);
        world.run_for(next - world.now);
        wakeups += 1;
    }
    assert!(wakeups < 150, "{wakeups} in 30 s");
}

#[test]
fn a_client_that_comes_back_within_the_grace_time_goes_on_where_it_was() {
    for away in [11_000, 20_000, 45_000] {
        let (mut world, speaker, listener) = conversation();
        talk(&mut world, ms(3_000));
        let inside = world.clients[listener].address;
        // Its cable is pulled: it lives and sends, but nothing gets through either way.
        world.nat.insert(inside, "0.0.0.0:1".parse().unwrap());
        world.loss_to_server_from.insert("0.0.0.0:1".parse().unwrap());
        talk(&mut world, ms(away));
        assert!(world.when(listener, &PeerEvent::Disconnected).is_some());
        world.loss_to_server_from.clear();
        world.nat.insert(inside, "203.0.113.77:50000".parse().unwrap());
        let back = world.now;
        // A client resumes over signalling with new credentials.
        world.clients[listener].restart_ice();
        world.negotiate(listener);
        talk(&mut world, ms(10_000));
        assert_eq!(world.events_of(listener).last(), Some(&PeerEvent::Connected), "{away} ms");
        let heard = world.when(listener, &PeerEvent::Connected).unwrap() - back;
        assert!(heard < ms(3_000), "{heard:?}");
        assert!(longest_gap(&world, listener, back + heard + ms(100)) < ms(40));
        assert!(longest_gap(&world, speaker, back + heard + ms(100)) < ms(40));
    }
}

/// A client that was restarted may get its old port, while its old peer still waits for it.
#[test]
fn a_new_client_at_an_old_ones_address_is_not_cut_off_when_the_old_peer_is_closed() {
    let mut world = World::new();
    let old = world.join(1, 1);
    world.clients[old].dead = true;
    let new = world.add_client(PeerKind::Answerer);
    world.clients[new] = Client::new(world.now, world.clients[old].address);
    world.clients[new].add_section("s0", Direction::SendOnly);
    world.negotiate(new);
    world.run_for(ms(500));
    assert!(world.clients[new].connected);
    world.close(old);
    world.talk(ms(200), |world| {
        let now = world.now;
        world.clients[new].send_audio(now, "s0", 111, b"sound");
    });
    world.run_for(ms(20));
    assert_eq!(world.rtp.len(), 10);
}
